//! `cargo xtask`: set-up, demo, tests, measurements and checks of this workspace, one subcommand per job.

#[cfg(test)]
use secret_watch as _;

mod bench;
mod ci;
mod demo;
mod packages;
mod programs;
mod project;
mod servers;
mod setup;
mod soak;
mod step;
mod test;
mod visit;

use std::process::ExitCode;

use clap::Parser;

use crate::step::Result;

/// Set-up, demo, tests and checks of this workspace.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    /// Finds redis-server, redis-cli and nutcracker, else installs them.
    ///
    /// As root with apt-get, otherwise by unpacking the Debian packages into target/servers; on macOS with brew.
    Setup,
    /// Starts a Redis, or three behind a TwemProxy, and a small shop that keeps its sessions there, until Ctrl-C.
    Demo(demo::Options),
    /// Runs all tests, with real servers. Sets them up first, and searches what is logged for secrets.
    Test {
        /// Passed on to `cargo test`, for instance `--test pages` or `--lib -- --nocapture`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs the long tests for long, and writes the results to target/soak.
    Soak(soak::Options),
    /// Measures, and writes what was found.
    #[command(subcommand)]
    Bench(bench::Subject),
    /// Everything that has to pass: tests, format, clippy, documentation, each feature alone, dependencies, packages.
    Ci,
}

fn main() -> ExitCode {
    let task = Task::parse();
    match setup::put_servers_on_path().and_then(|()| run(task)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Setup => setup::run()?,
        Task::Demo(options) => return demo::run(&options),
        Task::Test { arguments } => test::run(&arguments)?,
        Task::Soak(options) => soak::run(&options)?,
        Task::Bench(subject) => bench::run(&subject)?,
        Task::Ci => ci::run()?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        <Task as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn arguments_are_passed_on_to_the_tests() {
        let Task::Test { arguments } = Task::parse_from(["xtask", "test", "--lib", "-q", "--", "--nocapture"]) else {
            panic!("another task");
        };
        assert_eq!(arguments, ["--lib", "-q", "--", "--nocapture"]);
    }
}
