//! What strangers send, and what nobody is shown: with a real Redis, and a real TwemProxy.

use secret_watch as _;

#[allow(unreachable_pub, reason = "the fuzz targets have it as a module, too")]
mod body;
#[path = "../common/mod.rs"]
mod common;
mod hostile;
mod inputs;
mod logs;
mod parsing;
mod shown;
