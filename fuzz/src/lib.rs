//! What the fuzz targets do, which is what an ordinary test does, too.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::{env, fs, process};

#[path = "../../session-serde/tests/codecs/body.rs"]
mod body;
#[path = "../../session-tower/tests/security/body.rs"]
mod cookies;
#[path = "../../session-redis/tests/replies/body.rs"]
mod replies;
#[path = "../../session-settings/tests/settings/body.rs"]
mod settings_body;
#[path = "../../session-serde/tests/codecs/types.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod types;

pub use body::decode;
pub use cookies::{cookie_header, session_id};
pub use replies::read_replies;
pub use settings_body::{settings, url};

/// Decodes the bytes behind a tag.
pub fn decode_tagged(codec: impl Into<session_serde::Codec>, tag: u8, bytes: &[u8]) {
    decode(codec.into(), &[&[tag], bytes].concat());
}

/// Has a server send the bytes that follow the first, which tells what else it does.
pub fn serve_replies(bytes: &[u8]) {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = env::temp_dir().join(format!("session-fuzz-{}", process::id()));
        fs::create_dir_all(&folder).expect("there is room for a socket");
        folder
    });
    let _ = replies::through_the_transport(bytes, &FOLDER);
}
