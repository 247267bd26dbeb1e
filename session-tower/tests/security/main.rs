//! What strangers send, and what nobody is shown: with a real Redis, and a real TwemProxy.

use secret_watch as _;

#[path = "../common/mod.rs"]
mod common;
mod hostile;
mod inputs;
mod logs;
mod shown;
