//! Every fault of `docs/faults.md`, raised with real servers; what is then seen is what that says.

mod cut;
mod ends;
mod hostile_callbacks;
mod limits;
mod rotation;
mod server_refusals;
mod shared;
mod unreachable;
