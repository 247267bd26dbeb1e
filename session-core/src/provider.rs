//! The trait of session stores, and what crosses it: stored sessions, commits and their outcomes.
//!
//! A provider sees bytes, never values. Every method is one atomic step on one key, and every step but loading can be
//! sent again unchanged without doing anything twice. All times are durations or the store's own clock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::id::{Fingerprint, Generation, WriterId};
use crate::key::SessionKey;
use crate::name::AttributeName;

/// Keeps encoded sessions.
///
/// # Errors
///
/// All methods: [`Unavailable`](crate::ErrorKind::Unavailable) only if the request was surely not executed,
/// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) if it was sent and not answered,
/// [`Rejected`](crate::ErrorKind::Rejected) if the store refused for now without executing anything,
/// [`ForeignKey`](crate::ErrorKind::ForeignKey) if the key holds something that is not a session; it is left as it is.
/// A provider does not retry on a schedule: the [`SessionManager`](crate::SessionManager) does.
#[async_trait]
pub trait SessionProvider: Send + Sync + 'static {
    /// What this provider can do, and its limits.
    fn capabilities(&self) -> Capabilities;

    /// What went over its connections since it was made. A provider without connections answers zeros, which is what
    /// is done unless overridden.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }

    /// Reads a whole session. Writes nothing. `writer` is the asker: the answer tells its newest sequence number found.
    async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded>;

    /// Reads which state a session is in, without its attributes. Writes nothing.
    async fn check(&self, key: &SessionKey) -> Result<Checked>;

    /// Writes changes, all or none, with their expiry.
    ///
    /// Checked before the first write, in this order: the generation is missing or another: [`Committed::Gone`]. The
    /// writer's sequence number is not new: [`Committed::Already`]. An attribute under [`Action::Replace`] no longer
    /// holds the bytes seen: [`Committed::Conflict`]. An attribute under [`Action::Increment`] is no counter or would
    /// leave the range: [`Committed::NotACounter`]. Else it writes, raises the version by one, sets the expiry:
    /// [`Committed::Done`].
    ///
    /// A conflict, or what is no counter, uses up the number of a batch that is [`repeated`](Commit::repeated): its sender
    /// goes on with another one, so an earlier copy that is still on its way must not be written, even if the attributes
    /// are again as it wants them. Any batch of the writer with this number or a lower one that was not written is
    /// answered [`Committed::Conflict`] from then on, with no attribute where none is in its way. The version stays, and so
    /// does the expiry.
    ///
    /// With [`Commit::creation`], a key that holds nothing is made a session first; nothing is created in place of a
    /// tombstone or past its deadline ([`Committed::Gone`]), or of another session (an error of kind `ForeignKey`). Where
    /// the session is there already, it is changed like any other; if the batch is [`repeated`](Commit::repeated), the
    /// session is marked, also when everything had been written before.
    async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed>;

    /// Sets the expiry of a session if it still has this generation. Does not raise the version.
    async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed>;

    /// Ends a session if it still has this generation.
    ///
    /// It leaves nothing, except where a creation was sent twice or may still be under way
    /// ([`Destruction::leave_tombstone`], or the session is marked by [`Commit::repeated`]): there a tombstone stays
    /// for [`TOMBSTONE_AFTER_REPEATED_CREATION`], so that a late copy of the creation finds it; one that is there
    /// already stays as long from now. A provider that sends the request again by itself may find nothing the second
    /// time, and answer [`Destroyed::NothingFound`].
    async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed>;

    /// Ends a session in favour of a successor under another key: makes it a tombstone for
    /// [`TOMBSTONE_AFTER_ROTATION`] (a marked one: [`TOMBSTONE_AFTER_REPEATED_CREATION`]), if nobody changed it since
    /// `version`.
    async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired>;
}

#[async_trait]
impl<P: SessionProvider + ?Sized> SessionProvider for Arc<P> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn traffic(&self) -> Traffic {
        (**self).traffic()
    }

    async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded> {
        (**self).load(key, writer).await
    }

    async fn check(&self, key: &SessionKey) -> Result<Checked> {
        (**self).check(key).await
    }

    async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        (**self).commit(key, commit).await
    }

    async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed> {
        (**self).renew(key, renewal).await
    }

    async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        (**self).destroy(key, destruction).await
    }

    async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired> {
        (**self).retire(key, retirement).await
    }
}

/// How long a retired session's tombstone stays: longer than requests that still carry the old id take to arrive.
pub const TOMBSTONE_AFTER_ROTATION: Duration = Duration::from_secs(60);

/// How long the tombstone of a session stays whose creation was sent more than once.
pub const TOMBSTONE_AFTER_REPEATED_CREATION: Duration = Duration::from_secs(5 * 60);

/// A writer's sequence number in the header may be forgotten once it is older than this.
pub const WRITER_KEPT_FOR: Duration = Duration::from_secs(10 * 60);

/// A batch is never sent again later than this after its first sending; well below [`WRITER_KEPT_FOR`].
pub const RESEND_AT_MOST: Duration = Duration::from_secs(5 * 60);

/// The largest magnitude of a counter and of one increment: eighteen decimal digits.
///
/// Any sum of two such numbers fits an `i64`, so a store can check before it writes that an increment cannot fail.
pub const COUNTER_LIMIT: i64 = 999_999_999_999_999_999;

/// What a provider can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The longest key it takes, in bytes.
    pub max_key_bytes: usize,
    /// The longest attribute value it takes, in bytes.
    pub max_value_bytes: usize,
    /// How long one call may take at most before it answers an error.
    pub operation_timeout: Duration,
    /// Whether the server can tell its clients of changes unasked: a Redis that is reached directly can; a TwemProxy
    /// forwards nothing of the kind, and a store in memory has no server. What needs it answers
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without it, before anything is sent.
    /// [`SessionManager::capabilities`](crate::SessionManager::capabilities) tells it beforehand.
    pub server_push: bool,
}

impl Capabilities {
    /// No limits beyond those of keys and memory, an operation timeout of one second, and no server that speaks unasked.
    pub const fn unlimited() -> Self {
        Self {
            max_key_bytes: SessionKey::MAX_LENGTH,
            max_value_bytes: usize::MAX,
            operation_timeout: Duration::from_secs(1),
            server_push: false,
        }
    }

    /// The same, with a server that can tell its clients of changes unasked, or without.
    #[must_use]
    pub const fn with_server_push(mut self, server_push: bool) -> Self {
        self.server_push = server_push;
        self
    }

    /// The same with another operation timeout.
    #[must_use]
    pub const fn with_operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// The same with another longest key.
    #[must_use]
    pub const fn with_max_key_bytes(mut self, bytes: usize) -> Self {
        self.max_key_bytes = bytes;
        self
    }

    /// The same with another longest value.
    #[must_use]
    pub const fn with_max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }
}

/// What went over connections: commands, the replies to them, and bytes in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Commands that were handed to a connection.
    pub commands_sent: u64,
    /// Replies that arrived, errors included.
    pub replies_received: u64,
    /// Bytes that were handed to the system, those of connecting included; before encryption.
    pub bytes_sent: u64,
    /// Bytes that were received, those of connecting included; after decryption.
    pub bytes_received: u64,
}

impl Traffic {
    /// What was added since an earlier count.
    ///
    /// ```
    /// # use session_core::Traffic;
    /// let earlier = Traffic { commands_sent: 2, replies_received: 2, bytes_sent: 60, bytes_received: 9 };
    /// let now = Traffic { commands_sent: 5, ..earlier };
    /// assert_eq!(now.since(&earlier), Traffic { commands_sent: 3, ..Traffic::default() });
    /// ```
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            commands_sent: self.commands_sent.saturating_sub(earlier.commands_sent),
            replies_received: self.replies_received.saturating_sub(earlier.replies_received),
            bytes_sent: self.bytes_sent.saturating_sub(earlier.bytes_sent),
            bytes_received: self.bytes_received.saturating_sub(earlier.bytes_received),
        }
    }
}

/// What a store knows of a session beside its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name of this life of the session.
    pub generation: Generation,
    /// Raised by one with every effective commit.
    pub version: u64,
    /// Of the id it was created for.
    pub fingerprint: Fingerprint,
    /// When it was created, in milliseconds since 1970 by the store's clock.
    pub created: u64,
    /// When it ends whatever happens, in milliseconds since 1970 by the store's clock.
    pub deadline: Option<u64>,
    /// Its own idle timeout, where it was overridden.
    pub idle_timeout: Option<Duration>,
}

/// A session as a store keeps it. `Debug` shows no values.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// What is known of it.
    pub header: Header,
    /// Its attributes, in no order, as slices of the buffer they arrived in.
    pub attributes: Vec<(AttributeName, Bytes)>,
    /// How long it will live if nothing happens; zero if the store found no expiry on it.
    pub remaining: Duration,
    /// The newest sequence number that the asking writer has written; not one that was refused.
    pub written: Option<u64>,
}

impl StoredSession {
    /// The bytes of its attributes, names and values.
    pub(crate) fn size(&self) -> usize {
        self.attributes.iter().map(|(name, value)| name.as_bytes().len() + value.len()).sum()
    }
}

impl fmt::Debug for StoredSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { header, attributes, remaining, written } = self;
        f.debug_struct("StoredSession")
            .field("header", header)
            .field("attributes", &attributes.len())
            .field("remaining", remaining)
            .field("written", written)
            .finish()
    }
}

/// What was found by [`SessionProvider::load`].
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// Nothing.
    Absent,
    /// A session that has ended.
    Tombstone,
    /// A session.
    Session(StoredSession),
}

/// What was found by [`SessionProvider::check`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// No session: nothing, a tombstone, or something foreign. [`SessionProvider::load`] tells which.
    Missing,
    /// A session in this state.
    Present {
        /// Its generation.
        generation: Generation,
        /// Its version.
        version: u64,
        /// How long it will live if nothing happens; zero if the store found no expiry on it.
        remaining: Duration,
    },
}

/// A batch of changes to one session. `Debug` shows no values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The session's generation: given for a creation, expected otherwise.
    pub generation: Generation,
    /// Who writes.
    pub writer: WriterId,
    /// The writer's number for this batch: greater than all it has used for this session. A batch that is sent again
    /// keeps its number.
    pub sequence: u64,
    /// Whether this batch was sent before, by its sender or by the provider itself. A creation that is sent again marks
    /// the session; a refusal of what is sent again uses up the number.
    pub repeated: bool,
    /// What a creation needs; `None` to change an existing session.
    pub creation: Option<Creation>,
    /// The changes, each to another attribute.
    pub changes: Vec<Change>,
    /// A change of the session's own idle timeout, in whole milliseconds from 1 to 100 years: `Some(None)` removes the
    /// override.
    pub idle_timeout: Option<Option<Duration>>,
    /// How long the session shall live from now; the store shortens it to the deadline.
    pub time_to_live: Duration,
}

impl Commit {
    /// The bytes of the changed attributes, names and new values.
    pub(crate) fn size(&self) -> usize {
        let size = |change: &Change| {
            let value = match &change.action {
                Action::Set(value) | Action::Replace { value: Some(value), .. } => value.len(),
                Action::Replace { value: None, .. } | Action::Remove | Action::Increment(_) => 0,
            };
            change.name.as_bytes().len() + value
        };
        self.changes.iter().map(size).sum()
    }
}

/// What is written when a session is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Of the id.
    pub fingerprint: Fingerprint,
    /// When the session was created, in milliseconds since 1970 by the store's clock; `None`: now.
    pub created: Option<u64>,
    /// When it ends whatever happens.
    pub deadline: Deadline,
}

/// The latest end of a session that is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// None.
    Never,
    /// This long after now.
    After(Duration),
    /// At this time, in milliseconds since 1970 by the store's clock; that of the session which is succeeded.
    At(u64),
}

/// A change of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which one.
    pub name: AttributeName,
    /// What becomes of it.
    pub action: Action,
}

/// What becomes of an attribute. `Debug` shows no values.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// It holds these bytes, whatever it held.
    Set(Bytes),
    /// It is not there any more, whatever it held.
    Remove,
    /// The number is added to the counter it holds; an attribute that is not there counts as 0.
    Increment(i64),
    /// It holds `value` (or is removed) if it still holds what was `seen` (`None`: was not there).
    Replace {
        /// What it must still hold.
        seen: Option<Bytes>,
        /// What it then holds.
        value: Option<Bytes>,
    },
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(value) => write!(f, "Set({} bytes)", value.len()),
            Self::Remove => f.write_str("Remove"),
            Self::Increment(_) => f.write_str("Increment(..)"),
            Self::Replace { seen, value } => {
                let length = |bytes: &Option<Bytes>| bytes.as_ref().map(Bytes::len);
                write!(f, "Replace({:?} bytes by {:?} bytes)", length(seen), length(value))
            }
        }
    }
}

/// What became of a [`SessionProvider::commit`].
#[must_use]
#[derive(Clone, PartialEq, Eq)]
pub enum Committed {
    /// Everything was written.
    Done {
        /// The version before the write; 0 for a creation. If the writer knew another one, its copy is incomplete.
        found: u64,
        /// The new values of the incremented counters as decimal text, in the order of their changes.
        counters: Vec<Bytes>,
        /// How long the session lives now.
        remaining: Duration,
    },
    /// Everything had been written before, by an earlier sending of the same batch.
    Already {
        /// The present values of the incremented attributes, in the order of their changes; others may have changed
        /// them since.
        counters: Vec<Option<Bytes>>,
        /// How long the session will live if nothing happens.
        remaining: Duration,
    },
    /// Nothing was written: the session is not there any more.
    Gone,
    /// Nothing was written: these attributes (index into the changes) do not hold what was seen, but this. None if only
    /// the number is used up.
    Conflict(Vec<(usize, Option<Bytes>)>),
    /// Nothing was written: these attributes (index into the changes) cannot be incremented. With their present bytes.
    NotACounter(Vec<(usize, Option<Bytes>)>),
}

impl fmt::Debug for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { found, counters: _, remaining } => {
                f.debug_struct("Done").field("found", found).field("remaining", remaining).finish_non_exhaustive()
            }
            Self::Already { remaining, .. } => {
                f.debug_struct("Already").field("remaining", remaining).finish_non_exhaustive()
            }
            Self::Gone => f.write_str("Gone"),
            Self::Conflict(which) => write!(f, "Conflict({})", which.len()),
            Self::NotACounter(which) => write!(f, "NotACounter({})", which.len()),
        }
    }
}

/// A renewal of a session's expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The session's generation.
    pub generation: Generation,
    /// How long it shall live from now; the store shortens it to the deadline.
    pub time_to_live: Duration,
}

/// What became of a [`SessionProvider::renew`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// The session lives this long now.
    Done {
        /// From now.
        remaining: Duration,
    },
    /// The session is not there any more.
    Gone,
}

/// The end of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destruction {
    /// The session's generation.
    pub generation: Generation,
    /// Leave a tombstone even if there is nothing, because a creation may still be under way.
    pub leave_tombstone: bool,
}

/// What became of a [`SessionProvider::destroy`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destroyed {
    /// The session was there and is not any more.
    Done,
    /// There was no such session.
    NothingFound,
}

/// The end of a session in favour of its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    /// The session's generation.
    pub generation: Generation,
    /// The version up to which the successor has its changes.
    pub version: u64,
    /// The successor's generation, by which a repeated retirement recognises its own tombstone.
    pub successor: Generation,
}

/// What became of a [`SessionProvider::retire`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retired {
    /// The old key is a tombstone in favour of this successor.
    Done,
    /// Somebody changed the session since; nothing was written.
    Changed,
    /// The session is not there any more; nothing was written.
    Gone,
}
