//! What a decoder is asked to do with bytes of unknown origin: not to panic, not to overflow the stack, to end soon, and
//! to accept nothing that it could not have written. Used by the fuzz targets, and by an ordinary test.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use session_core::SessionSerializer;
use session_serde::{Codec, Json, MessagePack, Postcard, Value};

use super::types::{
    AdjacentlyTagged, Cart, Chain, Flattened, InternallyTagged, Role, Shapes, Skipping, Tree, Untagged, User,
};

/// Decodes the bytes as all sorts of types.
pub fn decode(codec: Codec, bytes: &[u8]) {
    again::<bool>(codec, bytes);
    again::<i8>(codec, bytes);
    again::<u64>(codec, bytes);
    again::<i128>(codec, bytes);
    again::<f64>(codec, bytes);
    again::<char>(codec, bytes);
    again::<String>(codec, bytes);
    again::<ByteBuf>(codec, bytes);
    again::<Vec<u8>>(codec, bytes);
    again::<(i16, Option<String>, u32)>(codec, bytes);
    again::<Option<Option<u8>>>(codec, bytes);
    again::<Vec<()>>(codec, bytes);
    again::<Vec<Vec<()>>>(codec, bytes);
    again::<BTreeSet<()>>(codec, bytes);
    again::<BTreeMap<String, Vec<f32>>>(codec, bytes);
    again::<Vec<(String, Result<u8, bool>)>>(codec, bytes);
    again::<User>(codec, bytes);
    again::<Role>(codec, bytes);
    again::<Cart>(codec, bytes);
    again::<Shapes>(codec, bytes);
    again::<Tree>(codec, bytes);
    again::<Chain>(codec, bytes);
    // These may be written in a form that cannot be read, or not at all.
    any::<BTreeMap<(), ()>>(codec, bytes);
    any::<Untagged>(codec, bytes);
    any::<InternallyTagged>(codec, bytes);
    any::<AdjacentlyTagged>(codec, bytes);
    any::<Flattened>(codec, bytes);
    any::<Skipping>(codec, bytes);
    any::<Value>(codec, bytes);
    any::<IgnoredAny>(codec, bytes);
    borrowed::<&str>(codec, bytes);
    borrowed::<&[u8]>(codec, bytes);
    borrowed::<(&str, &[u8], Vec<&str>)>(codec, bytes);
}

/// What can be decoded can be encoded by the same serializer, and then is the same for ever. (Not by any other: JSON has
/// no word for what is not a number.)
fn again<T: Serialize + DeserializeOwned>(codec: Codec, bytes: &[u8]) {
    let Ok(value) = codec.decode::<T>(bytes) else { return };
    let writer = match bytes.first() {
        Some(&MessagePack::TAG) => Codec::from(MessagePack),
        Some(&Postcard::TAG) => Codec::from(Postcard),
        _ => Codec::from(Json),
    };
    let encode = |value: &T| {
        let mut bytes = Vec::new();
        writer.encode(value, &mut bytes).expect("what can be decoded can be encoded");
        bytes
    };
    let once = encode(&value);
    let value = codec.decode::<T>(&once).expect("what was encoded can be decoded");
    assert_eq!(encode(&value), once);
}

fn any<T: DeserializeOwned>(codec: Codec, bytes: &[u8]) {
    let _ = codec.decode::<T>(bytes);
}

fn borrowed<'de, T: Deserialize<'de>>(codec: Codec, bytes: &'de [u8]) {
    let _ = codec.decode::<T>(bytes);
}
