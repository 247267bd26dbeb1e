//! Settings: what each of them does, from every source; and what is refused, without repeating a value.

use secret_watch as _;

mod aliases;
#[allow(unreachable_pub, reason = "the fuzz targets have it as a module, too")]
mod body;
mod connection_rows;
mod environment;
mod files;
mod hostile;
mod servers;
mod session_rows;
mod sources;
