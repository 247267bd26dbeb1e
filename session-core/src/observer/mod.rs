//! Callbacks for what happens to sessions, and what went over connections.

mod delivery;
mod event;
mod figures;
#[cfg(feature = "metrics")]
mod metrics;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use delivery::Delivery;
pub(crate) use event::Event;
pub(crate) use figures::Figures;

#[cfg(feature = "metrics")]
pub use self::metrics::MetricsObserver;
use crate::context::RequestContext;
use crate::error::{Error, ErrorKind};
use crate::id::Fingerprint;
use crate::key::SessionKey;
use crate::name::AttributeName;
use crate::provider::Traffic;

/// How many events wait for a manager's observers at most; more are dropped.
pub const EVENTS_WAITING_AT_MOST: usize = 1024;

/// How long a shutdown waits at most until the observers were told everything.
pub const EVENTS_TOLD_WITHIN: Duration = Duration::from_secs(5);

/// Where an error arose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorSource {
    /// In the store: it failed, refused, or has the session no more.
    Provider,
    /// In encoding or decoding an attribute.
    Serializer,
    /// In the session logic itself: routing, names, limits, counters, closures.
    Accessor,
}

impl ErrorSource {
    /// Where errors of this kind arise.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Unavailable
            | ErrorKind::OutcomeUnknown
            | ErrorKind::Rejected
            | ErrorKind::Auth
            | ErrorKind::Gone
            | ErrorKind::Conflict
            | ErrorKind::ForeignKey
            | ErrorKind::Unsupported => Self::Provider,
            ErrorKind::Corrupt | ErrorKind::Encode => Self::Serializer,
            ErrorKind::NotACounter
            | ErrorKind::ReadOnly
            | ErrorKind::TooLate
            | ErrorKind::TooLarge
            | ErrorKind::InvalidId
            | ErrorKind::InvalidName
            | ErrorKind::KeyCallback
            | ErrorKind::Config
            | ErrorKind::Closure => Self::Accessor,
        }
    }
}

/// When a session's size was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SizeAt {
    /// When it was loaded.
    Load,
    /// When it was committed.
    Commit,
}

/// The session that something happened to, and the request by which it did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Subject {
    /// What stands for the session's id; none if it has none yet.
    pub session: Option<Fingerprint>,
    /// Its key in the store. It may contain the id ([`KeyDerivation::plain`](crate::KeyDerivation::plain)), so mind
    /// where you write its bytes; `Debug` hides them.
    pub key: Option<SessionKey>,
    /// The name of its connection; none if it could not be chosen.
    pub connection: Option<Arc<str>>,
    /// That of the request. Changes of several requests travel together: then it is that of the one which sent them.
    pub context: RequestContext,
}

/// Is told what happens to sessions; every method does nothing unless overridden.
///
/// All observers of a manager are called one after the other, and each event in its order, on a thread of its own,
/// which starts with the first event and ends with the manager. So one that is slow, blocks or panics harms no request;
/// it only holds up what comes after it. While [`EVENTS_WAITING_AT_MOST`] events wait, further ones are dropped and
/// counted, and [`missed`](Self::missed) is told of them as soon as the thread gets on.
///
/// [`SessionManager::shutdown`](crate::SessionManager::shutdown) waits until what happened before was told, for
/// [`EVENTS_TOLD_WITHIN`] at most. Without it, a process that ends takes along what still waits.
///
/// ```
/// # use std::sync::{Arc, Mutex};
/// # use session_core::{MemoryProvider, Observer, RequestContext, SessionManager, Subject};
/// # use session_serde::Json;
/// #[derive(Default)]
/// struct Logins(Mutex<u32>);
///
/// impl Observer for Logins {
///     fn created(&self, _: &Subject) {
///         *self.0.lock().unwrap() += 1;
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// let logins = Arc::new(Logins::default());
/// let manager = SessionManager::builder(MemoryProvider::new(), Json).observer(logins.clone()).build()?;
/// let session = manager.open(&RequestContext::default(), None).await?;
/// session.insert("user", "Ada")?;
/// session.commit().await?;
/// manager.shutdown().await;
/// assert_eq!(*logins.0.lock().unwrap(), 1);
/// # Ok(())
/// # }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// An error arose. It is also returned to the caller, or kept as the last error.
    fn error(&self, subject: &Subject, source: ErrorSource, error: &Error) {
        let _ = (subject, source, error);
    }

    /// These attributes were written, and the store has acknowledged it. With the size of their bytes; that of a
    /// counter is its text.
    fn attributes_written(&self, subject: &Subject, attributes: &[(AttributeName, usize)]) {
        let _ = (subject, attributes);
    }

    /// These attributes were removed, and the store has acknowledged it.
    fn attributes_removed(&self, subject: &Subject, attributes: &[AttributeName]) {
        let _ = (subject, attributes);
    }

    /// A session has this many bytes of names and values.
    fn size(&self, subject: &Subject, at: SizeAt, bytes: usize) {
        let _ = (subject, at, bytes);
    }

    /// A session was created.
    fn created(&self, subject: &Subject) {
        let _ = subject;
    }

    /// A session got another id; the subject has the new one.
    fn rotated(&self, subject: &Subject, from: Fingerprint) {
        let _ = (subject, from);
    }

    /// A session was destroyed.
    fn destroyed(&self, subject: &Subject) {
        let _ = subject;
    }

    /// Another process had changed attributes under an update, whose closures therefore run again.
    fn conflict(&self, subject: &Subject, attributes: &[AttributeName]) {
        let _ = (subject, attributes);
    }

    /// So many events were dropped, because earlier ones had not been dealt with.
    fn missed(&self, events: u64) {
        let _ = events;
    }

    /// This went over a connection since the last call, which was so long ago.
    ///
    /// Told for every connection that is open, every
    /// [`figures_interval`](crate::SessionManagerBuilder::figures_interval) and at the
    /// [shutdown](crate::SessionManager::shutdown), also if nothing went over it.
    fn traffic(&self, connection: &str, traffic: &Traffic, over: Duration) {
        let _ = (connection, traffic, over);
    }
}
