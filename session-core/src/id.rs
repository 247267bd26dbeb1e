//! Session ids: 256 random bits that only the client and this library know.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Operation, Result};

/// The secret that a client presents to be recognised: 256 bits from the operating system.
///
/// As text it is 43 characters of base64url without padding. It never prints itself: `Debug` shows the
/// [`Fingerprint`].
///
/// ```
/// # use session_core::SessionId;
/// let id = SessionId::generate()?;
/// let text = id.expose();
/// assert_eq!(text.len(), 43);
/// assert_eq!(SessionId::parse(&text)?, id);
/// assert!(!format!("{id:?}").contains(&text));
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// The length of an id as text.
    pub const TEXT_LENGTH: usize = 43;

    /// A fresh id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the operating system has no randomness to give.
    pub fn generate() -> Result<Self> {
        random().map(Self)
    }

    /// Reads an id from its text, strictly: exactly 43 characters of base64url, and only the one form that
    /// [`expose`](Self::expose) writes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidId`] for everything else. The text is not repeated in the error.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::new(ErrorKind::InvalidId, Operation::Route, "expected 43 characters of base64url");
        if text.len() != Self::TEXT_LENGTH {
            return Err(invalid());
        }
        let mut bytes = [0; 32];
        // The engine refuses padding, other alphabets and trailing bits that are not zero.
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(32) => Ok(Self(bytes)),
            _ => Err(invalid()),
        }
    }

    /// The text to give to the client, and to nobody else.
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What stands for this id in logs and in the stored header. The id cannot be computed from it.
    pub fn fingerprint(&self) -> Fingerprint {
        let digest = Sha256::new().chain_update(b"session-id fingerprint\0").chain_update(self.0).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Fingerprint(bytes)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId(fingerprint {})", self.fingerprint())
    }
}

/// 128 bits computed from a [`SessionId`] that tell ids apart without revealing them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

/// The random name of one life of a session: set when it is created, never changed, never used again.
///
/// Whatever is written later names it, so that nothing can be written to a session that has ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Generation([u8; 16]);

impl Generation {
    /// A fresh one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the operating system has no randomness to give.
    pub fn generate() -> Result<Self> {
        random().map(Self)
    }
}

/// The random name of one running process (more exactly, of one connection of a
/// [`SessionManager`](crate::SessionManager)).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct WriterId([u8; 8]);

impl WriterId {
    /// A fresh one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the operating system has no randomness to give.
    pub fn generate() -> Result<Self> {
        random().map(Self)
    }
}

macro_rules! base64url_text {
    ($type:ident, $length:literal) => {
        impl $type {
            /// Reads the text that `Display` writes; `None` for anything else.
            pub fn parse(text: &[u8]) -> Option<Self> {
                let mut bytes = [0; $length];
                match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
                    Ok($length) => Some(Self(bytes)),
                    _ => None,
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; $length * 2];
                let length = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
                f.write_str(std::str::from_utf8(&text[..length]).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }
    };
}

base64url_text!(Fingerprint, 16);
base64url_text!(Generation, 16);
base64url_text!(WriterId, 8);

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| {
        Error::new(ErrorKind::Unavailable, Operation::Route, "the operating system has no randomness to give")
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_parse() {
        let id = SessionId([0xA5; 32]);
        let text = id.expose();
        assert_eq!(SessionId::parse(&text).unwrap(), id);
        for wrong in [
            String::new(),
            text[..42].to_owned(),
            format!("{text}A"),
            format!("{}=", &text[..42]),
            format!("{}+", &text[..42]),
            format!("{}\n", &text[..42]),
            format!("{}é", &text[..41]),
            // The last character carries two bits that must be zero.
            format!("{}F", &SessionId([0; 32]).expose()[..42]),
        ] {
            assert_eq!(SessionId::parse(&wrong).unwrap_err().kind(), ErrorKind::InvalidId, "{wrong:?}");
        }
    }

    #[test]
    fn texts_round_trip() {
        let generation = Generation::generate().unwrap();
        assert_eq!(generation.to_string().len(), 22);
        assert_eq!(Generation::parse(generation.to_string().as_bytes()), Some(generation));
        let writer = WriterId::generate().unwrap();
        assert_eq!(writer.to_string().len(), 11);
        assert_eq!(WriterId::parse(writer.to_string().as_bytes()), Some(writer));
        assert_eq!(WriterId::parse(b"short"), None);
    }

    #[test]
    fn redacted() {
        let id = SessionId::generate().unwrap();
        assert!(!format!("{id:?}").contains(&id.expose()));
        assert_ne!(id.fingerprint(), SessionId::generate().unwrap().fingerprint());
    }
}
