//! Real servers for tests: each on its own port and in its own folder, ended when dropped. And what tests that run for
//! long or choose at random agree upon.

#[cfg(test)]
use secret_watch as _;

mod cluster;
mod effort;
mod fault_proxy;
mod nutcracker;
mod process;
mod recorder;
mod redis_server;
mod relay;
mod sentinels;
mod tls_files;
mod wait;

pub use cluster::{Cluster, ClusterBuilder};
pub use effort::{SOAK_FACTOR, TEST_SEED, soak_factor, test_seed};
pub use fault_proxy::FaultProxy;
pub use nutcracker::{Nutcracker, NutcrackerBuilder};
pub use recorder::{Recorded, Recorder};
pub use redis_server::{RedisServer, RedisServerBuilder};
pub use relay::Direction;
pub use sentinels::{Sentinels, SentinelsBuilder};
pub use session_core::conformance::Random;
pub use tls_files::TlsFiles;
