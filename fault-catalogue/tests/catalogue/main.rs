//! Every fault of `docs/faults.md`, raised with real servers; what is then seen is what that says.

use secret_watch as _;

#[path = "../harness/mod.rs"]
mod harness;

mod clock;
mod clusters;
mod crowd;
mod cut;
mod ends;
mod hostile_callbacks;
mod limits;
mod retry;
mod rotation;
mod server_refusals;
mod shared;
mod table;
mod tls;
mod unreachable;
