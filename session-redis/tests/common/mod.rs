//! What the tests of this crate share.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "no test uses all of it, and each has it as a module of its own"
)]

mod life;
mod subject;

pub use life::*;
use session_redis::{RedisConfig, RedisProvider};
pub use subject::Served;
use test_support::RedisServer;

pub fn provider(url: &str) -> RedisProvider {
    RedisProvider::new(&RedisConfig::new().url(url)).unwrap()
}

pub fn server() -> (RedisServer, RedisProvider) {
    let server = RedisServer::spawn().unwrap();
    let provider = provider(&server.url());
    (server, provider)
}

/// A server of its own for a suite.
pub fn served() -> Served {
    let (server, provider) = server();
    Served::new(provider, move |arguments| server.cli(arguments))
}
