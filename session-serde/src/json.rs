//! JSON.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use session_core::{SerializerError, SessionSerializer};

use crate::limits::{self, too_deep};
use crate::tag::Writer;

/// Compact JSON, untagged: readable in `redis-cli`, and by programs in every language.
///
/// ```
/// use session_core::SessionSerializer;
/// use session_serde::Json;
///
/// let mut bytes = Vec::new();
/// Json.encode(&("apple", 3), &mut bytes)?;
/// assert_eq!(bytes, br#"["apple",3]"#);
/// assert_eq!(Json.decode::<(&str, u32)>(&bytes)?, ("apple", 3));
/// # Ok::<(), session_core::SerializerError>(())
/// ```
///
/// # What JSON cannot carry
///
/// - `NaN` and the infinities are written as `null`. So a float that was one of them cannot be read as a float any more
///   (an error), and `Some(f64::INFINITY)` is read as `None`. All other floats come back exactly.
/// - `Some(None)` is read as `None`.
/// - Keys of maps are text: text, characters, booleans, numbers and unit variants can be keys; any other key is an error
///   when it is written.
/// - Bytes (`Vec<u8>`) become a list of numbers, about four bytes for one. Encode larger ones as text, base64 for instance.
/// - Equal `HashMap`s may be written in different orders; they are then stored again although nothing changed. Prefer
///   `BTreeMap`.
///
/// # Limits
///
/// Values nested deeper than [`MAX_DEPTH`](Self::MAX_DEPTH) or longer than [`MAX_BYTES`](Self::MAX_BYTES) are refused
/// when they are written as when they are read: nothing is stored that cannot be read.
///
/// ```
/// # use session_core::SessionSerializer;
/// # use session_serde::Json;
/// #[derive(serde::Serialize)]
/// struct List(Option<Box<List>>, u8);
///
/// let long = (0..200).fold(List(None, 0), |list, _| List(Some(Box::new(list)), 0));
/// let mut bytes = b"before".to_vec();
/// assert!(Json.encode(&long, &mut bytes).is_err());
/// assert_eq!(bytes, b"before");
/// ```
///
/// # Errors
///
/// Their texts say where and of what sort the fault is, and contain nothing of the value, the names of its fields or the
/// words of its type's own errors. What another serializer wrote, after a tag byte, is an error;
/// [`Codec`](crate::Codec) reads it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json;

impl Json {
    /// How deeply lists and objects may be nested in one another; a number or a text has depth 0, a list of them 1.
    ///
    /// It is what `serde_json` reads at most.
    pub const MAX_DEPTH: usize = limits::MAX_DEPTH;

    /// How long one value may be: 16 MiB.
    pub const MAX_BYTES: usize = limits::MAX_BYTES;
}

impl SessionSerializer for Json {
    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), SerializerError> {
        limits::append(into, |into| {
            let mut serializer = Serializer::with_formatter(into, Shallow::default());
            value.serialize(&mut serializer).map_err(|error| match error.classify() {
                // Writing to a `Vec` cannot fail, so this is `Shallow`'s.
                Category::Io => too_deep(),
                Category::Syntax | Category::Eof => SerializerError::new("a key that JSON cannot have"),
                Category::Data => SerializerError::new("the type refuses to be encoded"),
            })
        })
    }

    fn decode<'de, T: Deserialize<'de>>(&self, bytes: &'de [u8]) -> Result<T, SerializerError> {
        limits::check_size(bytes.len())?;
        serde_json::from_slice(bytes).map_err(|error| {
            let writer = Writer::of(bytes);
            if writer != Writer::Json {
                return writer.not_read_by("JSON alone");
            }
            // The error's own text quotes what it found.
            let what = match error.classify() {
                Category::Eof => "the JSON ends too early",
                Category::Syntax => "not JSON, or nested too deeply, or something follows the value",
                Category::Data | Category::Io => "JSON of another type",
            };
            SerializerError::new(format!("{what} (line {}, column {})", error.line(), error.column()))
        })
    }

    fn name(&self) -> &'static str {
        "json"
    }

    fn is_self_describing(&self) -> bool {
        true
    }
}

/// Writes compactly, and fails where the value would become too deep to be read; before the recursion does.
#[derive(Default)]
struct Shallow {
    depth: usize,
}

impl Shallow {
    fn descend(&mut self) -> io::Result<()> {
        self.depth += 1;
        if self.depth > Json::MAX_DEPTH { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
    }
}

impl Formatter for Shallow {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.descend()?;
        CompactFormatter.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        CompactFormatter.end_array(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.descend()?;
        CompactFormatter.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        CompactFormatter.end_object(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;

    fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        Json.encode(value, &mut bytes).unwrap();
        bytes
    }

    #[track_caller]
    fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, text: &str) {
        let bytes = encode(&value);
        assert_eq!(String::from_utf8_lossy(&bytes), text);
        assert_eq!(Json.decode::<T>(&bytes).unwrap(), value);
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
    struct User {
        name: String,
        roles: Vec<Role>,
        email: Option<String>,
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
    enum Role {
        Member,
        Admin { since: u16 },
    }

    #[test]
    fn round_trips() {
        round_trip((), "null");
        round_trip(true, "true");
        round_trip(String::new(), r#""""#);
        round_trip("naïve \"quoted\" \\ \n \u{0} 🦀".to_owned(), r#""naïve \"quoted\" \\ \n \u0000 🦀""#);
        round_trip([i64::MIN, -1, 0, i64::MAX], "[-9223372036854775808,-1,0,9223372036854775807]");
        round_trip([u64::MAX], "[18446744073709551615]");
        round_trip(i128::MIN, "-170141183460469231731687303715884105728");
        round_trip(Vec::<u8>::new(), "[]");
        round_trip(Some(3), "3");
        round_trip(None::<u8>, "null");
        round_trip(BTreeMap::from([(10, "ten".to_owned()), (9, "nine".to_owned())]), r#"{"9":"nine","10":"ten"}"#);
        round_trip(
            User { name: "Ada".into(), roles: vec![Role::Member, Role::Admin { since: 1843 }], email: None },
            r#"{"name":"Ada","roles":["Member",{"Admin":{"since":1843}}],"email":null}"#,
        );
    }

    #[test]
    fn floats_come_back_exactly() {
        // Among them numbers that serde_json reads one bit off unless it is told to be exact.
        let mut bits = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..20_000 {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            let float = f64::from_bits(bits);
            if float.is_finite() {
                assert_eq!(Json.decode::<f64>(&encode(&float)).unwrap().to_bits(), bits);
            }
        }
        round_trip(1.0, "1.0");
        round_trip(-0.0, "-0.0");
    }

    #[test]
    fn what_json_cannot_carry() {
        for lost in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(encode(&lost), b"null");
            assert!(Json.decode::<f64>(b"null").is_err());
            assert_eq!(Json.decode::<Option<f64>>(&encode(&Some(lost))).unwrap(), None);
        }
    }

    #[test]
    fn everything_is_consumed() {
        assert_eq!(Json.decode::<u8>(b"1 \n").unwrap(), 1);
        for trailing in [&b"1 2"[..], b"1,", b"1\0", b"null null", b"{}{}", b"[]]"] {
            assert!(Json.decode::<Value>(trailing).is_err(), "{trailing:?}");
            assert!(Json.decode::<serde::de::IgnoredAny>(trailing).is_err(), "{trailing:?}");
        }
    }

    #[test]
    fn bad_bytes_are_errors() {
        for bad in [&b""[..], b"\xFF", b"\"\xFF\"", b"\x80{}", b"nul", b"01", b"\"\\u12\"", b"NaN"] {
            assert!(Json.decode::<Value>(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn errors_tell_the_place_and_nothing_that_is_there() {
        for bytes in [&b"hunter2"[..], br#""A" hunter2"#] {
            let error = Json.decode::<String>(bytes).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        assert_eq!(
            Json.decode::<Vec<u8>>(b"[1,\n2,\"x\"]").unwrap_err().to_string(),
            "JSON of another type (line 2, column 5)"
        );
    }

    /// A list of lists, or an object of objects, `depth` deep.
    fn nested(depth: usize, wrap: impl Fn(Value) -> Value) -> Value {
        (0..depth).fold(Value::Null, |inner, _| wrap(inner))
    }

    #[test]
    fn what_is_written_can_be_read() {
        let wraps: [fn(Value) -> Value; 2] = [|inner| vec![inner].into(), |inner| serde_json::json!({ "x": inner })];
        for wrap in wraps {
            let deepest = nested(Json::MAX_DEPTH, wrap);
            assert_eq!(Json.decode::<Value>(&encode(&deepest)).unwrap(), deepest);

            let mut bytes = b"before".to_vec();
            let error = Json.encode(&nested(Json::MAX_DEPTH + 1, wrap), &mut bytes).unwrap_err();
            assert_eq!(error.to_string(), format!("nested deeper than {} levels", Json::MAX_DEPTH));
            assert_eq!(bytes, b"before");

            // The limit is not lower than the reader's: one level more cannot be read.
            let too_deep = serde_json::to_vec(&nested(Json::MAX_DEPTH + 1, wrap)).unwrap();
            assert!(Json.decode::<Value>(&too_deep).is_err());
        }
        // Wide is not deep.
        let wide = vec![nested(3, |inner| vec![inner].into()); 500];
        assert_eq!(Json.decode::<Vec<Value>>(&encode(&wide)).unwrap(), wide);
    }

    #[test]
    fn enums_are_as_deep_as_they_look() {
        #[derive(Serialize, Deserialize, PartialEq, Debug)]
        enum Chain {
            End,
            Link { next: Box<Chain> },
            Wrap(Box<Chain>),
            Pair(Box<Chain>, u8),
        }
        let links: [fn(Chain) -> Chain; 3] = [
            |chain| Chain::Link { next: Box::new(chain) },
            |chain| Chain::Wrap(Box::new(chain)),
            |chain| Chain::Pair(Box::new(chain), 7),
        ];
        for link in links {
            let mut refused = false;
            for length in 1..=Json::MAX_DEPTH + 1 {
                let chain = (0..length).fold(Chain::End, |chain, _| link(chain));
                let mut bytes = Vec::new();
                match Json.encode(&chain, &mut bytes) {
                    Ok(()) => assert_eq!(Json.decode::<Chain>(&bytes).unwrap(), chain),
                    Err(_) => refused = true,
                }
            }
            assert!(refused);
        }
    }

    #[test]
    fn hostile_depth_is_an_error() {
        for opening in ["[", "{\"x\":"] {
            let bytes = opening.repeat(1_000_000);
            assert!(Json.decode::<Value>(bytes.as_bytes()).is_err());
        }
    }
}
