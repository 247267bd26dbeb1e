//! Counters: attributes that hold a decimal integer as ASCII text, under every serializer.

use std::fmt;

use bytes::Bytes;
use serde::de::value::Error as ValueError;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Impossible, Serialize, Serializer};

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::provider::COUNTER_LIMIT;

/// The number, if these bytes are the canonical text of a counter.
pub(crate) fn parse(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let canonical = match digits {
        [b'0'] => bytes.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.len() < 18 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

pub(crate) fn text(value: i64) -> Bytes {
    Bytes::from(value.to_string())
}

/// `value + by`, if all three are in the range of counters.
pub(crate) fn add(value: i64, by: i64) -> Result<i64> {
    let in_range = |number: &i64| number.unsigned_abs() <= COUNTER_LIMIT.unsigned_abs();
    value.checked_add(by).filter(|sum| in_range(sum) && in_range(&by)).ok_or_else(|| {
        not_a_counter("counters and increments range from -(10^18 - 1) to 10^18 - 1, and this one would leave that")
    })
}

/// What the attribute holds after adding `by` to what it holds (`None` counts as 0).
pub(crate) fn added(current: Option<&Bytes>, by: i64) -> Result<Bytes> {
    let value = match current {
        None => 0,
        Some(bytes) => parse(bytes).ok_or_else(|| not_a_counter("the attribute holds something else"))?,
    };
    add(value, by).map(text)
}

pub(crate) fn not_a_counter(why: &'static str) -> Error {
    Error::new(ErrorKind::NotACounter, Operation::Change, why)
}

/// Decodes a counter as whatever integer-like type is asked for.
pub(crate) fn decode<'de, T: Deserialize<'de>>(value: i64) -> Option<T> {
    T::deserialize(Counter(value)).ok()
}

struct Counter(i64);

impl<'de> Deserializer<'de> for Counter {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_i64(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The number, if this value serializes as an integer in the range of counters.
pub(crate) fn of_value<T: Serialize + ?Sized>(value: &T) -> Option<i64> {
    value.serialize(IntegerOnly).ok().filter(|number| number.unsigned_abs() <= COUNTER_LIMIT.unsigned_abs())
}

/// A serializer that takes integers and refuses everything else.
struct IntegerOnly;

#[derive(Debug)]
struct NotAnInteger;

impl fmt::Display for NotAnInteger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an integer")
    }
}

impl std::error::Error for NotAnInteger {}

impl serde::ser::Error for NotAnInteger {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Result<i64, NotAnInteger> {
            i64::try_from(value).map_err(|_| NotAnInteger)
        }
    )*};
}

macro_rules! refused {
    ($($method:ident($($argument:ty),*) -> $output:ty;)*) => {$(
        fn $method(self $(, _: $argument)*) -> Result<$output, NotAnInteger> {
            Err(NotAnInteger)
        }
    )*};
}

type Never = Impossible<i64, NotAnInteger>;

impl Serializer for IntegerOnly {
    type Ok = i64;
    type Error = NotAnInteger;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    integers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128
    );

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<i64, NotAnInteger> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<i64, NotAnInteger> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<i64, NotAnInteger> {
        Err(NotAnInteger)
    }

    refused! {
        serialize_bool(bool) -> i64;
        serialize_f32(f32) -> i64;
        serialize_f64(f64) -> i64;
        serialize_char(char) -> i64;
        serialize_str(&str) -> i64;
        serialize_bytes(&[u8]) -> i64;
        serialize_none() -> i64;
        serialize_unit() -> i64;
        serialize_unit_struct(&'static str) -> i64;
        serialize_unit_variant(&'static str, u32, &'static str) -> i64;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_text_only() {
        for (text, value) in
            [("0", 0), ("-1", -1), ("999999999999999999", COUNTER_LIMIT), ("-999999999999999999", -COUNTER_LIMIT)]
        {
            assert_eq!(parse(text.as_bytes()), Some(value));
        }
        for wrong in ["", "-", "-0", "00", "01", "+1", " 1", "1 ", "1.0", "1e3", "1000000000000000000", "\"1\""] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn additions_stay_in_range() {
        assert_eq!(added(None, -3).unwrap(), "-3");
        assert_eq!(added(Some(&Bytes::from("41")), 1).unwrap(), "42");
        for (current, by) in [("999999999999999999", 1), ("0", i64::MAX), ("0", i64::MIN), ("1.5", 1)] {
            let error = added(Some(&Bytes::from(current)), by).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotACounter);
        }
    }

    #[test]
    fn counters_are_read_as_any_integer_like_type() {
        #[derive(serde::Deserialize, PartialEq, Debug)]
        struct Visits(u8);
        assert_eq!(decode::<i64>(-5), Some(-5));
        assert_eq!(decode::<u16>(5), Some(5));
        assert_eq!(decode::<u16>(-5), None);
        assert_eq!(decode::<Option<u8>>(5), Some(Some(5)));
        assert_eq!(decode::<Visits>(7), Some(Visits(7)));
        assert_eq!(decode::<f64>(7), Some(7.0));
        assert_eq!(decode::<String>(7), None);
    }

    #[test]
    fn integers_are_recognised_by_their_type() {
        assert_eq!(of_value(&7_u8), Some(7));
        assert_eq!(of_value(&Some(-7_i64)), Some(-7));
        assert_eq!(of_value(&u64::MAX), None);
        assert_eq!(of_value(&1.0), None);
        assert_eq!(of_value("1"), None);
        assert_eq!(of_value(&vec![1]), None);
    }
}
