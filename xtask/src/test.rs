//! `cargo xtask test`: all tests, with real servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::programs::Program;
use crate::step::{self, Result, step};
use crate::{programs, project, setup};

/// The environment variable with the folder where each test program tells how much it has searched: the one that
/// `secret_watch` reads, which is for test programs only and not linked here.
const REPORTS: &str = "SECRET_WATCH_REPORTS";

/// Sets the servers up, then runs the tests of the whole workspace; `arguments` are passed on to `cargo test`. Each test
/// program searches what it logs, at every level, for secrets, and fails at the first; here it is made sure that each
/// did.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::run()?;
    let chosen = arguments.split(|argument| argument == "--").next().unwrap_or_default();
    // Examples in the documentation are built and run by rustdoc, and log nothing here.
    let searching = !chosen.iter().any(|argument| argument == "--doc" || argument == "--no-run");
    let programs = if searching { step("building the tests", || programs::build(chosen))? } else { Vec::new() };
    let reports = project::target().join("secret-watch");
    if reports.exists() {
        fs::remove_dir_all(&reports)?;
    }
    fs::create_dir_all(&reports)?;
    step("tests and compiled examples", || {
        let mut tests = project::cargo();
        tests.args(["test", "--workspace", "--all-features"]).args(arguments).env(REPORTS, &reports);
        step::run(&mut tests)
    })?;
    if searching { step("secrets in what the tests logged", || sum_up(&programs, &read(&reports)?)) } else { Ok(()) }
}

/// How many records each program has searched, by the name of its file.
fn read(reports: &Path) -> Result<BTreeMap<String, u64>> {
    let mut searched = BTreeMap::new();
    for report in fs::read_dir(reports)? {
        let report = report?;
        let name = report.file_name().into_string().map_err(|name| format!("no name of a report: {name:?}"))?;
        let (program, _process) = name.rsplit_once('.').ok_or_else(|| format!("no name of a report: {name}"))?;
        *searched.entry(program.to_owned()).or_default() += fs::read_to_string(report.path())?.parse::<u64>()?;
    }
    Ok(searched)
}

fn sum_up(programs: &[Program], searched: &BTreeMap<String, u64>) -> Result<()> {
    let searches = |program: &&Program| {
        let name = program.executable.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| searched.contains_key(name))
    };
    let without: Vec<String> = programs
        .iter()
        .filter(|program| !searches(program))
        .map(|program| format!("{} ({} {})", program.folder.display(), program.kind, program.name))
        .collect();
    if !without.is_empty() {
        return Err(format!(
            "nobody searches what is logged by the tests of {}: each needs the line `use secret_watch as _;`",
            without.join(", ")
        )
        .into());
    }
    let records: u64 = searched.values().sum();
    println!("    {records} records of {} programs, at every level: no id, value or password", programs.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(file: &str) -> Program {
        Program {
            folder: "session-core".into(),
            kind: "test".to_owned(),
            name: "races".to_owned(),
            executable: Path::new("/target/debug/deps").join(file),
        }
    }

    #[test]
    fn a_program_that_does_not_search_is_named() {
        let searched = BTreeMap::from([("races-1".to_owned(), 5)]);
        sum_up(&[program("races-1")], &searched).unwrap();
        let error = sum_up(&[program("races-1"), program("races-2")], &searched).unwrap_err();
        assert!(error.to_string().contains("session-core (test races)"), "{error}");
    }

    #[test]
    fn reports_of_one_program_are_added() {
        let folder = project::target().join(format!("reports-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (file, records) in [("races-1.17", "5"), ("races-1.18", "2"), ("ends-3.19", "0")] {
            fs::write(folder.join(file), records).unwrap();
        }
        let searched = read(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(searched, BTreeMap::from([("ends-3".to_owned(), 0), ("races-1".to_owned(), 7)]));
    }

    #[test]
    fn both_sides_mean_the_same_folder() {
        assert_eq!(REPORTS, secret_watch::REPORTS);
    }
}
