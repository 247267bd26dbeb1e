//! Real servers for tests: each on its own port and in its own folder, ended when dropped.

mod fault_proxy;
mod redis_server;

pub use fault_proxy::{Direction, FaultProxy};
pub use redis_server::{RedisServer, RedisServerBuilder};
