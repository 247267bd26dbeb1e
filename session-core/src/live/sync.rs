//! What the table needs of threads, clock and hasher. Its model check (`tests/table_model.rs`) compiles `table.rs` with
//! others in their place.

pub(super) use std::hash::RandomState;
pub(super) use std::sync::{Mutex, MutexGuard};

pub(super) use tokio::time::Instant;
