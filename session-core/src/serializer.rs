//! The trait of serializers: they make bytes of values and know no store.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Makes bytes of attribute values and values of bytes.
///
/// Statically dispatched; an application chooses one in code. What is asked of an implementation:
///
/// - **Deterministic**: equal values encode to equal bytes, because an attribute is written when its bytes differ.
///   (A `HashMap` has no fixed order: equal maps may be written again, harmlessly. A `BTreeMap` is not.)
/// - **Integers are their own**: only an integer may encode to decimal ASCII digits (as JSON does). Counters are
///   stored as such text under every serializer, and are recognised by it.
/// - **Marked**: encodings other than JSON start with a tag byte of their own, 0x80 to 0xFF for applications'
///   serializers, so that bytes of another serializer are never taken for one's own.
///
/// A value may borrow from the bytes it is decoded from. A serializer that first turns them into others (decrypts or
/// unpacks them) gives these to its deserializer as a reader, from which nothing can be borrowed:
/// `examples/own-serializer` does so.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use session_core::{SerializerError, SessionSerializer};
///
/// #[derive(Clone)]
/// struct TaggedJson;
///
/// impl SessionSerializer for TaggedJson {
///     fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), SerializerError> {
///         let start = into.len();
///         into.push(0x80);
///         serde_json::to_writer(&mut *into, value).map_err(|_| {
///             into.truncate(start);
///             SerializerError::new("not representable in JSON")
///         })
///     }
///     fn decode<'de, T: Deserialize<'de>>(&self, bytes: &'de [u8]) -> Result<T, SerializerError> {
///         let json = bytes.strip_prefix(&[0x80]).ok_or_else(|| SerializerError::new("another tag"))?;
///         serde_json::from_slice(json).map_err(|_| SerializerError::new("not this type in JSON"))
///     }
///     fn name(&self) -> &'static str {
///         "tagged-json"
///     }
///     fn is_self_describing(&self) -> bool {
///         true
///     }
/// }
/// ```
pub trait SessionSerializer: Clone + Send + Sync + 'static {
    /// Appends the encoding of `value`.
    ///
    /// # Errors
    ///
    /// The value cannot be encoded; `into` is then as it was before.
    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), SerializerError>;

    /// Decodes a value from `bytes`, all of which it must consume.
    ///
    /// # Errors
    ///
    /// The bytes are not an encoding of a `T`.
    fn decode<'de, T: Deserialize<'de>>(&self, bytes: &'de [u8]) -> Result<T, SerializerError>;

    /// The name by which it is chosen in settings and shown in logs.
    fn name(&self) -> &'static str;

    /// Whether what it writes can be decoded without knowing its type.
    fn is_self_describing(&self) -> bool;

    /// Whether these bytes can be decoded without knowing the type of their value. Where that is not so, bytes of any
    /// type may be taken for a value of any other.
    ///
    /// A serializer that also reads what others wrote has to look at the bytes; all others need not implement this.
    fn describes_itself(&self, bytes: &[u8]) -> bool {
        let _ = bytes;
        self.is_self_describing()
    }
}

/// Why a value could not be encoded or decoded.
///
/// The text must not contain any part of the value: serializers' own error messages often do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerializerError(Cow<'static, str>);

impl SerializerError {
    /// An error with a text that contains nothing of the value.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for SerializerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SerializerError {}
