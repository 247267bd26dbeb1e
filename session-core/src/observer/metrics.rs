//! What observers are told, as metrics.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use super::{ErrorSource, Observer, SizeAt, Subject};
use crate::error::Error;
use crate::id::Fingerprint;
use crate::name::AttributeName;
use crate::provider::Traffic;

/// Publishes what it is told through the [`metrics`] facade, to whatever recorder the application has installed before.
/// Behind the feature `metrics`.
///
/// | name | labels | |
/// |---|---|---|
/// | `session_commands_sent_total` | `connection` | commands that were handed to the connection |
/// | `session_replies_received_total` | `connection` | replies that arrived, errors included |
/// | `session_bytes_sent_total` | `connection` | bytes that were handed to the system |
/// | `session_bytes_received_total` | `connection` | bytes that were received |
/// | `session_created_total` | `connection` | sessions created |
/// | `session_rotated_total` | `connection` | changes of a session's id |
/// | `session_destroyed_total` | `connection` | sessions destroyed |
/// | `session_conflicts_total` | `connection` | commits that met another process's change under an update, and were made again |
/// | `session_attributes_written_total` | `connection` | attributes written |
/// | `session_attributes_removed_total` | `connection` | attributes removed |
/// | `session_attribute_bytes_written_total` | `connection` | bytes of the values written |
/// | `session_size_bytes` (histogram) | `connection`, `at`: `load` or `commit` | names and values of a session |
/// | `session_errors_total` | `connection`, `source`: `provider`, `serializer` or `accessor`, `kind`: of [`ErrorKind`] | errors |
/// | `session_events_missed_total` | | events dropped because observers were too slow |
///
/// Where no connection could be chosen, `connection` is empty. Nothing that stands for a session is ever a label.
/// What went over connections is published every
/// [`figures_interval`](crate::SessionManagerBuilder::figures_interval).
///
/// ```
/// # use std::sync::Arc;
/// # use session_core::{MemoryProvider, MetricsObserver, SessionManager};
/// # use session_serde::Json;
/// # fn f() -> session_core::Result<()> {
/// let manager = SessionManager::builder(MemoryProvider::new(), Json).observer(Arc::new(MetricsObserver::new())).build()?;
/// # Ok(())
/// # }
/// ```
///
/// [`ErrorKind`]: crate::ErrorKind
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MetricsObserver;

const COMMANDS_SENT: &str = "session_commands_sent_total";
const REPLIES_RECEIVED: &str = "session_replies_received_total";
const BYTES_SENT: &str = "session_bytes_sent_total";
const BYTES_RECEIVED: &str = "session_bytes_received_total";
const CREATED: &str = "session_created_total";
const ROTATED: &str = "session_rotated_total";
const DESTROYED: &str = "session_destroyed_total";
const CONFLICTS: &str = "session_conflicts_total";
const ATTRIBUTES_WRITTEN: &str = "session_attributes_written_total";
const ATTRIBUTES_REMOVED: &str = "session_attributes_removed_total";
const ATTRIBUTE_BYTES_WRITTEN: &str = "session_attribute_bytes_written_total";
const SIZE: &str = "session_size_bytes";
const ERRORS: &str = "session_errors_total";
const EVENTS_MISSED: &str = "session_events_missed_total";

impl MetricsObserver {
    /// Describes the metrics to the recorder.
    pub fn new() -> Self {
        describe_counter!(COMMANDS_SENT, Unit::Count, "Commands handed to the connection");
        describe_counter!(REPLIES_RECEIVED, Unit::Count, "Replies that arrived, errors included");
        describe_counter!(BYTES_SENT, Unit::Bytes, "Bytes handed to the system");
        describe_counter!(BYTES_RECEIVED, Unit::Bytes, "Bytes received");
        describe_counter!(CREATED, Unit::Count, "Sessions created");
        describe_counter!(ROTATED, Unit::Count, "Changes of a session's id");
        describe_counter!(DESTROYED, Unit::Count, "Sessions destroyed");
        describe_counter!(CONFLICTS, Unit::Count, "Commits made again after another process's change");
        describe_counter!(ATTRIBUTES_WRITTEN, Unit::Count, "Attributes written");
        describe_counter!(ATTRIBUTES_REMOVED, Unit::Count, "Attributes removed");
        describe_counter!(ATTRIBUTE_BYTES_WRITTEN, Unit::Bytes, "Bytes of the values written");
        describe_histogram!(SIZE, Unit::Bytes, "Names and values of a session");
        describe_counter!(ERRORS, Unit::Count, "Errors");
        describe_counter!(EVENTS_MISSED, Unit::Count, "Events dropped because observers were too slow");
        Self
    }
}

impl Default for MetricsObserver {
    /// As [`new`](Self::new).
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for MetricsObserver {
    fn error(&self, subject: &Subject, source: ErrorSource, error: &Error) {
        let source = match source {
            ErrorSource::Provider => "provider",
            ErrorSource::Serializer => "serializer",
            ErrorSource::Accessor => "accessor",
        };
        let kind = format!("{:?}", error.kind());
        counter!(ERRORS, "connection" => connection(subject), "source" => source, "kind" => kind).increment(1);
    }

    fn attributes_written(&self, subject: &Subject, attributes: &[(AttributeName, usize)]) {
        let bytes: usize = attributes.iter().map(|(_, bytes)| bytes).sum();
        counter!(ATTRIBUTES_WRITTEN, "connection" => connection(subject)).increment(count(attributes.len()));
        counter!(ATTRIBUTE_BYTES_WRITTEN, "connection" => connection(subject)).increment(count(bytes));
    }

    fn attributes_removed(&self, subject: &Subject, attributes: &[AttributeName]) {
        counter!(ATTRIBUTES_REMOVED, "connection" => connection(subject)).increment(count(attributes.len()));
    }

    fn size(&self, subject: &Subject, at: SizeAt, bytes: usize) {
        let at = match at {
            SizeAt::Load => "load",
            SizeAt::Commit => "commit",
        };
        // Exact up to 2^53.
        histogram!(SIZE, "connection" => connection(subject), "at" => at).record(bytes as f64);
    }

    fn created(&self, subject: &Subject) {
        counter!(CREATED, "connection" => connection(subject)).increment(1);
    }

    fn rotated(&self, subject: &Subject, _: Fingerprint) {
        counter!(ROTATED, "connection" => connection(subject)).increment(1);
    }

    fn destroyed(&self, subject: &Subject) {
        counter!(DESTROYED, "connection" => connection(subject)).increment(1);
    }

    fn conflict(&self, subject: &Subject, _: &[AttributeName]) {
        counter!(CONFLICTS, "connection" => connection(subject)).increment(1);
    }

    fn missed(&self, events: u64) {
        counter!(EVENTS_MISSED).increment(events);
    }

    fn traffic(&self, connection: &str, traffic: &Traffic, _: Duration) {
        let connection: Arc<str> = connection.into();
        for (name, value) in [
            (COMMANDS_SENT, traffic.commands_sent),
            (REPLIES_RECEIVED, traffic.replies_received),
            (BYTES_SENT, traffic.bytes_sent),
            (BYTES_RECEIVED, traffic.bytes_received),
        ] {
            counter!(name, "connection" => Arc::clone(&connection)).increment(value);
        }
    }
}

fn connection(subject: &Subject) -> Arc<str> {
    subject.connection.clone().unwrap_or_default()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
