//! From a session id to the key under which the store keeps the session.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::context::RequestContext;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::id::SessionId;

/// The key of a session in its store. Compared byte for byte.
///
/// A key may contain the id (see [`KeyDerivation::plain`]), so `Debug` shows only its length.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionKey(Bytes);

impl SessionKey {
    /// The longest key, in bytes.
    pub const MAX_LENGTH: usize = 1024;

    /// Makes a key of these bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyCallback`] if it is empty, longer than [`MAX_LENGTH`](Self::MAX_LENGTH), or contains a
    /// control character.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        let wrong = |why| Err(Error::new(ErrorKind::KeyCallback, Operation::Route, why));
        if bytes.is_empty() {
            return wrong("the key is empty");
        }
        if bytes.len() > Self::MAX_LENGTH {
            return wrong("the key is longer than 1,024 bytes");
        }
        if bytes.iter().any(u8::is_ascii_control) {
            return wrong("the key contains a control character");
        }
        Ok(Self(bytes))
    }

    /// The bytes that the store sees.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({} bytes)", self.0.len())
    }
}

type Callback = dyn Fn(&RequestContext, &SessionId) -> Result<SessionKey> + Send + Sync;

/// How keys are made of ids.
///
/// Applications that share one Redis give each its own prefix:
///
/// ```
/// # use session_core::{KeyDerivation, RequestContext, SessionId};
/// let shop = KeyDerivation::hashed("shop:");
/// let blog = KeyDerivation::hashed("blog:");
/// let (context, id) = (RequestContext::default(), SessionId::generate()?);
/// assert_ne!(shop.derive(&context, &id)?, blog.derive(&context, &id)?);
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyDerivation(Rule);

#[derive(Clone)]
enum Rule {
    Hashed(Arc<str>),
    Plain(Arc<str>),
    Custom(Arc<Callback>),
}

impl Default for KeyDerivation {
    /// [`hashed`](Self::hashed) with the prefix `session:`.
    fn default() -> Self {
        Self::hashed("session:")
    }
}

impl KeyDerivation {
    /// The prefix, then the base64url SHA-256 of the id's text: who can read the store cannot use what he reads.
    pub fn hashed(prefix: impl Into<Arc<str>>) -> Self {
        Self(Rule::Hashed(prefix.into()))
    }

    /// The prefix, then the id itself. Whoever can list the store's keys can take over every session.
    pub fn plain(prefix: impl Into<Arc<str>>) -> Self {
        Self(Rule::Plain(prefix.into()))
    }

    /// Any other rule. It must answer the same for the life of a session, and never map two ids to one key: that is
    /// detected, and no data is handed out.
    ///
    /// ```
    /// # use session_core::{KeyDerivation, RequestContext, SessionId, SessionKey};
    /// struct Tenant(&'static str);
    /// let keys = KeyDerivation::custom(|context, id| {
    ///     let tenant = context.get::<Tenant>().map_or("main", |tenant| tenant.0);
    ///     SessionKey::new(format!("{tenant}:{}", id.fingerprint()))
    /// });
    /// let id = SessionId::generate()?;
    /// let key = keys.derive(&RequestContext::new(Tenant("north")), &id)?;
    /// assert!(key.as_bytes().starts_with(b"north:"));
    /// # Ok::<(), session_core::Error>(())
    /// ```
    pub fn custom(rule: impl Fn(&RequestContext, &SessionId) -> Result<SessionKey> + Send + Sync + 'static) -> Self {
        Self(Rule::Custom(Arc::new(rule)))
    }

    /// The key of this id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyCallback`] if the rule panics, fails, or answers an unusable key.
    pub fn derive(&self, context: &RequestContext, id: &SessionId) -> Result<SessionKey> {
        match &self.0 {
            Rule::Hashed(prefix) => {
                let digest = Sha256::digest(id.expose());
                SessionKey::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(digest)))
            }
            Rule::Plain(prefix) => SessionKey::new(format!("{prefix}{}", id.expose())),
            Rule::Custom(rule) => catch_unwind(AssertUnwindSafe(|| rule(context, id))).unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::KeyCallback, Operation::Route, "the key callback panicked"))
            }),
        }
    }
}

impl fmt::Debug for KeyDerivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Hashed(prefix) => f.debug_tuple("Hashed").field(prefix).finish(),
            Rule::Plain(prefix) => f.debug_tuple("Plain").field(prefix).finish(),
            Rule::Custom(_) => f.write_str("Custom(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SessionId {
        SessionId::parse(&"A".repeat(43)).unwrap()
    }

    #[test]
    fn hashed_is_sha256_of_the_text() {
        let key = KeyDerivation::default().derive(&RequestContext::default(), &id()).unwrap();
        let expected = URL_SAFE_NO_PAD.encode(Sha256::digest("A".repeat(43)));
        assert_eq!(key.as_bytes(), format!("session:{expected}").as_bytes());
        assert!(!format!("{key:?}").contains(&expected));
    }

    #[test]
    fn callbacks_that_misbehave_are_errors() {
        let rules: [KeyDerivation; 4] = [
            KeyDerivation::custom(|_, _| panic!("in the callback")),
            KeyDerivation::custom(|_, _| SessionKey::new("")),
            KeyDerivation::custom(|_, _| SessionKey::new(vec![b'x'; 1 << 20])),
            KeyDerivation::custom(|_, _| SessionKey::new("a\r\nDEL b")),
        ];
        for rule in rules {
            let error = rule.derive(&RequestContext::default(), &id()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::KeyCallback);
        }
    }
}
