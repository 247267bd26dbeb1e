//! The argument and reply of the destruction script.

use bytes::Bytes;
use session_core::{Destroyed, Destruction, TOMBSTONE_AFTER_REPEATED_CREATION};

use super::{Script, Unreadable, code, hex_digest};
use crate::layout::milliseconds;
use crate::transport::Reply;

const TEXT: &str = include_str!("destroy.lua");

/// See [`SessionProvider::destroy`](session_core::SessionProvider::destroy).
pub static DESTROY: Script = Script::new(TEXT, || hex_digest(TEXT.as_bytes()));

/// The script's argument.
pub fn destroy_arguments(destruction: &Destruction) -> Bytes {
    let Destruction { generation, leave_tombstone } = destruction;
    let life = milliseconds(TOMBSTONE_AFTER_REPEATED_CREATION);
    format!("{generation} {} {life}", u8::from(*leave_tombstone)).into()
}

/// Reads the reply to a destruction.
///
/// # Errors
///
/// See [`Unreadable`].
pub fn destroyed(reply: Reply) -> Result<Destroyed, Unreadable> {
    match code(reply)?.0 {
        0 => Ok(Destroyed::NothingFound),
        1 => Ok(Destroyed::Done),
        _ => Err(Unreadable::Broken),
    }
}
