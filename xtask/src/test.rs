//! `cargo xtask test`: all tests, with real servers.

use crate::step::{self, Result};
use crate::{project, setup};

/// Sets the servers up, then runs the tests of the whole workspace; `arguments` are passed on to `cargo test`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::run()?;
    step::step("tests and compiled examples", || {
        step::run(project::cargo().args(["test", "--workspace", "--all-features"]).args(arguments))
    })
}
