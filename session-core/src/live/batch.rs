//! A batch of changes on its way to the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::key::SessionKey;
use crate::provider::Commit;

/// A commit that was sent and is not answered yet.
pub(crate) struct Batch {
    pub(crate) commit: Arc<Commit>,
    pub(crate) key: SessionKey,
    pub(crate) purpose: Purpose,
    /// The number of the last change that it contains.
    pub(crate) covers: u64,
    /// The expiry it asks for is for a session with this idle timeout.
    pub(crate) idle_timeout: Duration,
    /// When it was made, to be sent at once.
    pub(crate) since: Instant,
    /// How often it was sent.
    pub(crate) sent: u32,
}

/// What a batch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Changes of a stored session.
    Change,
    /// The creation of a fresh session.
    Create,
    /// The creation of the copy under a new id.
    Copy,
    /// Changes that others made to the old id meanwhile, carried to the copy.
    Carry,
}
