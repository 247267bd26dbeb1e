//! Replies that no Redis would send: random ones, and genuine ones with faults.

use secret_watch as _;

mod allocated;
#[allow(unreachable_pub, reason = "the fuzz targets have it as a module, too")]
mod body;
mod hostile;
