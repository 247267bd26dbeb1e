//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, reason = "no test uses all of it, and each has it as a module of its own")]

mod life;

pub use life::*;
use session_redis::{RedisConfig, RedisProvider};
use test_support::RedisServer;

pub fn provider(url: &str) -> RedisProvider {
    RedisProvider::new(&RedisConfig::new().url(url)).unwrap()
}

pub fn server() -> (RedisServer, RedisProvider) {
    let server = RedisServer::spawn().unwrap();
    let provider = provider(&server.url());
    (server, provider)
}
