//! Attribute names.

use std::fmt;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Operation, Result};

/// The name of an attribute: 1 to 256 bytes of UTF-8 that do not start with `@`, which is kept for header fields.
///
/// A slice of the buffer it arrived in; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeName(Bytes);

impl AttributeName {
    /// The longest name, in bytes.
    pub const MAX_LENGTH: usize = 256;

    /// Checks a name that the application gave.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`] if it is empty, longer than 256 bytes, or starts with `@`.
    pub fn new(name: &str) -> Result<Self> {
        Self::check(name)?;
        Ok(Self(Bytes::copy_from_slice(name.as_bytes())))
    }

    /// Checks a name without keeping it.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn check(name: &str) -> Result<()> {
        let why = match name.as_bytes() {
            [] => "an attribute name must not be empty",
            [b'@', ..] => "attribute names starting with '@' are reserved",
            long if long.len() > Self::MAX_LENGTH => "an attribute name must not be longer than 256 bytes",
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::InvalidName, Operation::Change, why))
    }

    /// Takes a field name as it is stored; `None` if it cannot be the name of an attribute.
    pub fn from_stored(field: Bytes) -> Option<Self> {
        let name = std::str::from_utf8(&field).ok()?;
        Self::check(name).ok()?;
        Some(Self(field))
    }

    /// The same in a buffer of its own, so that it does not keep the one that it arrived in.
    pub(crate) fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        // Checked to be UTF-8 when it was made.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name's bytes, sharing the buffer.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }
}

impl fmt::Debug for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_may_be() {
        assert_eq!(AttributeName::new("größe").unwrap().as_str(), "größe");
        assert!(AttributeName::new(&"x".repeat(256)).is_ok());
        for wrong in ["", "@version", &"x".repeat(257)] {
            assert_eq!(AttributeName::new(wrong).unwrap_err().kind(), ErrorKind::InvalidName);
        }
        assert_eq!(AttributeName::from_stored(Bytes::from_static(b"\xFF")), None);
        assert_eq!(AttributeName::from_stored(Bytes::from_static(b"@v")), None);
    }
}
