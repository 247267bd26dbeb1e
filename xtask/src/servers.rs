//! The servers of a demo.

use std::collections::BTreeMap;
use std::slice;

use test_support::{Nutcracker, RedisServer};

/// Where the sessions of a demo lie.
pub(crate) enum Servers {
    /// On one server.
    Redis(RedisServer),
    /// On several behind a proxy, each on one of them.
    Twemproxy(Nutcracker),
}

impl Servers {
    /// What the shop calls it.
    pub(crate) fn provider(&self) -> &'static str {
        match self {
            Self::Redis(_) => "redis",
            Self::Twemproxy(_) => "twemproxy",
        }
    }

    /// Where the shop finds it.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Redis(redis) => redis.url(),
            Self::Twemproxy(proxy) => proxy.url(),
        }
    }

    /// Every server.
    pub(crate) fn all(&self) -> &[RedisServer] {
        match self {
            Self::Redis(redis) => slice::from_ref(redis),
            Self::Twemproxy(proxy) => proxy.servers(),
        }
    }

    /// Starts counting commands anew.
    pub(crate) fn start_counting(&self) {
        self.all().iter().for_each(|server| drop(server.cli(&["CONFIG", "RESETSTAT"])));
    }

    /// The commands at all servers since the counting started, those within scripts too.
    pub(crate) fn commands(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for (name, count) in self.all().iter().flat_map(RedisServer::command_counts) {
            *sum.entry(name).or_default() += count;
        }
        sum
    }

    /// Runs redis-cli with a command on one key; a proxy finds the server that has it.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        match self {
            Self::Redis(redis) => redis.cli(arguments),
            Self::Twemproxy(proxy) => proxy.cli(arguments),
        }
    }

    /// The same, and shows it.
    pub(crate) fn shell(&self, arguments: &[&str]) -> String {
        show("redis-cli", arguments, || self.cli(arguments))
    }

    /// The keys with this prefix, by server; shows how they are found.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<Vec<String>> {
        let pattern = format!("{prefix}*");
        let keys = |server: &RedisServer| {
            let program = match self {
                Self::Redis(_) => "redis-cli".to_owned(),
                Self::Twemproxy(_) => format!("redis-cli -p {}", server.port()),
            };
            let keys = show(&program, &["KEYS", &pattern], || server.cli(&["KEYS", &pattern]));
            keys.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
        };
        self.all().iter().map(keys).collect()
    }
}

fn show(program: &str, arguments: &[&str], run: impl FnOnce() -> String) -> String {
    println!("$ {program} {}", arguments.join(" "));
    let output = run();
    output.lines().for_each(|line| println!("     {line}"));
    output
}
