//! Where the sessions of a flow lie.

use std::sync::Arc;

use session_core::SessionProvider;
use session_redis::{RedisConfig, RedisProvider};
use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};
use test_support::{Nutcracker, RedisServer};

/// So that an outage loses nothing.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

const PATTERN: &str = "session:*";

/// A store of the test's own.
#[allow(dead_code, reason = "each test uses one of them")]
pub(crate) enum Store {
    Redis(RedisServer),
    Twemproxy(Nutcracker),
}

#[allow(dead_code, reason = "each test uses one of them")]
impl Store {
    pub(crate) fn redis() -> Self {
        Self::Redis(RedisServer::builder().arguments(DURABLE).start().unwrap())
    }

    pub(crate) fn twemproxy() -> Self {
        Self::Twemproxy(Nutcracker::builder().server_arguments(DURABLE).start().unwrap())
    }

    /// A new one, as a process of its own would have.
    pub(crate) fn provider(&self) -> Arc<dyn SessionProvider> {
        match self {
            Self::Redis(redis) => Arc::new(RedisProvider::new(&RedisConfig::new().url(redis.url())).unwrap()),
            Self::Twemproxy(proxy) => {
                Arc::new(TwemproxyProvider::new(&TwemproxyConfig::new().url(proxy.url())).unwrap())
            }
        }
    }

    /// The keys of all sessions and tombstones.
    pub(crate) fn keys(&self) -> Vec<String> {
        match self {
            Self::Redis(redis) => {
                let keys = redis.cli(&["KEYS", PATTERN]);
                keys.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
            }
            Self::Twemproxy(proxy) => proxy.keys(PATTERN).concat(),
        }
    }

    /// Runs a command on one key.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        match self {
            Self::Redis(redis) => redis.cli(arguments),
            Self::Twemproxy(proxy) => proxy.cli(arguments),
        }
    }

    /// From now on it cannot be reached; behind a proxy sometimes because of that, sometimes because of the servers.
    pub(crate) fn fail(&mut self, round: usize) {
        match self {
            Self::Redis(redis) => redis.kill(),
            Self::Twemproxy(proxy) if round % 2 == 1 => proxy.kill(),
            Self::Twemproxy(proxy) => (0..proxy.servers().len()).for_each(|index| proxy.server_mut(index).kill()),
        }
    }

    /// It is there again.
    pub(crate) fn restore(&mut self) {
        match self {
            Self::Redis(redis) => redis.restart().unwrap(),
            Self::Twemproxy(proxy) => {
                (0..proxy.servers().len()).for_each(|index| proxy.server_mut(index).restart().unwrap());
                proxy.restart().unwrap();
            }
        }
    }
}
