//! `cargo xtask bench`: what sessions cost.

use crate::step::{self, Result, step};
use crate::{project, setup};

/// Sets the servers up, then runs the benches of these names; all, if none is given.
pub(crate) fn run(names: &[String]) -> Result<()> {
    setup::run()?;
    step("benches", || {
        let names = names.iter().flat_map(|name| ["--bench", name]);
        step::run(project::cargo().args(["bench", "--package", "benches"]).args(names))
    })
}
