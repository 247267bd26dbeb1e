//! What the fuzz targets do, which is what an ordinary test does, too.

#[path = "../../session-serde/tests/codecs/body.rs"]
mod body;
#[path = "../../session-settings/tests/settings/body.rs"]
mod settings_body;
#[path = "../../session-serde/tests/codecs/types.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod types;

pub use body::decode;
pub use settings_body::{settings, url};

/// Decodes the bytes behind a tag.
pub fn decode_tagged(codec: impl Into<session_serde::Codec>, tag: u8, bytes: &[u8]) {
    decode(codec.into(), &[&[tag], bytes].concat());
}
