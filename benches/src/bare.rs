//! The libraries without anything of ours, as one would use them with a buffer that is used again.

use std::mem;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A library.
pub trait Bare {
    /// The name of our serializer that uses it.
    const NAME: &'static str;

    /// Encodes into a buffer, whatever it held.
    fn encode<T: Serialize>(value: &T, into: &mut Vec<u8>);

    /// Decodes.
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T;
}

/// `serde_json`.
#[derive(Debug)]
pub struct Json;

impl Bare for Json {
    const NAME: &'static str = "json";

    fn encode<T: Serialize>(value: &T, into: &mut Vec<u8>) {
        into.clear();
        serde_json::to_writer(into, value).expect("it can be encoded");
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
        serde_json::from_slice(bytes).expect("it can be decoded")
    }
}

/// `rmp-serde`.
#[derive(Debug)]
pub struct MessagePack;

impl Bare for MessagePack {
    const NAME: &'static str = "msgpack";

    fn encode<T: Serialize>(value: &T, into: &mut Vec<u8>) {
        into.clear();
        rmp_serde::encode::write_named(into, value).expect("it can be encoded");
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
        rmp_serde::from_slice(bytes).expect("it can be decoded")
    }
}

/// `postcard`.
#[derive(Debug)]
pub struct Postcard;

impl Bare for Postcard {
    const NAME: &'static str = "postcard";

    fn encode<T: Serialize>(value: &T, into: &mut Vec<u8>) {
        into.clear();
        *into = postcard::to_extend(value, mem::take(into)).expect("it can be encoded");
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
        postcard::from_bytes(bytes).expect("it can be decoded")
    }
}
