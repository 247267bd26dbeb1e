//! Where sessions live: connections, databases and keys are chosen once for each request, and never mixed up.

use secret_watch as _;

#[path = "../common/mod.rs"]
mod common;
mod connections;
mod crossing;
mod farm;
mod keys;
