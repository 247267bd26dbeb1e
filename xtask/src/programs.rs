//! The test programs of the workspace.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::project;
use crate::step::{Result, output};

/// A program that was built, with the tests of one target.
pub(crate) struct Program {
    /// The folder of its crate, within the workspace.
    pub(crate) folder: PathBuf,
    /// What sort of target it is, for instance `lib` or `test`.
    pub(crate) kind: String,
    /// The target's name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) executable: PathBuf,
}

/// Builds all, as `cargo xtask test` does, or those that `arguments` choose.
pub(crate) fn build(arguments: &[impl AsRef<str>]) -> Result<Vec<Program>> {
    let mut build = project::cargo();
    build.args(["test", "--workspace", "--all-features", "--no-run"]).args(arguments.iter().map(AsRef::as_ref));
    build.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    let messages = output(&mut build)?;
    let messages = messages.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    Ok(messages.iter().filter(|message| message["profile"]["test"] == true).filter_map(program).collect())
}

fn program(message: &Value) -> Option<Program> {
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    Some(Program {
        folder: folder.strip_prefix(project::root()).unwrap_or(folder).to_owned(),
        kind: message["target"]["kind"][0].as_str()?.to_owned(),
        name: message["target"]["name"].as_str()?.to_owned(),
        executable: message["executable"].as_str()?.into(),
    })
}
