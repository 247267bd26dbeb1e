//! Whether the published crates are ready to be published.

use std::path::Path;

use serde_json::Value;

use crate::project;
use crate::step::{self, Result, output};

/// What a crate must say of itself: where it is in what `cargo metadata` tells.
const NEEDED: [&str; 8] = [
    "/categories",
    "/description",
    "/keywords",
    "/license",
    "/metadata/docs/rs/all-features",
    "/readme",
    "/repository",
    "/rust_version",
];

/// What must be packed, besides the sources.
const PACKED: [&str; 3] = ["LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// Checks what the published crates say of themselves, packs the whole workspace, and builds the published crates from
/// what was packed.
pub(crate) fn check() -> Result<()> {
    let packages = published()?;
    let mut wrong: Vec<String> = packages.iter().flat_map(missing).collect();
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    for name in &names {
        let files = output(project::cargo().args(["package", "--list", "--allow-dirty", "--package", name]))?;
        let absent = PACKED.iter().filter(|file| !files.lines().any(|line| line == **file));
        wrong.extend(absent.map(|file| format!("{name} is packed without {file}")));
    }
    if !wrong.is_empty() {
        return Err(wrong.join("; ").into());
    }
    // What is not committed yet is for others to mind.
    let package = ["package", "--allow-dirty", "--quiet"];
    step::run(project::cargo().args(package).args(["--workspace", "--no-verify"]))?;
    let each = names.iter().flat_map(|name| ["--package", name]);
    step::run(project::cargo().args(package).args(each))
}

/// What `cargo metadata` says of the crates that are published.
pub(crate) fn published() -> Result<Vec<Value>> {
    let metadata = output(project::cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let mut metadata: Value = serde_json::from_str(&metadata)?;
    let Value::Array(mut packages) = metadata["packages"].take() else {
        return Err("cargo metadata lists no packages".into());
    };
    packages.retain(|package| package["publish"].is_null());
    Ok(packages)
}

fn missing(package: &Value) -> Vec<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let said = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    };
    let mut missing: Vec<_> = NEEDED
        .iter()
        .filter(|needed| !package.pointer(needed).is_some_and(said))
        .map(|needed| format!("{name} does not say its {needed}"))
        .collect();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
    if let (Some(readme), Some(folder)) = (package["readme"].as_str(), manifest.parent())
        && !folder.join(readme).is_file()
    {
        missing.push(format!("{name} has no {readme}"));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_crate_says_what_it_must() {
        let packages = published().unwrap();
        assert!(!packages.is_empty());
        for package in packages {
            assert_eq!(missing(&package), [""; 0]);
        }
    }

    #[test]
    fn what_is_not_said_is_missing() {
        let mut package = published().unwrap().remove(0);
        package["description"] = Value::Null;
        package["keywords"] = Value::Array(Vec::new());
        package["metadata"] = Value::Null;
        package["readme"] = "../NOT-THERE.md".into();
        let missing = missing(&package).join("; ");
        for expected in ["its /description", "its /keywords", "its /metadata", "no ../NOT-THERE.md"] {
            assert!(missing.contains(expected), "{missing}");
        }
    }
}
