//! Real servers for tests: each on its own port and in its own folder, ended when dropped.

mod redis_server;

pub use redis_server::{RedisServer, RedisServerBuilder};
