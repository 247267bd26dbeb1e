//! `cargo xtask bench`: measurements, and the files that tell of them.

use clap::{Args, Subcommand};

use crate::step::{self, Result, step};
use crate::{project, setup};

/// What is measured.
#[derive(Subcommand)]
pub(crate) enum Subject {
    /// JSON, MessagePack and postcard, on values as people keep them in sessions; writes benches/RESULTS.md.
    ///
    /// Instructions are counted by valgrind, where that is installed.
    Serializers(Options),
    /// The steps of a provider, directly and through a TwemProxy, in the same run; with servers of its own.
    Providers,
}

/// How it is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// Measures for a moment only, and writes to target/criterion.
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(subject: &Subject) -> Result<()> {
    match subject {
        Subject::Serializers(options) => serializers(options),
        Subject::Providers => {
            setup::run()?;
            step("providers", || step::run(&mut bench("providers")))
        }
    }
}

fn serializers(options: &Options) -> Result<()> {
    step("times", || {
        let mut command = bench("serializers");
        if options.quick {
            command.args(["--", "--quick"]);
        }
        step::run(&mut command)
    })?;
    let counted = step("instructions", || step::run(&mut bench("instructions")));
    step("report", || {
        let mut command = bench("report");
        if options.quick {
            command.env("SESSION_BENCH_REPORT", project::target().join("criterion"));
        }
        step::run(&mut command)
    })?;
    // Without valgrind there is a report all the same.
    counted
}

fn bench(name: &str) -> std::process::Command {
    let mut command = project::cargo();
    command.args(["bench", "--package", "benches", "--bench", name]);
    command
}
