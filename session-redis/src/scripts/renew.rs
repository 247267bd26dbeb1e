//! The argument and reply of the renewal script.

use std::time::Duration;

use bytes::Bytes;
use session_core::{Renewal, Renewed};

use super::{Script, Unreadable, code, hex_digest};
use crate::layout::milliseconds;
use crate::transport::Reply;

const TEXT: &str = include_str!("renew.lua");

/// See [`SessionProvider::renew`](session_core::SessionProvider::renew).
pub static RENEW: Script = Script::new(TEXT, || hex_digest(TEXT.as_bytes()));

/// The script's argument.
pub fn renew_arguments(renewal: &Renewal) -> Bytes {
    let Renewal { generation, time_to_live } = renewal;
    format!("{generation} {}", milliseconds(*time_to_live)).into()
}

/// Reads the reply to a renewal.
///
/// # Errors
///
/// See [`Unreadable`].
pub fn renewed(reply: Reply) -> Result<Renewed, Unreadable> {
    match code(reply)?.0 {
        0 => Ok(Renewed::Gone),
        milliseconds => {
            let milliseconds = u64::try_from(milliseconds).map_err(|_| Unreadable::Broken)?;
            Ok(Renewed::Done { remaining: Duration::from_millis(milliseconds) })
        }
    }
}
