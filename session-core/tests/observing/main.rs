//! What an application is asked and told: size handlers, observers, figures, last errors, the end.

use secret_watch as _;

#[path = "../common/mod.rs"]
mod common;
mod endings;
mod events;
mod figures;
#[cfg(feature = "metrics")]
mod published;
mod sizes;
mod spans;
mod told;
