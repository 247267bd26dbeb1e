//! Postcard.

use postcard::ser_flavors::Flavor;
use postcard::{Deserializer, Error, Serializer};
use serde::{Deserialize, Serialize};
use session_core::{SerializerError, SessionSerializer};

use crate::bounded::{self, Budget};
use crate::limits::{self, MAX_BYTES};
use crate::tag::{self, Writer};

/// Postcard, after a tag byte: the smallest and fastest, for types that hardly ever change.
///
/// ```
/// use session_core::SessionSerializer;
/// use session_serde::Postcard;
///
/// let mut bytes = Vec::new();
/// Postcard.encode(&("apple", 3), &mut bytes)?;
/// assert_eq!(bytes, b"\x02\x05apple\x06");
/// assert_eq!(Postcard.decode::<(&str, i32)>(&bytes)?, ("apple", 3));
/// # Ok::<(), session_core::SerializerError>(())
/// ```
///
/// **The bytes hold neither names nor types.** Whoever reads them must know exactly which type was written. Read the
/// following before you choose it; if your sessions outlive your deployments, choose
/// MessagePack or JSON.
///
/// # A changed type may be read wrongly, without an error
///
/// With JSON and MessagePack, fields may be added (with a default), removed and reordered, and variants inserted. With
/// postcard none of this works, and some of it goes wrong unseen:
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use session_core::SessionSerializer;
/// # use session_serde::Postcard;
/// # let mut bytes = Vec::new();
/// #[derive(Serialize)]
/// enum Role { Member, Admin }
///
/// // The next version of the program has a new role, which is not the last.
/// #[derive(Deserialize, PartialEq, Debug)]
/// enum NewRole { Guest, Member, Admin }
///
/// Postcard.encode(&Role::Admin, &mut bytes)?;
/// assert_eq!(Postcard.decode::<NewRole>(&bytes)?, NewRole::Member); // and every member is a guest
///
/// # bytes.clear();
/// #[derive(Serialize)]
/// struct Price { net: u32, gross: u32 }
///
/// #[derive(Deserialize, PartialEq, Debug)]
/// struct Reordered { gross: u32, net: u32 }
///
/// Postcard.encode(&Price { net: 100, gross: 119 }, &mut bytes)?;
/// assert_eq!(Postcard.decode::<Reordered>(&bytes)?, Reordered { gross: 100, net: 119 });
///
/// // A text read as a number:
/// # bytes.clear();
/// Postcard.encode("\u{8}", &mut bytes)?;
/// assert!(Postcard.decode::<i32>(&bytes).is_err()); // something follows the number
/// assert_eq!(Postcard.decode::<(i32, i32)>(&bytes)?, (-1, 4)); // but not here
/// # Ok::<(), session_core::SerializerError>(())
/// ```
///
/// Not even the same program is safe that writes one type and reads another:
///
/// ```
/// # use session_core::SessionSerializer;
/// # use session_serde::Postcard;
/// # let mut bytes = Vec::new();
/// Postcard.encode(&1, &mut bytes)?; // an i32, as Rust has it where nothing else is said
/// assert_eq!(Postcard.decode::<u32>(&bytes)?, 2);
///
/// # bytes.clear();
/// Postcard.encode(&["tea", "milk"], &mut bytes)?; // an array, whose length is its type's
/// assert!(Postcard.decode::<Vec<String>>(&bytes).is_err());
/// # Ok::<(), session_core::SerializerError>(())
/// ```
///
/// What is safe: a variant added **at the end** of an enum (for new programs; old ones answer an error), and a change of
/// names. For every other change give the attribute a new name (`cart2` instead of `cart`), or begin with another
/// serializer: what is there is then still read by its tag.
///
/// # What it cannot read
///
/// Everything for which serde has to look at the bytes before it knows the type. Postcard writes these, so the error
/// comes only when they are read:
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use session_core::SessionSerializer;
/// # use session_serde::Postcard;
/// # #[derive(Serialize, Deserialize)]
/// #[serde(untagged)]
/// enum Untagged { Number(u32), Text(String) }
///
/// # #[derive(Serialize, Deserialize)]
/// #[serde(tag = "kind")]
/// enum InternallyTagged { Point { x: i32 } }
///
/// # #[derive(Serialize, Deserialize)]
/// #[serde(tag = "kind", content = "of")]
/// enum AdjacentlyTagged { Number(u32) }
///
/// # #[derive(Serialize, Deserialize)]
/// struct Skipping {
///     #[serde(default, skip_serializing_if = "Option::is_none")]
///     name: Option<String>,
///     age: u8,
/// }
///
/// fn is_written_and_cannot_be_read<T: Serialize + for<'de> Deserialize<'de>>(value: T) {
///     let mut bytes = Vec::new();
///     Postcard.encode(&value, &mut bytes).unwrap();
///     assert!(Postcard.decode::<T>(&bytes).is_err());
/// }
/// is_written_and_cannot_be_read(Untagged::Number(3));
/// is_written_and_cannot_be_read(InternallyTagged::Point { x: 3 });
/// is_written_and_cannot_be_read(AdjacentlyTagged::Number(3));
/// is_written_and_cannot_be_read(Skipping { name: None, age: 3 });
/// ```
///
/// `serde_json::Value` and other types for any value belong here, too. A `flatten`ed struct is an error already when it
/// is written. Worse, a skipped field may also be read wrongly instead of not at all.
///
/// # Counters
///
/// An attribute that was inserted as an integer does not become a counter: `increment` answers
/// [`NotACounter`](session_core::ErrorKind::NotACounter), since any bytes look like an integer. Counters themselves, the
/// attributes that begin with `increment`, are text under every serializer, and are read as integers.
///
/// # Bytes, and maps
///
/// A `Vec<u8>` takes a byte for each of its numbers, as bytes proper do, but it is read and written number by number; a
/// field with `#[serde(with = "serde_bytes")]` (crate `serde_bytes`) is copied at once, and both are read alike. Equal
/// `HashMap`s may be written in different orders; they are then stored again although nothing changed. Prefer `BTreeMap`.
///
/// # Limits
///
/// Values nested deeper than [`MAX_DEPTH`](Self::MAX_DEPTH) or longer than [`MAX_BYTES`](Self::MAX_BYTES) are refused
/// when they are written as when they are read: nothing is stored that is then refused for its size. So are lists of more
/// elements than the value has bytes and 1,024 more, as only elements that take no bytes can make them (`Vec<()>`):
/// a few bytes could keep a processor busy for years.
///
/// # Errors
///
/// Their texts say of what sort the fault is, and contain nothing of the value. Bytes without this serializer's
/// [`TAG`](Self::TAG) are an error; [`Codec`](crate::Codec) reads what other serializers wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Postcard;

impl Postcard {
    /// The first byte of every value.
    pub const TAG: u8 = tag::POSTCARD;

    /// How deeply a value may be nested. Lists, tuples, maps, structs, `Some` and variants with content are a level
    /// each, variants of several fields two.
    pub const MAX_DEPTH: usize = limits::MAX_DEPTH;

    /// How long one value may be, with its tag: 16 MiB.
    pub const MAX_BYTES: usize = MAX_BYTES;
}

impl SessionSerializer for Postcard {
    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), SerializerError> {
        limits::append(into, |into| {
            into.push(Self::TAG);
            let start = into.len();
            let budget = Budget::for_bytes(MAX_BYTES);
            let mut serializer = Serializer { output: Append(&mut *into) };
            bounded::serialize(value, &mut serializer, &budget)
                .map_err(|error| budget.exceeded().unwrap_or_else(|| not_encoded(&error)))?;
            budget.check(into.len() - start)
        })
    }

    fn decode<'de, T: Deserialize<'de>>(&self, bytes: &'de [u8]) -> Result<T, SerializerError> {
        let Some((&Self::TAG, value)) = bytes.split_first() else {
            return Err(Writer::of(bytes).not_read_by("postcard alone"));
        };
        limits::check_size(bytes.len())?;
        let budget = Budget::for_bytes(value.len());
        let mut deserializer = Deserializer::from_bytes(value);
        let value = T::deserialize(bounded::deserializer(&mut deserializer, &budget))
            .map_err(|error| budget.exceeded().unwrap_or_else(|| not_decoded(&error)))?;
        match deserializer.finalize() {
            Ok([]) => Ok(value),
            _ => Err(SerializerError::new("something follows the postcard value")),
        }
    }

    fn name(&self) -> &'static str {
        "postcard"
    }

    fn is_self_describing(&self) -> bool {
        false
    }
}

/// Appends to a buffer.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cold]
fn not_encoded(error: &Error) -> SerializerError {
    SerializerError::new(match error {
        Error::SerializeSeqLengthUnknown => {
            "postcard needs to know the length beforehand (of a `flatten`ed struct, for instance)"
        }
        Error::SerdeSerCustom => "the type refuses to be encoded",
        _ => "postcard cannot carry the value",
    })
}

#[cold]
fn not_decoded(error: &Error) -> SerializerError {
    SerializerError::new(match error {
        Error::WontImplement => "postcard cannot read this type: it would have to know what was written",
        Error::DeserializeUnexpectedEnd => "the postcard ends too early, or is of another type",
        _ => "not postcard, or postcard of another type",
    })
}
