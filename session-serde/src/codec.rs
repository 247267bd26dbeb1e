//! The choice among the serializers that are compiled in.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use session_core::{Error, ErrorKind, Operation, Result, SerializerError, SessionSerializer};

#[cfg(feature = "json")]
use crate::Json;

/// One of the serializers that are compiled in, chosen at run time.
///
/// Its cost over the serializer itself is one branch per value. Without any serializer's feature it has no variant, so
/// that crates which name it compile, and force no serializer on anybody.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// [`Json`].
    #[cfg(feature = "json")]
    Json(Json),
}

impl Codec {
    /// All that are compiled in; the first is the default.
    pub const ALL: &'static [Self] = &[
        #[cfg(feature = "json")]
        Self::Json(Json),
    ];

    /// The serializer of this name: `json`.
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

// Without a serializer there is no value of this type, and nothing uses the arguments.
#[cfg_attr(not(feature = "json"), allow(unused_variables))]
impl SessionSerializer for Codec {
    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), SerializerError> {
        match *self {
            #[cfg(feature = "json")]
            Self::Json(json) => json.encode(value, into),
        }
    }

    fn decode<'de, T: Deserialize<'de>>(&self, bytes: &'de [u8]) -> Result<T, SerializerError> {
        match *self {
            #[cfg(feature = "json")]
            Self::Json(json) => json.decode(bytes),
        }
    }

    fn name(&self) -> &'static str {
        match *self {
            #[cfg(feature = "json")]
            Self::Json(json) => json.name(),
        }
    }

    fn is_self_describing(&self) -> bool {
        match *self {
            #[cfg(feature = "json")]
            Self::Json(json) => json.is_self_describing(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
