//! One attribute of a live session: its bytes, what was done to it, and how that combines.

mod authors;
pub(crate) mod coding;
pub(crate) mod counter;
mod memo;
mod op;
mod slot;

pub(crate) use authors::Author;
pub(crate) use memo::Memo;
pub(crate) use op::{Op, Step};
pub(crate) use slot::{Failure, Flown, Slot};
