//! Signs cookie values, with keys that can be rotated.

use cookie::{Cookie, CookieJar, Key};
use session_core::SessionId;

/// The length of the base64 signature that the signed jar puts before a value.
const SIGNATURE_LENGTH: usize = 44;

/// At least one key. No `Debug`: nothing of a key is ever shown.
#[derive(Clone)]
pub(super) struct SigningKeys {
    first: Key,
    others: Vec<Key>,
}

impl SigningKeys {
    /// The first key signs; all of them verify. `None` if there is none.
    pub(super) fn new(keys: impl IntoIterator<Item = Key>) -> Option<Self> {
        let mut keys = keys.into_iter();
        Some(Self { first: keys.next()?, others: keys.collect() })
    }

    pub(super) fn count(&self) -> usize {
        1 + self.others.len()
    }

    pub(super) fn signed(&self, value: String) -> String {
        let mut jar = CookieJar::new();
        jar.signed_mut(&self.first).add(Cookie::new("", value));
        jar.get("").expect("it was just added").value().to_owned()
    }

    /// The value without its signature, if one of the keys made it.
    pub(super) fn verified(&self, signed: &str) -> Option<String> {
        // Nothing is computed for what cannot be an id anyway.
        if signed.len() != SIGNATURE_LENGTH + SessionId::TEXT_LENGTH {
            return None;
        }
        let jar = CookieJar::new();
        std::iter::once(&self.first)
            .chain(&self.others)
            .find_map(|key| jar.signed(key).verify(Cookie::new("", signed.to_owned())))
            .map(|cookie| cookie.value().to_owned())
    }
}
