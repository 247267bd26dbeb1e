//! `cargo xtask soak`: the long tests, for long.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::step::{Result, output, step};
use crate::{programs, project, setup};

/// The tests that do as much as the environment variable [`test_support::SOAK_FACTOR`] wants: the crate's folder, and the
/// name of the test program.
const LONG: [(&str, &str); 18] = [
    ("session-core", "model_memory"),
    ("session-core", "table_model"),
    ("session-core", "interleavings"),
    ("session-core", "routing"),
    ("session-redis", "model_redis"),
    ("session-redis", "interleavings"),
    ("session-redis", "crowd"),
    ("session-redis", "faults"),
    ("session-redis", "kept_copies"),
    ("session-redis", "routing"),
    ("session-twemproxy", "model_twemproxy"),
    ("session-twemproxy", "lost_replies"),
    ("fault-catalogue", "killed_redis"),
    ("examples/shop", "processes"),
    ("examples/shop", "cut_replies"),
    ("examples/shop", "twemproxy_replies"),
    ("examples/shop", "kills"),
    ("examples/shop", "busy_counters"),
];

/// How often it is told that a test is still running.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// So many times as long as in `cargo xtask test`.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    factor: u32,
    /// For what is chosen at random; another one in each soak unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// Only the tests whose name (`folder/program::test`) contains this.
    #[arg(long)]
    only: Option<String>,
    /// Only this test program, so that no other is built (may be repeated).
    #[arg(long = "program", value_parser = clap::builder::PossibleValuesParser::new(LONG.map(|(_, program)| program)))]
    programs: Vec<String>,
}

/// One test of a test program.
struct Test {
    folder: PathBuf,
    executable: PathBuf,
    /// Its name within the program.
    name: String,
    /// Its name among all.
    title: String,
}

/// Runs every long test, also after one failed, and fails if any did. What they print, their outcomes and durations are
/// written to `target/soak`.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run()?;
    let wanted = |program: &str| options.programs.is_empty() || options.programs.iter().any(|one| one == program);
    let long: Vec<_> = LONG.into_iter().filter(|(_, program)| wanted(program)).collect();
    let programs = step("building the tests", || build(&long))?;
    let mut tests = Vec::new();
    for (folder, executable, title) in programs {
        for name in list(&executable)? {
            let title = format!("{title}::{name}");
            tests.push(Test { folder: folder.clone(), executable: executable.clone(), name, title });
        }
    }
    tests.retain(|test| options.only.as_ref().is_none_or(|only| test.title.contains(only.as_str())));
    if tests.is_empty() {
        return Err("there is no such test".into());
    }

    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let seed = options.seed.unwrap_or_else(some_seed);
    let folder = project::target().join("soak");
    fs::create_dir_all(&folder)?;
    // Colons are not for file names everywhere.
    let path = folder.join(format!("{}.txt", now.replace(':', "-")));
    let mut results = File::create_new(&path)?;
    let header = header(&now, options.factor, seed);
    results.write_all(header.as_bytes())?;
    println!("\n{header}results: {}\n", path.display());

    let start = Instant::now();
    let mut summary = String::from("\nsummary\n");
    let mut failed = Vec::new();
    for (number, test) in (1..).zip(&tests) {
        println!("[{number}/{}] {}", tests.len(), test.title);
        writeln!(results, "\n--- {}", test.title)?;
        let begin = Instant::now();
        let status = test.run(options.factor, seed, &results)?;
        let outcome = if status.success() { "ok".to_owned() } else { format!("FAILED ({status})") };
        let told = format!("{outcome} after {:.1} s", begin.elapsed().as_secs_f64());
        writeln!(results, "--- {told}")?;
        writeln!(summary, "{}: {told}", test.title)?;
        println!("    {told}; {:.0} s in all", start.elapsed().as_secs_f64());
        if !status.success() {
            failed.push(test.title.as_str());
        }
    }
    writeln!(summary, "all: {} of {} failed, {:.1} s", failed.len(), tests.len(), start.elapsed().as_secs_f64())?;
    results.write_all(summary.as_bytes())?;
    println!("{summary}\nresults: {}", path.display());
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

impl Test {
    fn run(&self, factor: u32, seed: u64, results: &File) -> Result<ExitStatus> {
        let mut child = Command::new(&self.executable)
            .args(["--exact", &self.name, "--nocapture"])
            // As cargo does it.
            .current_dir(&self.folder)
            .env(test_support::SOAK_FACTOR, factor.to_string())
            .env(test_support::TEST_SEED, seed.to_string())
            .stdin(Stdio::null())
            .stdout(results.try_clone()?)
            .stderr(results.try_clone()?)
            .spawn()?;
        let begin = Instant::now();
        let mut told = begin;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if told.elapsed() >= SIGN_OF_LIFE {
                told = Instant::now();
                println!("    still running after {:.0} s", begin.elapsed().as_secs_f64());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Builds these test programs, optimised, with the checks of a test run: the crate's folder, the executable, a title.
fn build(long: &[(&str, &str)]) -> Result<Vec<(PathBuf, PathBuf, String)>> {
    let chosen = long.iter().flat_map(|(_, name)| ["--test", name]);
    let arguments: Vec<_> = ["--profile", "thorough"].into_iter().chain(chosen).collect();
    let built = programs::build(&arguments)?;
    long.iter()
        .map(|(folder, name)| {
            let program = built
                .iter()
                .find(|program| program.kind == "test" && program.name == *name && program.folder == Path::new(folder))
                .ok_or_else(|| format!("{folder} has no test program {name}"))?;
            Ok((project::root().join(folder), program.executable.clone(), format!("{folder}/{name}")))
        })
        .collect()
}

/// The names of a program's tests.
fn list(executable: &Path) -> Result<Vec<String>> {
    let listed = output(Command::new(executable).args(["--list", "--format", "terse"]))?;
    Ok(listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

fn header(now: &str, factor: u32, seed: u64) -> String {
    let told = |command: &mut Command| output(command).map_or("unknown".to_owned(), |text| text.trim_end().to_owned());
    let git = |arguments: &[&str]| output(Command::new("git").args(arguments).current_dir(project::root())).ok();
    let revision = git(&["rev-parse", "HEAD"]).map_or("none".to_owned(), |revision| {
        let changed = git(&["status", "--porcelain"]).is_none_or(|changes| !changes.is_empty());
        format!("{}{}", revision.trim_end(), if changed { ", with changes" } else { "" })
    });
    format!(
        "date: {now}\nversion: {}\nrevision: {revision}\nrustc: {}\nredis-server: {}\ncores: {}\nfactor: {factor}\n\
         seed: {seed}\n",
        env!("CARGO_PKG_VERSION"),
        told(Command::new("rustc").arg("--version")),
        told(Command::new("redis-server").arg("--version")),
        thread::available_parallelism().map_or(1, usize::from),
    )
}

/// Another one at each call, far from all others: each run of a test takes the next seed, and a soak has many of them.
fn some_seed() -> u64 {
    use std::hash::BuildHasher as _;
    std::hash::RandomState::new().hash_one(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_long_test_exists() {
        for (folder, program) in LONG {
            let tests = project::root().join(folder).join("tests");
            let sources = [tests.join(format!("{program}.rs")), tests.join(program).join("main.rs")];
            assert!(sources.iter().any(|source| source.is_file()), "{}", sources[0].display());
        }
    }

    #[test]
    fn no_test_that_takes_the_factor_is_forgotten() {
        let folders = [
            "session-core",
            "session-redis",
            "session-serde",
            "session-tower",
            "session-twemproxy",
            "fault-catalogue",
            "examples/shop",
        ];
        for (folder, tests) in folders.map(|folder| (folder, project::root().join(folder).join("tests"))) {
            let Ok(tests) = fs::read_dir(tests) else { continue };
            for path in tests.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
                let text = fs::read_to_string(&path).unwrap();
                let program = path.file_stem().unwrap().to_str().unwrap();
                let takes_it = ["soak", "sessions::", "interleavings::"];
                if takes_it.iter().any(|word| text.to_ascii_lowercase().contains(word)) {
                    assert!(LONG.contains(&(folder, program)), "{}", path.display());
                }
            }
        }
    }
}
