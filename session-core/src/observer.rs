//! Callbacks for what happens to sessions.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::error::Error;
use crate::id::Fingerprint;
use crate::name::AttributeName;
use crate::provider::Traffic;

/// Where an error arose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorSource {
    /// In the store.
    Provider,
    /// In encoding or decoding an attribute.
    Serializer,
    /// In the session logic itself: routing, limits, closures.
    Accessor,
}

/// When a session's size was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SizeAt {
    /// When it was loaded.
    Load,
    /// When it was committed.
    Commit,
}

/// Is told what happens to sessions; every method does nothing unless overridden.
///
/// Called on the request's own task, so it should be quick. A panic is caught and harms nothing. Sessions are named by
/// the fingerprint of their id.
pub trait Observer: Send + Sync + 'static {
    /// An error arose. It is also returned to the caller, or kept as the last error.
    fn error(&self, source: ErrorSource, session: Option<Fingerprint>, error: &Error) {
        let _ = (source, session, error);
    }

    /// These attributes were written, and the store has acknowledged it. With the size of their bytes; that of a
    /// counter is its text.
    fn attributes_written(&self, session: Fingerprint, attributes: &[(AttributeName, usize)]) {
        let _ = (session, attributes);
    }

    /// These attributes were removed, and the store has acknowledged it.
    fn attributes_removed(&self, session: Fingerprint, attributes: &[AttributeName]) {
        let _ = (session, attributes);
    }

    /// A session has this many bytes of names and values.
    fn size(&self, session: Fingerprint, at: SizeAt, bytes: usize) {
        let _ = (session, at, bytes);
    }

    /// A session was created.
    fn created(&self, session: Fingerprint) {
        let _ = session;
    }

    /// A session got another id.
    fn rotated(&self, from: Fingerprint, to: Fingerprint) {
        let _ = (from, to);
    }

    /// A session was destroyed.
    fn destroyed(&self, session: Fingerprint) {
        let _ = session;
    }

    /// This went over a connection since the last call, which was so long ago.
    ///
    /// Told for every connection that is open, every
    /// [`figures_interval`](crate::SessionManagerBuilder::figures_interval).
    fn traffic(&self, connection: &str, traffic: &Traffic, over: Duration) {
        let _ = (connection, traffic, over);
    }

    /// Another process had changed attributes under an update, whose closures therefore run again.
    fn conflict(&self, session: Fingerprint, attributes: &[AttributeName]) {
        let _ = (session, attributes);
    }
}

/// The observer that does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Silent;

impl Observer for Silent {}

/// Calls the observer and swallows its panic.
pub(crate) fn tell(observer: &dyn Observer, call: impl FnOnce(&dyn Observer)) {
    if catch_unwind(AssertUnwindSafe(|| call(observer))).is_err() {
        tracing::warn!("a session observer panicked; the request goes on");
    }
}
