//! The choice among the serializers that are compiled in.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use session_core::{Error, ErrorKind, Operation, Result, SerializerError, SessionSerializer};

#[cfg(feature = "json")]
use crate::Json;
#[cfg(feature = "msgpack")]
use crate::MessagePack;
#[cfg(feature = "postcard")]
use crate::Postcard;
use crate::tag::Writer;

/// One of the serializers that are compiled in, chosen at run time. It writes with that one, and reads what any of them
/// wrote.
///
/// Its cost over the serializer itself is a branch or two per value. Without any serializer's feature it has no variant,
/// so that crates which name it compile, and force no serializer on anybody.
///
/// ```
/// # #[cfg(feature = "json")] {
/// use session_core::SessionSerializer;
/// use session_serde::{Codec, Json};
///
/// let codec = Codec::from_name("json")?;
/// assert_eq!(codec, Codec::from(Json));
/// assert_eq!(codec.name(), "json");
///
/// let error = Codec::from_name("jason").unwrap_err();
/// assert_eq!(error.kind(), session_core::ErrorKind::Config);
/// # }
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// # Changing the serializer of a running deployment
///
/// The first byte of a value tells who wrote it (the crate's documentation lists the tags). So sessions written with one
/// serializer live on under another; each attribute is rewritten when it next changes.
///
/// ```
/// # #[cfg(all(feature = "json", feature = "msgpack"))] {
/// # use session_core::SessionSerializer;
/// # use session_serde::{Codec, Json, MessagePack};
/// let (before, after) = (Codec::from(Json), Codec::from(MessagePack));
/// let mut bytes = Vec::new();
/// before.encode(&["apple", "pear"], &mut bytes)?;
/// assert_eq!(after.decode::<Vec<&str>>(&bytes)?, ["apple", "pear"]);
/// # }
/// # Ok::<(), session_core::SerializerError>(())
/// ```
///
/// What the new serializer cannot carry is not there any more once it is rewritten: a float that is `NaN` becomes `null`
/// under JSON, which cannot be read as a float.
///
/// While both versions of the program run side by side, the old one has to read what the new one writes. So first roll
/// out a version that has the new serializer's feature switched on and still writes with the old one; then change the
/// choice; and keep the old serializer's feature until the last session that it wrote has expired.
///
/// # Errors
///
/// A value whose serializer is not compiled in, or whose tag is unknown, is an error that says so, never taken for absent.
/// Each serializer by itself reads only what it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// [`Json`].
    #[cfg(feature = "json")]
    Json(Json),
    /// [`MessagePack`].
    #[cfg(feature = "msgpack")]
    MessagePack(MessagePack),
    /// [`Postcard`].
    #[cfg(feature = "postcard")]
    Postcard(Postcard),
}

impl Codec {
    /// All that are compiled in.
    pub const ALL: &'static [Self] = &[
        #[cfg(feature = "json")]
        Self::Json(Json),
        #[cfg(feature = "msgpack")]
        Self::MessagePack(MessagePack),
        #[cfg(feature = "postcard")]
        Self::Postcard(Postcard),
    ];

    /// The serializer of this name: `json`, `msgpack`, `postcard`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if no serializer of this name is compiled in; the text lists those that are.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.iter().find(|codec| codec.name() == name).copied().ok_or_else(|| {
            let names = Self::ALL.iter().map(SessionSerializer::name).collect::<Vec<_>>();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let text = format!("no serializer {name:?} is compiled in; there is: {there}");
            Error::new(ErrorKind::Config, Operation::Configure, text)
        })
    }
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::from_name(name)
    }
}

// Only where JSON is compiled in: a default that depends on the features would change when another crate switches one on.
#[cfg(feature = "json")]
impl Default for Codec {
    /// [`Json`].
    fn default() -> Self {
        Self::Json(Json)
    }
}

#[cfg(feature = "json")]
impl From<Json> for Codec {
    fn from(json: Json) -> Self {
        Self::Json(json)
    }
}

#[cfg(feature = "msgpack")]
impl From<MessagePack> for Codec {
    fn from(message_pack: MessagePack) -> Self {
        Self::MessagePack(message_pack)
    }
}

#[cfg(feature = "postcard")]
impl From<Postcard> for Codec {
    fn from(postcard: Postcard) -> Self {
        Self::Postcard(postcard)
    }
}

// Without a serializer there is no value of this type, and nothing uses the arguments.
#[cfg_attr(not(any(feature = "json", feature = "msgpack", feature = "postcard")), allow(unused_variables))]
impl SessionSerializer for Codec {
    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), SerializerError> {
        match *self {
            #[cfg(feature = "json")]
            Self::Json(json) => json.encode(value, into),
            #[cfg(feature = "msgpack")]
            Self::MessagePack(message_pack) => message_pack.encode(value, into),
            #[cfg(feature = "postcard")]
            Self::Postcard(postcard) => postcard.encode(value, into),
        }
    }

    fn decode<'de, T: Deserialize<'de>>(&self, bytes: &'de [u8]) -> Result<T, SerializerError> {
        match Writer::of(bytes) {
            #[cfg(feature = "json")]
            Writer::Json => Json.decode(bytes),
            #[cfg(feature = "msgpack")]
            Writer::MessagePack => MessagePack.decode(bytes),
            #[cfg(feature = "postcard")]
            Writer::Postcard => Postcard.decode(bytes),
            other => Err(other.not_read_by("this program, as it was compiled,")),
        }
    }

    fn name(&self) -> &'static str {
        match *self {
            #[cfg(feature = "json")]
            Self::Json(json) => json.name(),
            #[cfg(feature = "msgpack")]
            Self::MessagePack(message_pack) => message_pack.name(),
            #[cfg(feature = "postcard")]
            Self::Postcard(postcard) => postcard.name(),
        }
    }

    fn is_self_describing(&self) -> bool {
        match *self {
            #[cfg(feature = "json")]
            Self::Json(json) => json.is_self_describing(),
            #[cfg(feature = "msgpack")]
            Self::MessagePack(message_pack) => message_pack.is_self_describing(),
            #[cfg(feature = "postcard")]
            Self::Postcard(postcard) => postcard.is_self_describing(),
        }
    }

    fn describes_itself(&self, bytes: &[u8]) -> bool {
        matches!(Writer::of(bytes), Writer::Json | Writer::MessagePack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(feature = "json", feature = "msgpack", feature = "postcard"))]
    #[test]
    fn every_codec_is_found_by_its_name() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_name(codec.name()).unwrap(), *codec);
            assert_eq!(codec.name().parse::<Codec>().unwrap(), *codec);
        }
    }

    #[test]
    fn a_wrong_name_is_an_error_that_lists_the_right_ones() {
        for wrong in ["", "JSON", "json ", "xml"] {
            let error = Codec::from_name(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let text = error.to_string();
            assert!(text.contains(&format!("{wrong:?}")), "{text}");
            assert!(Codec::ALL.iter().all(|codec| text.contains(codec.name())), "{text}");
        }
    }

    #[cfg(feature = "json")]
    #[test]
    fn it_does_what_the_chosen_one_does() {
        let codec = Codec::default();
        let mut bytes = Vec::new();
        codec.encode(&["a", "b"], &mut bytes).unwrap();
        assert_eq!(bytes, br#"["a","b"]"#);
        assert_eq!(codec.decode::<Vec<&str>>(&bytes).unwrap(), ["a", "b"]);
        assert!(codec.is_self_describing());
    }
}
