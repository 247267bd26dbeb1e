//! The argument and reply of the retirement script.

use bytes::Bytes;
use session_core::{Retired, Retirement, TOMBSTONE_AFTER_REPEATED_CREATION, TOMBSTONE_AFTER_ROTATION};

use super::{Script, Unreadable, code, hex_digest};
use crate::layout::milliseconds;
use crate::transport::Reply;

const TEXT: &str = include_str!("retire.lua");

/// See [`SessionProvider::retire`](session_core::SessionProvider::retire).
pub static RETIRE: Script = Script::new(TEXT, || hex_digest(TEXT.as_bytes()));

/// The script's argument.
pub fn retire_arguments(retirement: &Retirement) -> Bytes {
    let Retirement { generation, version, successor } = retirement;
    let life = milliseconds(TOMBSTONE_AFTER_ROTATION);
    let long_life = milliseconds(TOMBSTONE_AFTER_REPEATED_CREATION);
    format!("{generation} {version} {successor} {life} {long_life}").into()
}

/// Reads the reply to a retirement.
///
/// # Errors
///
/// See [`Unreadable`].
pub fn retired(reply: Reply) -> Result<Retired, Unreadable> {
    match code(reply)?.0 {
        0 => Ok(Retired::Gone),
        1 => Ok(Retired::Done),
        2 => Ok(Retired::Changed),
        _ => Err(Unreadable::Broken),
    }
}
