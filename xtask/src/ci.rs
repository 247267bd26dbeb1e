//! `cargo xtask ci`: everything that has to pass before a change is taken.

use serde_json::Value;

use crate::step::{self, Result, output, step};
use crate::{packages, project, test};

/// A crate that must stay lean: with these features, none of these others may be in its tree.
struct Lean {
    package: &'static str,
    features: &'static [&'static str],
    unwanted: &'static [&'static str],
}

/// Who may know whom. Stores and serializers know no web framework, the session logic knows neither stores, serializers
/// nor frameworks, and a serializer that was not asked for is not there.
const LEAN: &[Lean] = &[
    Lean { package: "session-core", features: &["--no-default-features"], unwanted: &["metrics"] },
    Lean {
        package: "session-core",
        features: &["--all-features"],
        unwanted: &["axum", "axum-core", "http", "hyper", "redis", "rmp-serde", "postcard", "serde_json"],
    },
    Lean {
        package: "session-serde",
        features: &["--no-default-features"],
        unwanted: &["rmp-serde", "postcard", "serde_json"],
    },
    Lean {
        package: "session-serde",
        features: &["--no-default-features", "--features", "json"],
        unwanted: &["rmp-serde", "postcard"],
    },
    Lean {
        package: "session-serde",
        features: &["--no-default-features", "--features", "msgpack"],
        unwanted: &["postcard", "serde_json"],
    },
    Lean {
        package: "session-serde",
        features: &["--no-default-features", "--features", "postcard"],
        unwanted: &["rmp-serde", "serde_json"],
    },
    Lean { package: "session-serde", features: &["--all-features"], unwanted: &["axum-core", "http", "redis"] },
    Lean {
        package: "session-redis",
        features: &["--no-default-features"],
        unwanted: &["rustls", "rustls-native-certs", "tokio-rustls"],
    },
    Lean {
        package: "session-redis",
        features: &["--all-features"],
        unwanted: &["axum-core", "http", "serde_json", "session-serde", "session-settings", "session-tower"],
    },
    Lean {
        package: "session-twemproxy",
        features: &["--all-features"],
        unwanted: &["axum-core", "http", "rustls", "serde_json", "session-serde", "session-settings", "session-tower"],
    },
    Lean {
        package: "session-settings",
        features: &["--no-default-features"],
        unwanted: &["axum-core", "hyper", "postcard", "rmp-serde", "rustls", "serde_json", "session-twemproxy", "toml"],
    },
    Lean {
        package: "session-settings",
        features: &["--all-features"],
        unwanted: &["axum", "axum-core", "hyper", "toml"],
    },
    Lean {
        package: "session-tower",
        features: &["--no-default-features"],
        unwanted: &["axum", "axum-core", "hyper", "postcard", "redis", "rmp-serde", "serde_json"],
    },
    Lean {
        package: "session-tower",
        features: &["--all-features"],
        unwanted: &["axum", "hyper", "metrics", "redis", "session-redis", "session-settings"],
    },
];

/// Features that are also checked together, because code depends on which of them are there.
const TOGETHER: &[(&str, &str)] =
    &[("session-serde", "json,msgpack"), ("session-serde", "json,postcard"), ("session-serde", "msgpack,postcard")];

/// What a check is called, and how it is done.
type Check = (&'static str, fn() -> Result<()>);

const CHECKS: [Check; 7] = [
    ("cargo xtask test", || test::run(&[])),
    ("format", || step::run(project::cargo().args(["fmt", "--all", "--check"]))),
    ("clippy", || clippy(&["--workspace", "--all-targets", "--all-features"])),
    ("documentation", documentation),
    ("each feature alone", features_alone),
    ("dependencies", dependencies),
    ("packages", packages::check),
];

/// Runs every check, also after one failed, and fails if any did.
pub(crate) fn run() -> Result<()> {
    let mut failed = Vec::new();
    for (title, check) in CHECKS {
        if let Err(error) = step(title, check) {
            eprintln!("error: {error}");
            failed.push(title);
        }
    }
    if failed.is_empty() {
        println!("\nall checks passed");
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")).into())
    }
}

fn clippy(what: &[&str]) -> Result<()> {
    // Unlike `RUSTFLAGS`, this concerns our own crates only, so that the others are not built again.
    step::run(project::cargo().arg("clippy").args(what).args(["--", "--deny", "warnings"]))
}

fn documentation() -> Result<()> {
    let mut command = project::cargo();
    command.args(["doc", "--workspace", "--all-features", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings");
    step::run(&mut command)
}

/// Every published crate without features, with each of its features alone, and with some together. (Clippy compiles,
/// too.)
fn features_alone() -> Result<()> {
    let mut failed = Vec::new();
    for (package, features) in published()? {
        let together = TOGETHER.iter().filter(|(other, _)| *other == package).map(|(_, features)| *features);
        for feature in std::iter::once("").chain(features.iter().map(String::as_str)).chain(together) {
            if clippy(&["--package", &package, "--no-default-features", "--features", feature]).is_err() {
                failed.push(if feature.is_empty() {
                    format!("{package} without features")
                } else {
                    format!("{package} with {feature}")
                });
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ").into()) }
}

/// The crates that are published, with their features.
fn published() -> Result<Vec<(String, Vec<String>)>> {
    let features = |package: &Value| {
        let name = package["name"].as_str().ok_or("a package without name")?;
        let features = package["features"].as_object().ok_or("a package without features")?;
        let features = features.keys().filter(|feature| *feature != "default").cloned().collect();
        Ok((name.to_owned(), features))
    };
    packages::published()?.iter().map(features).collect()
}

fn dependencies() -> Result<()> {
    keep_to(LEAN)
}

fn keep_to(rules: &[Lean]) -> Result<()> {
    let mut found = Vec::new();
    for Lean { package, features, unwanted } in rules {
        let mut command = project::cargo();
        command.args(["tree", "--package", package, "--edges", "normal", "--prefix", "none"]).args(*features);
        command.args(["--format", "{p}"]);
        let tree = output(&mut command)?;
        let setting = features.join(" ");
        println!("    {package} {setting}: without {}", unwanted.join(", "));
        found.extend(present(&tree, unwanted).map(|name| format!("{name} is in the tree of {package} {setting}")));
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("; ").into()) }
}

/// Which of the unwanted are in the tree; its lines start with a name, a space, and the version.
fn present<'a>(tree: &str, unwanted: &'a [&str]) -> impl Iterator<Item = &'a str> {
    unwanted.iter().copied().filter(|name| tree.lines().any(|line| line.split(' ').next() == Some(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwanted_crates_are_found_by_their_whole_name() {
        let tree = "session-core v0.1.0 (/somewhere)\nserde v1.0.1\nredis v1.8.1 (*)\n";
        assert_eq!(present(tree, &["redis", "session", "serde_json"]).collect::<Vec<_>>(), ["redis"]);
    }

    /// Rules that the workspace breaks: by a dependency, by one of a dependency's, and by one that comes with a feature.
    #[test]
    fn a_broken_rule_is_told() {
        let rule = |package, features, unwanted| Lean { package, features, unwanted };
        for (broken, told) in [
            (
                rule("session-redis", &["--all-features"][..], &["redis", "axum"][..]),
                "redis is in the tree of session-redis",
            ),
            (rule("session-twemproxy", &[], &["serde_json", "redis"]), "redis is in the tree of session-twemproxy"),
            (
                rule("session-tower", &["--features", "axum"], &["axum-core"]),
                "axum-core is in the tree of session-tower",
            ),
        ] {
            let error = keep_to(&[broken]).unwrap_err().to_string();
            assert!(error.starts_with(told) && !error.contains(';'), "{error}");
        }
        keep_to(&[rule("session-tower", &["--no-default-features"], &["axum-core"])]).unwrap();
    }

    #[test]
    fn every_published_crate_has_a_rule() {
        let published = published().unwrap();
        assert!(!published.is_empty());
        for (package, _) in published {
            assert!(LEAN.iter().any(|lean| lean.package == package), "{package}");
        }
    }
}
