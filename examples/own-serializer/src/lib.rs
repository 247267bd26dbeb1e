//! A serializer of one's own: JSON, and what is long is compressed.

#[cfg(test)]
use secret_watch as _;

use serde::{Deserialize, Serialize};
use session_core::{SerializerError, SessionSerializer};
use session_serde::Json;

/// The first byte of what is compressed. Applications' own serializers have 0x80 to 0xFF; JSON begins with none of them.
const TAG: u8 = 0x80;

/// What is shorter stays JSON, readable in `redis-cli`; compressing it would gain nothing.
const SHORT: usize = 256;

/// JSON; if that is long and LZ4 makes it shorter, a tag and the JSON compressed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Compressed;

impl SessionSerializer for Compressed {
    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), SerializerError> {
        let start = into.len();
        Json.encode(value, into)?;
        if into.len() - start > SHORT {
            let packed = lz4_flex::compress_prepend_size(&into[start..]);
            if 1 + packed.len() < into.len() - start {
                into.truncate(start);
                into.push(TAG);
                into.extend_from_slice(&packed);
            }
        }
        Ok(())
    }

    fn decode<'de, T: Deserialize<'de>>(&self, bytes: &'de [u8]) -> Result<T, SerializerError> {
        let Some(packed) = bytes.strip_prefix(&[TAG]) else { return Json.decode(bytes) };
        // The length comes first. It may be anybody's, so it is looked at before memory is reserved for it.
        let length = packed.first_chunk().map_or(usize::MAX, |length| u32::from_le_bytes(*length) as usize);
        if length > Json::MAX_BYTES {
            return Err(SerializerError::new("longer than 16 MiB"));
        }
        let json = lz4_flex::decompress_size_prepended(packed)
            .map_err(|_| SerializerError::new("not what was compressed here"))?;
        // The value may borrow from `bytes`, not from `json`. Read as a stream, nothing is borrowed.
        let mut stream = serde_json::Deserializer::from_reader(&json[..]);
        // serde_json's own words quote what it found.
        let value = T::deserialize(&mut stream).map_err(|_| SerializerError::new("JSON of another type"))?;
        stream.end().map_err(|_| SerializerError::new("something follows the JSON"))?;
        Ok(value)
    }

    fn name(&self) -> &'static str {
        "compressed"
    }

    fn is_self_describing(&self) -> bool {
        true
    }
}
