//! An observer that logs everything it is told through `tracing`.

#[cfg(test)]
use secret_watch as _;

use std::time::Duration;

use session_core::{AttributeName, Error, ErrorSource, Fingerprint, Observer, SizeAt, Subject, Traffic};
use tracing::field::{DisplayValue, debug, display};

/// Logs everything: what ends a user's session and what went wrong so that it is seen in production, the rest for whoever
/// looks closer. Sessions are named by the fingerprint of their id, and attributes by their names: no log has a secret.
#[derive(Debug, Clone, Copy, Default)]
pub struct Logging;

impl Observer for Logging {
    fn error(&self, subject: &Subject, source: ErrorSource, error: &Error) {
        tracing::warn!(session = session(subject), source = debug(source), %error, "error");
    }

    fn attributes_written(&self, subject: &Subject, attributes: &[(AttributeName, usize)]) {
        for (name, bytes) in attributes {
            tracing::debug!(session = session(subject), %name, bytes, "attribute written");
        }
    }

    fn attributes_removed(&self, subject: &Subject, attributes: &[AttributeName]) {
        for name in attributes {
            tracing::debug!(session = session(subject), %name, "attribute removed");
        }
    }

    fn size(&self, subject: &Subject, at: SizeAt, bytes: usize) {
        tracing::debug!(session = session(subject), at = debug(at), bytes, "size");
    }

    fn created(&self, subject: &Subject) {
        tracing::info!(session = session(subject), connection = subject.connection.as_deref(), "created");
    }

    fn rotated(&self, subject: &Subject, from: Fingerprint) {
        tracing::info!(session = session(subject), %from, "rotated");
    }

    fn destroyed(&self, subject: &Subject) {
        tracing::info!(session = session(subject), "destroyed");
    }

    fn conflict(&self, subject: &Subject, attributes: &[AttributeName]) {
        tracing::debug!(session = session(subject), attributes = debug(attributes), "conflict");
    }

    fn missed(&self, events: u64) {
        tracing::warn!(events, "logging was too slow for these");
    }

    fn traffic(&self, connection: &str, traffic: &Traffic, over: Duration) {
        let Traffic { commands_sent, replies_received, bytes_sent, bytes_received } = traffic;
        let over = debug(over);
        tracing::info!(connection, commands_sent, replies_received, bytes_sent, bytes_received, over, "traffic");
    }
}

fn session(subject: &Subject) -> Option<DisplayValue<Fingerprint>> {
    subject.session.map(display)
}
