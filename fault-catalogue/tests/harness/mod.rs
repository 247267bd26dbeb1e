//! What the tests of the fault catalogue share: the table in `docs/faults.md` as expectations, real servers to which
//! something can be done, an application that is asked over its [`SessionLayer`](session_tower::SessionLayer), and the
//! [`Fault`] that runs through all ways and settings.
//!
//! Everything here panics where a test would fail.

// Each test program uses another part of it.
#![allow(dead_code, missing_docs, unreachable_pub, unused_imports)]

mod app;
mod fault;
mod panics;
mod scene;
mod table;

pub use app::{App, Gate, OPERATION_TIMEOUT, Reply};
pub use fault::{Fault, everywhere};
pub use panics::{ON_PURPOSE, assert_none_of_ours};
pub use scene::{Scene, Setup, Way, eventually};
pub use table::{Outcome, Quietly, Row, Strikes, Table, TestName};
