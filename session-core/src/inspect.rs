//! A whole session decoded, for tools and debugging.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::attribute::{coding, counter};
use crate::error::Error;
use crate::name::AttributeName;
use crate::provider::StoredSession;
use crate::serializer::SessionSerializer;

/// An attribute, decoded without knowing its type. What it holds is the visitor's; mind where you print it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inspected<V> {
    /// Its name.
    pub name: AttributeName,
    /// How many bytes its value takes.
    pub bytes: usize,
    /// What it holds.
    pub content: Content<V>,
}

/// What an attribute holds, as far as its bytes tell.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Content<V> {
    /// A value.
    Value(V),
    /// Bytes that only the program which knows the type can decode.
    Opaque,
    /// Bytes that cannot be decoded.
    Corrupt(Error),
}

impl StoredSession {
    /// All attributes, decoded as far as their bytes describe themselves, in the order of their names. `V` is a type for
    /// any value, such as `session_serde::Value` or `serde_json::Value`.
    pub fn inspect<S: SessionSerializer, V: DeserializeOwned>(&self, serializer: &S) -> Vec<Inspected<V>> {
        inspect(serializer, self.attributes.iter().map(|(name, value)| (name, value)))
    }
}

pub(crate) fn inspect<'a, S: SessionSerializer, V: DeserializeOwned>(
    serializer: &S,
    attributes: impl Iterator<Item = (&'a AttributeName, &'a Bytes)>,
) -> Vec<Inspected<V>> {
    let mut all: Vec<_> = attributes
        .map(|(name, value)| Inspected {
            name: name.clone(),
            bytes: value.len(),
            // A counter describes itself whatever the serializer.
            content: if counter::parse(value).is_none() && !serializer.describes_itself(value) {
                Content::Opaque
            } else {
                match coding::decode(serializer, value) {
                    Ok(value) => Content::Value(value),
                    Err(error) => Content::Corrupt(error.with_attribute(name.as_str())),
                }
            },
        })
        .collect();
    all.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    all
}
