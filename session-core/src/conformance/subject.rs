//! The store under test, and what the suite must be able to do to it behind the provider's back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::id::Generation;
use crate::key::SessionKey;
use crate::provider::SessionProvider;

/// A store under test.
///
/// Whatever belongs to it (a server process, a folder) should live as long as the subject does.
#[async_trait]
pub trait Subject: Send + Sync + 'static {
    /// The provider under test.
    fn provider(&self) -> Arc<dyn SessionProvider>;

    /// A key that nobody used, another one at each call; [`unused_key`] makes one. It must not be longer than 128
    /// bytes, and must have an ASCII letter.
    fn unused_key(&self) -> SessionKey;

    /// Puts data that is no session at this key, without an expiry, as somebody else's program would.
    ///
    /// # Errors
    ///
    /// [`NotPossible`] if the store cannot hold such data.
    async fn put_foreign(&self, key: &SessionKey, foreign: Foreign) -> Result<(), NotPossible>;

    /// Whether the key still holds exactly what [`put_foreign`](Self::put_foreign) put there, and has no expiry.
    async fn foreign_is_intact(&self, key: &SessionKey, foreign: Foreign) -> bool;

    /// What is really kept at this key, asked past the provider: a session, a tombstone or anything else counts.
    ///
    /// # Errors
    ///
    /// [`NotPossible`] if there is no way to find out.
    async fn life(&self, key: &SessionKey) -> Result<Life, NotPossible>;
}

/// Data that is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// A value of another type than the one that sessions are kept in; in Redis a string.
    OtherType,
    /// A value of the type that sessions are kept in, but without a session's header; in Redis a hash.
    WithoutHeader,
}

/// What is kept at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Nothing is kept.
    Nothing,
    /// Something is kept that never expires.
    Endless,
    /// Something is kept that expires in this time.
    Ends(Duration),
}

/// Why a case cannot be put to a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotPossible(pub &'static str);

impl fmt::Display for NotPossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The prefix and 22 random characters.
///
/// # Panics
///
/// If that is no key, or the operating system has no randomness to give.
pub fn unused_key(prefix: &str) -> SessionKey {
    let random = Generation::generate().expect("randomness");
    SessionKey::new(format!("{prefix}{random}")).expect("a prefix that can begin a key")
}
