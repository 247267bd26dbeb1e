//! Every fault of `docs/faults.md`, raised with real servers; what is then seen is what that says.

mod cut;
mod server_refusals;
mod unreachable;
