//! Keeps web sessions in Redis: one hash per session, one round trip to read, one to write.
//!
//! [`RedisProvider`] is the [`SessionProvider`](session_core::SessionProvider) for a Redis server, [`RedisConfig`] its
//! settings. The modules are for providers that reach Redis by other ways and keep sessions in the same form: the
//! [`layout`] of the hash, the [`scripts`] that write it, the [`transport`] that carries commands, and the [`steps`]
//! that join the three.
//!
//! # Features
//!
//! - `tls` (default): TLS with rustls and ring.

#[cfg(test)]
use secret_watch as _;

mod config;
mod error;
pub mod layout;
mod options;
mod provider;
mod reach;
pub mod scripts;
mod stamps;
pub mod steps;
pub mod transport;

pub use config::{RedisConfig, RedisSettings, Servers, Topology};
pub use error::refusal;
pub use provider::RedisProvider;
