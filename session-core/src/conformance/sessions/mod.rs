//! Random requests of several processes on one session, compared with a model.
//!
//! Each [`SessionManager`] of a run stands for a process; all share the store under test. A run
//! is short, so that its steps can be read when it fails; a failure names the run's seed, and with `SESSION_TEST_SEED`
//! set to it that run comes first. `SESSION_SOAK_FACTOR` multiplies the number of runs.
//!
//! - [`exactly`]: one step after the other, and every answer is known beforehand.
//! - [`under_faults`]: the steps of many requests interleave, are refused, lost, delayed and cancelled, and what was
//!   promised of each change is checked at the end.
//! - [`at_once`]: many requests on several threads, whose changes are all there in the end.
//!
//! They prove a store together with the session logic above it, and need nothing but a [`Subject`](super::Subject) and
//! a serializer.

mod chaos;
mod exact;
mod faults;
mod journal;
mod parallel;
mod promises;
mod reference;

pub use self::exact::exactly;
pub use self::faults::under_faults;
pub use self::parallel::at_once;

use std::sync::Arc;
use std::time::Duration;

use crate::key::KeyDerivation;
use crate::manager::{SessionManager, SessionManagerBuilder};
use crate::provider::SessionProvider;
use crate::serializer::SessionSerializer;

/// Keys of their own, so that runs can share a store with other tests.
fn keys() -> KeyDerivation {
    KeyDerivation::hashed("sessions:")
}

fn process<S: SessionSerializer>(
    provider: Arc<dyn SessionProvider>,
    codec: &S,
    keep: bool,
) -> SessionManagerBuilder<S> {
    let keep_for = if keep { Duration::from_secs(120) } else { Duration::ZERO };
    SessionManager::builder(provider, codec.clone()).key_derivation(keys()).keep_for(keep_for)
}
