//! What the tests of this crate share.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "no test uses all of it, and each has it as a module of its own"
)]

#[path = "../../../session-redis/tests/common/life.rs"]
mod life;
#[path = "../../../session-redis/tests/common/subject.rs"]
mod subject;

use std::thread;

pub use life::*;
use session_redis::{RedisConfig, RedisProvider};
use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};
pub use subject::Served;
use test_support::{Nutcracker, NutcrackerBuilder, Recorded, Recorder};

pub const PATTERN: &str = "session*:*";

/// A TwemProxy before three servers, to which nobody ever said anything but what it forwards: that is checked at the end
/// of every test that uses it.
pub struct Proxied {
    pub nutcracker: Nutcracker,
    pub recorder: Recorder,
}

impl Proxied {
    pub fn start() -> Self {
        Self::with(Nutcracker::builder())
    }

    /// Servers that forget nothing when they are killed.
    pub fn durable() -> Self {
        Self::with(Nutcracker::builder().server_arguments(["--appendonly", "yes", "--appendfsync", "always"]))
    }

    pub fn with(builder: NutcrackerBuilder) -> Self {
        let nutcracker = builder.start().expect("nutcracker starts");
        let recorder = Recorder::start(nutcracker.address()).expect("a port");
        Self { nutcracker, recorder }
    }

    pub fn provider(&self) -> TwemproxyProvider {
        provider(&TwemproxyConfig::new().url(self.recorder.url()))
    }

    /// The way past the proxy.
    pub fn direct(&self, shard: usize) -> RedisProvider {
        RedisProvider::new(&RedisConfig::new().url(self.nutcracker.servers()[shard].url())).unwrap()
    }

    /// What lies on any server is a session or a tombstone, with an expiry, and on one server only.
    pub fn assert_sound(&self) {
        let mut all = Vec::new();
        for (server, keys) in self.nutcracker.servers().iter().zip(self.nutcracker.keys("*")) {
            for key in keys {
                let mut header: Vec<_> = server.cli(&["HKEYS", &key]).lines().map(str::to_owned).collect();
                let attributes = header.len();
                header.retain(|field| field.starts_with('@'));
                let is_session = ["@c", "@f", "@g", "@v", "@w"].iter().all(|it| header.iter().any(|field| field == it));
                let is_tombstone = attributes == 1 && header == ["@t"];
                assert!(is_session || is_tombstone, "a hash with the fields {header:?} of {attributes}");
                let left: i64 = server.cli(&["PTTL", &key]).parse().unwrap();
                assert!(left > 0, "no expiry: {left}");
                all.push(key);
            }
        }
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "a key lies on several servers");
    }
}

impl Drop for Proxied {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert_closed(&self.recorder);
        }
    }
}

/// A proxy and servers of its own for a suite. The proxy finds the server of each key.
pub fn served() -> Served {
    let proxied = Proxied::start();
    Served::new(proxied.provider(), move |arguments| proxied.nutcracker.cli(arguments))
}

pub fn provider(config: &TwemproxyConfig) -> TwemproxyProvider {
    TwemproxyProvider::new(config).unwrap()
}

/// Only what a TwemProxy forwards to one server was sent, and something was.
pub fn assert_closed(recorder: &Recorder) {
    let commands = recorder.commands();
    for Recorded { name, arguments, script_keys } in commands.keys() {
        let possible = match name.as_str() {
            "PING" => *arguments == 0,
            "AUTH" | "HGETALL" | "PTTL" => *arguments == 1,
            "HMGET" => *arguments >= 2,
            "EVAL" | "EVALSHA" => *arguments >= 3 && script_keys.as_deref() == Some("1"),
            _ => false,
        };
        assert!(possible, "{name} with {arguments} arguments was sent (keys of a script: {script_keys:?})");
    }
    assert!(!commands.is_empty(), "nothing was sent");
}
