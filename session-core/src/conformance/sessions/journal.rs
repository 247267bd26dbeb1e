//! What a run did, shown if it fails.

use std::fmt::Arguments;

/// The steps of one run, with its seed. Printed when the run panics.
pub(super) struct Journal {
    test: &'static str,
    seed: u64,
    lines: Vec<String>,
}

impl Journal {
    pub(super) fn new(test: &'static str, seed: u64) -> Self {
        Self { test, seed, lines: Vec::new() }
    }

    pub(super) fn note(&mut self, line: Arguments<'_>) {
        self.lines.push(line.to_string());
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} failed; SESSION_TEST_SEED={} runs it first. It did:", self.test, self.seed);
            for (number, line) in self.lines.iter().enumerate() {
                eprintln!("{number:4} {line}");
            }
        }
    }
}
