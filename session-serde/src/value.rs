//! Any value, for tools that do not know the type.

use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

/// Any value, decoded without knowing its type, as bytes that describe themselves allow (JSON, MessagePack, counters).
///
/// For tools and debugging: [`Display`](fmt::Display) writes it in the diagnostic notation of [RFC 8610], which is JSON
/// as far as JSON goes. It shows all of the value, and so does `Debug`; mind where you print it.
///
/// ```
/// # #[cfg(all(feature = "json", feature = "msgpack"))] {
/// use session_core::SessionSerializer;
/// use session_serde::{Json, MessagePack, Value};
///
/// let mut bytes = Vec::new();
/// MessagePack.encode(&("apple", 3, [0.5], serde_bytes::Bytes::new(&[1, 255])), &mut bytes)?;
/// let value: Value = MessagePack.decode(&bytes)?;
/// assert_eq!(value.to_string(), r#"["apple", 3, [0.5], h'01ff']"#);
/// # }
/// # Ok::<(), session_core::SerializerError>(())
/// ```
///
/// With a whole session: `session.inspect::<Value>()`.
///
/// [RFC 8610]: https://www.rfc-editor.org/rfc/rfc8610#appendix-G
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: `None` or `()`.
    Null,
    /// Yes or no.
    Bool(bool),
    /// Any integer that these serializers write.
    Integer(i128),
    /// A number with a fraction.
    Float(f64),
    /// Text; also a unit variant's name, and a character.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list, a tuple.
    List(Vec<Self>),
    /// A map, a struct, or a variant with what it holds; in the order of the bytes.
    Map(Vec<(Self, Self)>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        value.try_into().map(Value::Integer).map_err(|_| E::custom("an integer beyond 127 bits"))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            // In the narrowest type that is common: MessagePack writes 128 bits as bytes.
            Self::Integer(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => serializer.serialize_i128(*value),
            },
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::List(list) => {
                let mut elements = serializer.serialize_seq(Some(list.len()))?;
                for element in list {
                    elements.serialize_element(element)?;
                }
                elements.end()
            }
            Self::Map(map) => {
                let mut entries = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in map {
                    entries.serialize_entry(key, value)?;
                }
                entries.end()
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) if value.is_nan() => f.write_str("NaN"),
            Self::Float(value) if value.is_infinite() => {
                f.write_str(if *value > 0.0 { "Infinity" } else { "-Infinity" })
            }
            // Debug keeps the point: 1.0.
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(text) => quoted(text, f),
            Self::Bytes(bytes) => {
                f.write_str("h'")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_char('\'')
            }
            Self::List(list) => {
                f.write_char('[')?;
                for (index, element) in list.iter().enumerate() {
                    write!(f, "{}{element}", if index == 0 { "" } else { ", " })?;
                }
                f.write_char(']')
            }
            Self::Map(map) => {
                f.write_char('{')?;
                for (index, (key, value)) in map.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_char('}')
            }
        }
    }
}

/// A text as JSON has it; control characters cannot act on the terminal.
fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            other if other.is_control() => write!(f, "\\u{:04x}", u32::from(other))?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_json_where_json_can() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (value, shown) in [
            (Value::Null, "null"),
            (Value::Bool(true), "true"),
            (Value::Integer(u64::MAX.into()), "18446744073709551615"),
            (Value::Float(1.0), "1.0"),
            (Value::Float(f64::NEG_INFINITY), "-Infinity"),
            (Value::Float(f64::NAN), "NaN"),
            (text("\"\\\n\r\t\u{1b}[31m\u{9b}ü🦀"), r#""\"\\\n\r\t\u001b[31m\u009bü🦀""#),
            (Value::Bytes(vec![0, 255]), "h'00ff'"),
            (Value::List(vec![]), "[]"),
            (Value::List(vec![Value::Null, Value::List(vec![])]), "[null, []]"),
            (Value::Map(vec![(Value::Integer(1), text("a")), (text("b"), Value::Map(vec![]))]), r#"{1: "a", "b": {}}"#),
        ] {
            assert_eq!(value.to_string(), shown);
        }
    }
}
