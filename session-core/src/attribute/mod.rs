//! One attribute of a live session: its bytes, what was done to it, and how that combines.

pub(crate) mod coding;
pub(crate) mod counter;
mod memo;
mod op;
mod slot;

pub(crate) use memo::Memo;
pub(crate) use op::{Op, Step};
pub(crate) use slot::{Author, Failure, Slot};
