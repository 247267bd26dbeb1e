//! The program in memory and with a real Redis: what it logs.

use secret_watch as _;

use std::process::Command;

use test_support::RedisServer;

/// What the program logs: level and text of each line, without times, sessions and figures.
fn run(arguments: &[&str]) -> (Vec<String>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_observer")).args(arguments).env_remove("RUST_LOG").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = String::from_utf8(output.stdout).unwrap();
    let lines = log.lines().filter(|line| !line.contains("traffic") && !line.contains(" size ")).map(|line| {
        let (_, line) = line.split_once("Z ").unwrap();
        let words = line.split_whitespace();
        let told =
            words.filter(|word| *word != "observer:" && !word.starts_with("session=") && !word.starts_with("from="));
        told.collect::<Vec<_>>().join(" ")
    });
    (lines.collect(), log)
}

const LOGGED: [&str; 11] = [
    "INFO created connection=\"default\"",
    "DEBUG attribute written name=cart bytes=7",
    "DEBUG attribute written name=theme bytes=6",
    "DEBUG attribute written name=cart bytes=14",
    "DEBUG conflict attributes=[\"cart\"]",
    "DEBUG attribute written name=cart bytes=22",
    "DEBUG attribute removed name=theme",
    "INFO rotated",
    "DEBUG attribute written name=user bytes=5",
    "WARN error source=Serializer error=the attribute cannot be decoded while reading an attribute, attribute \"user\": json",
    "INFO destroyed",
];

fn assert_logged(arguments: &[&str]) {
    let (mut lines, log) = run(arguments);
    // Two processes, and two attributes of one commit, in any order.
    lines.sort();
    let mut expected = LOGGED;
    expected.sort_unstable();
    assert_eq!(lines, expected, "{log}");
    let figures: Vec<_> = log.lines().filter(|line| line.contains("traffic connection=\"default\"")).collect();
    assert!(figures.len() >= 4, "twice for each of both: {log}");
    assert!(figures.iter().all(|line| line.contains("commands_sent=") && line.contains("over=")), "{log}");
    assert!(log.contains("size session=") && log.contains("at=Load") && log.contains("at=Commit"), "{log}");
    for secret in ["dark", "tea", "Ada"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn in_memory() {
    assert_logged(&[]);
}

#[test]
fn in_redis() {
    let redis = RedisServer::spawn().unwrap();
    assert_logged(&[&redis.url()]);
}
