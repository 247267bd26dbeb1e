//! A program that logs a secret ends at once, and says where: this one starts itself again for each way to do so.

use std::env;
use std::error::Error;
use std::fmt;
use std::process::Command;

use secret_watch::{REPORTS, record, search_output, watch};

/// Tells the program started again which way to take.
const LEAK: &str = "SECRET_WATCH_LEAK";

const ID: &str = "zK3-bX_0aQ9wYt5LrE7uHn2mVd8sGc4jFp6iOo1Aq0M";
const PASSWORD: &str = "open sesame";

#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it failed")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PASSWORD)
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl Error for Inner {}

/// Ways to log a secret.
const LEAKS: &[(&str, fn())] = &[
    ("message", || tracing::trace!("the session is {ID}")),
    ("text field", || tracing::debug!(key = ID, "loading")),
    ("shown field", || tracing::error!(key = %format!("session:{ID}"), "loading")),
    ("debug field", || tracing::info!(id = ?[7_u8; 32], "loading")),
    ("span", || drop(tracing::trace_span!("request", id = ID).entered())),
    ("late field of a span", || {
        let span = tracing::info_span!("request", id = tracing::field::Empty);
        span.record("id", ID);
    }),
    ("source of an error", || {
        watch(PASSWORD);
        let error = Outer(Inner);
        tracing::warn!(error = &error as &(dyn Error + 'static), "not connected");
    }),
    ("watched secret", || {
        watch(PASSWORD);
        tracing::warn!(settings = ?[PASSWORD], "wrong");
    }),
    ("watched secret in other digits", || {
        watch(PASSWORD);
        tracing::warn!("redis://:open%20sesame@localhost");
    }),
    ("log", || log::log!(target: "redis", log::Level::Trace, "SET {ID}")),
    ("other thread", || {
        let logging = std::thread::spawn(|| tracing::debug!(ID, "loading"));
        assert!(logging.join().is_err(), "the program has ended");
    }),
    ("other program", || {
        search_output("another program", ID.as_bytes(), |_| {});
        std::thread::sleep(std::time::Duration::from_secs(10));
    }),
];

#[test]
fn whoever_logs_a_secret_is_ended() {
    if let Ok(chosen) = env::var(LEAK) {
        LEAKS.iter().find(|(name, _)| *name == chosen).unwrap().1();
        return;
    }
    for (name, _) in LEAKS {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "whoever_logs_a_secret_is_ended"])
            .env(LEAK, name)
            .env_remove(REPORTS)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name}: {told}");
        assert!(told.contains("A secret was logged"), "{name}: {told}");
        let origins =
            ["at: secret-watch/tests/leaks.rs:", "at: a field that was recorded later", "at: another program"];
        assert!(origins.iter().any(|origin| told.contains(origin)), "{name}: {told}");
    }
}

#[test]
fn a_recording_has_what_was_logged_meanwhile() {
    tracing::info!("before it began");
    let recording = record();
    let span = tracing::info_span!("request", number = 1);
    span.in_scope(|| tracing::trace!(value = 2, "inside"));
    log::log!(log::Level::Debug, "by log");
    let text = recording.text();
    for expected in ["request number=1", "inside", "value=2", "by log"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("before it began"));
}
