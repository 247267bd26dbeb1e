//! MessagePack.

use rmp_serde::decode::{Deserializer, Error as DecodeError};
use rmp_serde::encode::{Error as EncodeError, Serializer};
use serde::{Deserialize, Serialize};
use session_core::{SerializerError, SessionSerializer};

use crate::bounded::{self, Budget};
use crate::limits::{self, MAX_BYTES};
use crate::tag::{self, Writer};

/// MessagePack with the names of fields, after a tag byte: smaller and faster than JSON, and as forgiving when types
/// change.
///
/// ```
/// use session_core::SessionSerializer;
/// use session_serde::MessagePack;
///
/// let mut bytes = Vec::new();
/// MessagePack.encode(&("apple", 3), &mut bytes)?;
/// assert_eq!(bytes, b"\x01\x92\xA5apple\x03");
/// assert_eq!(MessagePack.decode::<(&str, u32)>(&bytes)?, ("apple", 3));
/// # Ok::<(), session_core::SerializerError>(())
/// ```
///
/// There is no form without names (structs as arrays): while a new version of a program is rolled out, the old one could
/// not read what the new one wrote.
///
/// # What MessagePack cannot carry
///
/// - `Some(None)` is read as `None`, and so is `Some(())`. All floats come back, also `NaN` and the infinities.
/// - A `Vec<u8>` becomes a list of numbers: one or two bytes for each, and five to nine times the work. Bytes proper are
///   those of a type that serializes as bytes, for instance a field with `#[serde(with = "serde_bytes")]` (crate
///   `serde_bytes`).
/// - Equal `HashMap`s may be written in different orders; they are then stored again although nothing changed. Prefer
///   `BTreeMap`.
///
/// # Limits
///
/// Values nested deeper than [`MAX_DEPTH`](Self::MAX_DEPTH) or longer than [`MAX_BYTES`](Self::MAX_BYTES) are refused
/// when they are written as when they are read: nothing is stored that cannot be read.
///
/// # Errors
///
/// Their texts say of what sort the fault is, and contain nothing of the value. Bytes without this serializer's
/// [`TAG`](Self::TAG) are an error; [`Codec`](crate::Codec) reads what other serializers wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessagePack;

impl MessagePack {
    /// The first byte of every value.
    pub const TAG: u8 = tag::MESSAGE_PACK;

    /// How deeply a value may be nested. Lists, tuples, maps, structs, `Some` and variants with content are a level
    /// each, variants of several fields two.
    pub const MAX_DEPTH: usize = limits::MAX_DEPTH;

    /// How long one value may be, with its tag: 16 MiB.
    pub const MAX_BYTES: usize = MAX_BYTES;
}

impl SessionSerializer for MessagePack {
    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), SerializerError> {
        limits::append(into, |into| {
            into.push(Self::TAG);
            let budget = Budget::for_bytes(MAX_BYTES);
            let mut serializer = Serializer::new(into).with_struct_map();
            bounded::serialize(value, &mut serializer, &budget)
                .map_err(|error| budget.exceeded().unwrap_or_else(|| not_encoded(&error)))
        })
    }

    fn decode<'de, T: Deserialize<'de>>(&self, bytes: &'de [u8]) -> Result<T, SerializerError> {
        let Some((&Self::TAG, value)) = bytes.split_first() else {
            return Err(Writer::of(bytes).not_read_by("MessagePack alone"));
        };
        limits::check_size(bytes.len())?;
        let budget = Budget::for_bytes(value.len());
        let mut deserializer = Deserializer::from_read_ref(value);
        let value = T::deserialize(bounded::deserializer(&mut deserializer, &budget))
            .map_err(|error| budget.exceeded().unwrap_or_else(|| not_decoded(&error)))?;
        // The deserializer does not tell what it left; but at the end, and only there, it finds no further marker.
        match bool::deserialize(&mut deserializer) {
            Err(DecodeError::InvalidMarkerRead(_)) => Ok(value),
            _ => Err(SerializerError::new("something follows the MessagePack value")),
        }
    }

    fn name(&self) -> &'static str {
        "msgpack"
    }

    fn is_self_describing(&self) -> bool {
        true
    }
}

// The libraries' own texts quote what they found.

#[cold]
fn not_encoded(error: &EncodeError) -> SerializerError {
    SerializerError::new(match error {
        EncodeError::Syntax(_) => "the type refuses to be encoded",
        _ => "MessagePack cannot carry the value",
    })
}

#[cold]
fn not_decoded(error: &DecodeError) -> SerializerError {
    SerializerError::new(match error {
        DecodeError::InvalidMarkerRead(_) | DecodeError::InvalidDataRead(_) => "the MessagePack ends too early",
        DecodeError::Utf8Error(_) => "not MessagePack: a text is no UTF-8",
        _ => "not MessagePack, or MessagePack of another type",
    })
}
