//! What a run of all cases found.

use std::fmt;

use tokio::task::JoinError;

use super::{NotPossible, Outcome};

/// What a run of all cases found, by the cases' names.
#[must_use]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The promises that were kept.
    pub passed: Vec<&'static str>,
    /// The promises that were broken, with what was found.
    pub failed: Vec<(&'static str, String)>,
    /// The cases that could not be put to the subject, with the reason.
    pub not_possible: Vec<(&'static str, NotPossible)>,
}

impl Report {
    pub(super) fn add(&mut self, name: &'static str, outcome: Result<Outcome, JoinError>) {
        match outcome {
            Ok(Ok(())) => self.passed.push(name),
            Ok(Err(why)) => self.not_possible.push((name, why)),
            Err(error) => self.failed.push((name, text(error))),
        }
    }
}

/// What the case said when it panicked.
fn text(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "cancelled".to_owned() };
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or("it panicked").to_owned(),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, not_possible } = self;
        writeln!(f, "{} passed, {} failed, {} not possible", passed.len(), failed.len(), not_possible.len())?;
        for (name, text) in failed {
            writeln!(f, "failed: {name}: {text}")?;
        }
        for (name, why) in not_possible {
            writeln!(f, "not possible: {name}: {why}")?;
        }
        Ok(())
    }
}
