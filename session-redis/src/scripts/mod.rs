//! The steps that write: one Lua script each, one key each, everything checked before the first write.
//!
//! A script is called by its digest, and by its text when the server does not know it (yet, or any more): never
//! `SCRIPT LOAD`, which a TwemProxy does not pass. The reply −1 of every script means that the key holds something that
//! is not a session.

mod commit;
mod destroy;
mod renew;
mod retire;

use std::sync::LazyLock;

use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::transport::{Command, Reply, ServerError};

pub use commit::{COMMIT, commit_arguments, committed};
pub use destroy::{DESTROY, destroy_arguments, destroyed};
pub use renew::{RENEW, renew_arguments, renewed};
pub use retire::{RETIRE, retire_arguments, retired};

pub use crate::layout::Unreadable;

/// A Lua script on one key.
#[derive(Debug)]
pub struct Script {
    text: &'static str,
    digest: LazyLock<Bytes>,
}

impl Script {
    /// The digest is computed when it is first needed, once: by `digest`, which must be [`hex_digest`] of `text`.
    const fn new(text: &'static str, digest: fn() -> Bytes) -> Self {
        Self { text, digest: LazyLock::new(digest) }
    }

    /// Calls it by its digest.
    pub fn by_digest(&self, key: &Bytes, arguments: impl IntoIterator<Item = Bytes>) -> Command {
        Self::call(Command::new("EVALSHA").arg(self.digest.clone()), key, arguments)
    }

    /// Calls it by its text; the server then knows it.
    pub fn by_text(&self, key: &Bytes, arguments: impl IntoIterator<Item = Bytes>) -> Command {
        Self::call(Command::new("EVAL").arg(Bytes::from_static(self.text.as_bytes())), key, arguments)
    }

    fn call(command: Command, key: &Bytes, arguments: impl IntoIterator<Item = Bytes>) -> Command {
        command.arg(Bytes::from_static(b"1")).arg(key.clone()).args(arguments)
    }
}

/// Whether the server does not know the script's digest. Nothing was executed.
pub fn is_unknown_script(error: &ServerError) -> bool {
    error.code() == "NOSCRIPT"
}

/// The SHA-1 of these bytes in hexadecimal digits, as `redis.sha1hex` writes it.
fn hex_digest(bytes: &[u8]) -> Bytes {
    Sha1::digest(bytes)
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| b"0123456789abcdef"[usize::from(digit)])
        .collect()
}

/// The leading number of a script's reply, and what follows it.
fn code(reply: Reply) -> Result<(i64, std::vec::IntoIter<Reply>), Unreadable> {
    let (code, rest) = match reply {
        Reply::Integer(code) => (code, Vec::new().into_iter()),
        Reply::Array(replies) => {
            let mut replies = replies.into_iter();
            let Some(Reply::Integer(code)) = replies.next() else { return Err(Unreadable::Broken) };
            (code, replies)
        }
        _ => return Err(Unreadable::Broken),
    };
    if code == -1 { Err(Unreadable::Foreign) } else { Ok((code, rest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests() {
        assert_eq!(hex_digest(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}
