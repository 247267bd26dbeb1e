//! What observers are told, as it waits to be told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::{ErrorSource, Observer, SizeAt, Subject};
use crate::error::Error;
use crate::id::Fingerprint;
use crate::name::AttributeName;
use crate::provider::Traffic;

/// One call of an observer.
pub(crate) enum Event {
    Error(Subject, ErrorSource, Error),
    Written(Subject, Vec<(AttributeName, usize)>),
    Removed(Subject, Vec<AttributeName>),
    Size(Subject, SizeAt, usize),
    Created(Subject),
    Rotated(Subject, Fingerprint),
    Destroyed(Subject),
    Conflict(Subject, Vec<AttributeName>),
    Missed(u64),
    Traffic(Arc<str>, Traffic, Duration),
}

impl Event {
    /// Tells it, and swallows the observer's panic.
    pub(super) fn tell(&self, observer: &dyn Observer) {
        let call = || match self {
            Self::Error(subject, source, error) => observer.error(subject, *source, error),
            Self::Written(subject, attributes) => observer.attributes_written(subject, attributes),
            Self::Removed(subject, attributes) => observer.attributes_removed(subject, attributes),
            Self::Size(subject, at, bytes) => observer.size(subject, *at, *bytes),
            Self::Created(subject) => observer.created(subject),
            Self::Rotated(subject, from) => observer.rotated(subject, *from),
            Self::Destroyed(subject) => observer.destroyed(subject),
            Self::Conflict(subject, attributes) => observer.conflict(subject, attributes),
            Self::Missed(events) => observer.missed(*events),
            Self::Traffic(connection, traffic, over) => observer.traffic(connection, traffic, *over),
        };
        if catch_unwind(AssertUnwindSafe(call)).is_err() {
            tracing::warn!("a session observer panicked; it is told what comes next all the same");
        }
    }
}
