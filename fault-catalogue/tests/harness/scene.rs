//! Real servers, the ways to them, and what can be done to them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::SessionProvider;
use session_redis::{RedisConfig, RedisProvider};
use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};
use test_support::{FaultProxy, Nutcracker, RedisServer};

use super::app::OPERATION_TIMEOUT;

/// How the application comes to Redis, and where on that way the fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The application speaks to Redis.
    Direct,
    /// Through a TwemProxy: the fault is between the application and that, or its own.
    ToTwemproxy,
    /// Through a TwemProxy: the fault is behind it.
    BehindTwemproxy,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Direct, Self::ToTwemproxy, Self::BehindTwemproxy];

    /// Those for faults of a Redis server.
    pub const OF_A_SERVER: [Self; 2] = [Self::Direct, Self::BehindTwemproxy];
}

/// What a [`Scene`] consists of.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Whether there is a [`FaultProxy`] on the way.
    pub wire: bool,
    /// Further arguments of `redis-server`.
    pub server_arguments: Vec<&'static str>,
    /// Whether the server is a node of a cluster.
    pub cluster_node: bool,
    /// How long one call may take; as long as it may unless set.
    pub operation_timeout: Option<Duration>,
    /// The longest value that the server takes, where providers are to be told.
    pub max_value_bytes: Option<usize>,
    /// As whom, and with which password, the application comes; TwemProxy knows no users.
    pub user: Option<(&'static str, &'static str)>,
}

/// A Redis server that keeps what it acknowledged, perhaps a TwemProxy before it, perhaps a [`FaultProxy`] on the way.
#[derive(Debug)]
pub struct Scene {
    /// Where the fault is.
    pub way: Way,
    /// The server.
    pub redis: RedisServer,
    nutcracker: Option<Nutcracker>,
    wire: Option<FaultProxy>,
    talk: Option<TcpStream>,
    setup: Setup,
}

impl Scene {
    /// Starts the servers.
    pub fn start(way: Way, setup: &Setup) -> Self {
        let arguments = ["--appendonly", "yes", "--appendfsync", "always"];
        let arguments = arguments.iter().chain(&setup.server_arguments).copied();
        let builder = RedisServer::builder().arguments(arguments);
        let builder = if setup.cluster_node { builder.cluster_node() } else { builder };
        let redis = builder.start().expect("redis-server starts");
        let wired = |address| FaultProxy::start(address).expect("there is a port");
        let (mut nutcracker, mut wire) = (None, None);
        match way {
            Way::Direct => {
                if setup.wire {
                    wire = Some(wired(redis.address()));
                }
            }
            Way::ToTwemproxy => {
                let before = nutcracker_before(redis.address());
                if setup.wire {
                    wire = Some(wired(before.address()));
                }
                nutcracker = Some(before);
            }
            Way::BehindTwemproxy => {
                if setup.wire {
                    wire = Some(wired(redis.address()));
                }
                let address = wire.as_ref().map_or(redis.address(), FaultProxy::address);
                nutcracker = Some(nutcracker_before(address));
            }
        }
        Self { way, redis, nutcracker, wire, talk: None, setup: setup.clone() }
    }

    /// The same without anything particular.
    pub fn plain(way: Way) -> Self {
        Self::start(way, &Setup::default())
    }

    /// The same with a [`FaultProxy`] on the way.
    pub fn wired(way: Way) -> Self {
        Self::start(way, &Setup { wire: true, ..Setup::default() })
    }

    /// A provider for an application that comes this way.
    pub fn provider(&self) -> Arc<dyn SessionProvider> {
        let Setup { user, operation_timeout, max_value_bytes, .. } = self.setup;
        let timeout = operation_timeout.unwrap_or(OPERATION_TIMEOUT);
        let most = max_value_bytes.unwrap_or(512 << 20);
        if self.nutcracker.is_some() {
            // One connection, so that each request meets what is wrong with it.
            let config = TwemproxyConfig::new().url(self.url()).connections(1);
            let config = config.operation_timeout(timeout).max_value_bytes(most);
            return Arc::new(TwemproxyProvider::new(&config).expect("the settings are right"));
        }
        let port = self.wire.as_ref().map_or(self.redis.port(), |wire| wire.address().port());
        let config = RedisConfig::new().port(port).operation_timeout(timeout).max_value_bytes(most);
        let config = match user {
            Some((name, password)) => config.username(name).access_key(password),
            None => config,
        };
        Arc::new(RedisProvider::new(&config).expect("the settings are right"))
    }

    /// Where an application is to connect.
    pub fn url(&self) -> String {
        let wire = self.wire.as_ref().filter(|_| self.way != Way::BehindTwemproxy);
        let past_the_wire = || self.nutcracker.as_ref().map_or(self.redis.url(), Nutcracker::url);
        wire.map_or_else(past_the_wire, FaultProxy::url)
    }

    /// A provider that goes to the server past everything else.
    pub fn past(&self) -> Arc<dyn SessionProvider> {
        Arc::new(RedisProvider::new(&RedisConfig::new().url(self.redis.url())).expect("the settings are right"))
    }

    /// What is on the way.
    pub fn wire(&self) -> &FaultProxy {
        self.wire.as_ref().expect("the scene has a wire")
    }

    /// Ends what the fault is about, as a power cut would: the proxy if the fault is before it, else the server.
    pub fn kill(&mut self) {
        match &mut self.nutcracker {
            Some(nutcracker) if self.way == Way::ToTwemproxy => nutcracker.kill(),
            _ => self.redis.kill(),
        }
    }

    /// Starts again what [`kill`](Self::kill) ended.
    pub fn restart(&mut self) {
        let restarted = match &mut self.nutcracker {
            Some(nutcracker) if self.way == Way::ToTwemproxy => nutcracker.restart(),
            _ => self.redis.restart(),
        };
        restarted.expect("it starts again");
        // It listens before it has read its file.
        eventually("it is loaded", || self.redis.cli(&["PING"]) == "PONG");
    }

    /// Starts the server again without waiting until it has read its file.
    pub fn restart_loading(&mut self) {
        self.redis.restart().expect("it starts again");
    }

    /// Stops the process of what the fault is about without ending it.
    pub fn pause(&self) {
        match &self.nutcracker {
            Some(nutcracker) if self.way == Way::ToTwemproxy => nutcracker.pause(),
            _ => self.redis.pause(),
        }
    }

    /// Lets it go on.
    pub fn resume(&self) {
        match &self.nutcracker {
            Some(nutcracker) if self.way == Way::ToTwemproxy => nutcracker.resume(),
            _ => self.redis.resume(),
        }
    }

    /// Sends commands to the server over a connection that is kept open, without waiting for replies.
    pub fn tell(&mut self, commands: &str) {
        let address = self.redis.address();
        let talk = self.talk.get_or_insert_with(|| TcpStream::connect(address).expect("the server listens"));
        talk.write_all(commands.as_bytes()).expect("it is connected");
    }

    /// Reads what the server answers on that connection, until a line contains this.
    pub fn hear(&mut self, word: &str) {
        let talk = self.talk.as_mut().expect("something was told");
        talk.set_read_timeout(Some(Duration::from_secs(10))).expect("it can be set");
        let (mut text, mut byte) = (String::new(), [0]);
        while !text.contains(word) {
            talk.read_exact(&mut byte).expect("it answers");
            text.push(char::from(byte[0]));
        }
    }

    /// Closes that connection.
    pub fn hang_up(&mut self) {
        self.talk = None;
    }

    /// The keys on the server.
    pub fn keys(&self) -> Vec<String> {
        self.redis.cli(&["KEYS", "*"]).lines().filter(|key| !key.is_empty()).map(str::to_owned).collect()
    }

    /// Fails unless every key will expire.
    pub fn assert_all_expire(&self) {
        let without = "local without = 0
            for _, key in ipairs(redis.call('KEYS', '*')) do
                without = without + (redis.call('PTTL', key) == -1 and 1 or 0)
            end
            return without";
        assert_eq!(self.redis.cli(&["EVAL", without, "0"]), "0", "keys that will not expire");
    }
}

fn nutcracker_before(address: std::net::SocketAddr) -> Nutcracker {
    Nutcracker::builder().before([address]).start().expect("nutcracker starts")
}

/// Waits until it is so; fails after ten seconds.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
