//! Which servers there are, and which of them has a session.

use std::fmt;

use session_core::Result;

use super::{credentials, is_host, require, wrong};
use crate::transport::{Address, Credentials};

/// How many servers there are, and which of them has a session: one server, the master that sentinels name, or a
/// cluster.
///
/// Servers are given as texts `host:port`, an IPv6 address in brackets: `redis.internal:26379`, `[::1]:26379`. The port
/// may be left out. User name, access key and TLS are the same for all servers, and are set in
/// [`RedisConfig`](crate::RedisConfig); sentinels have credentials of their own. `Debug` hides their access key.
///
/// ```
/// use session_redis::{RedisConfig, Topology};
///
/// let sentinel = Topology::sentinel("mymaster", ["one.internal", "two.internal", "three.internal:26380"])
///     .with_sentinel_credentials(None, "open sesame");
/// let cluster = Topology::cluster(["one.internal:7000", "two.internal:7000"]);
/// for topology in [Topology::single(), sentinel, cluster] {
///     let config = RedisConfig::new().topology(topology);
///     assert!(!format!("{config:?}").contains("sesame"));
///     config.check()?;
/// }
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topology(Kind);

#[derive(Clone, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Single,
    Sentinel {
        master_name: String,
        nodes: Vec<String>,
        /// User name and access key.
        credentials: Option<(Option<String>, String)>,
    },
    Cluster {
        nodes: Vec<String>,
    },
}

impl Topology {
    /// One server, which [`RedisConfig`](crate::RedisConfig) names. The default.
    pub fn single() -> Self {
        Self::default()
    }

    /// The server that Redis Sentinel names as the master of this name. The sentinels are asked whenever a connection is
    /// made, so a fail-over is followed. Name all of them, or several: any one that answers will do. Their port is 26379
    /// unless given.
    ///
    /// A connection whose server is no longer the master is dropped within a second or so, whether it was closed or not;
    /// what the server had acknowledged meanwhile is lost, as in every asynchronous fail-over. A name that no sentinel
    /// knows is [`ErrorKind::Unavailable`](session_core::ErrorKind::Unavailable), since sentinels can be told it later.
    ///
    /// They are spoken to with TLS if the master is, and without credentials unless
    /// [`with_sentinel_credentials`](Self::with_sentinel_credentials) gives some.
    pub fn sentinel(master_name: impl Into<String>, nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Kind::Sentinel { master_name: master_name.into(), nodes: texts(nodes), credentials: None })
    }

    /// The same with what the sentinels (not the master) are told to let us in. Means nothing without sentinels.
    #[must_use]
    pub fn with_sentinel_credentials(mut self, username: Option<String>, access_key: impl Into<String>) -> Self {
        if let Kind::Sentinel { credentials, .. } = &mut self.0 {
            *credentials = Some((username, access_key.into()));
        }
        self
    }

    /// A Redis Cluster: each session lies on the node that has its key's slot. Name several nodes: any one that answers
    /// tells of all the others, also of those that come later. Slots that move and replicas that take over are followed; a
    /// slot that no node serves at present is [`ErrorKind::Rejected`](session_core::ErrorKind::Rejected). Their port is 6379 unless given, 6380 with TLS. A cluster
    /// has database 0 only.
    pub fn cluster(nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Kind::Cluster { nodes: texts(nodes) })
    }

    pub(super) fn check(&self, ssl: bool) -> Result<Servers> {
        match &self.0 {
            Kind::Single => Ok(Servers::Single),
            Kind::Sentinel { master_name, nodes, credentials: known } => {
                let odd = |character: char| character.is_whitespace() || character.is_control();
                let possible = !master_name.is_empty() && !master_name.contains(odd);
                require(possible, "topology", "the master's name must be a word")?;
                let of_sentinels = |_| wrong("topology", "the sentinels' user name and access key must not be empty");
                let (username, access_key) = known.clone().unzip();
                let credentials = credentials(username.flatten(), access_key).map_err(of_sentinels)?;
                let sentinels = addresses(nodes, 26379)?;
                Ok(Servers::Sentinel { master_name: master_name.clone(), sentinels, credentials })
            }
            Kind::Cluster { nodes } => Ok(Servers::Cluster { nodes: addresses(nodes, if ssl { 6380 } else { 6379 })? }),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single => f.write_str("Single"),
            Self::Sentinel { master_name, nodes, credentials } => {
                let mut debug = f.debug_struct("Sentinel");
                debug.field("master_name", master_name).field("nodes", nodes);
                if let Some((username, _)) = credentials {
                    debug.field("username", username).field("access_key", &"<hidden>");
                }
                debug.finish()
            }
            Self::Cluster { nodes } => f.debug_struct("Cluster").field("nodes", nodes).finish(),
        }
    }
}

/// Which servers the settings name, after they were checked. `Debug` shows no access key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Servers {
    /// The one at the endpoint's address.
    Single,
    /// The master that sentinels name.
    Sentinel {
        /// The master's name.
        master_name: String,
        /// Where the sentinels listen; not empty.
        sentinels: Vec<Address>,
        /// What they are told to let us in.
        credentials: Option<Credentials>,
    },
    /// A cluster.
    Cluster {
        /// Where some of its nodes listen; not empty.
        nodes: Vec<Address>,
    },
}

fn texts(nodes: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    nodes.into_iter().map(Into::into).collect()
}

fn addresses(nodes: &[String], default_port: u16) -> Result<Vec<Address>> {
    require(!nodes.is_empty(), "topology", "names no servers")?;
    let address = |node: &String| {
        let (host, port) = host_and_port(node)?;
        let port = port.unwrap_or(default_port);
        (is_host(host) && port != 0).then(|| Address::Tcp { host: host.to_owned(), port })
    };
    let addresses: Option<Vec<_>> = nodes.iter().map(address).collect();
    addresses.ok_or_else(|| wrong("topology", "a server is not of the form host:port"))
}

/// Takes `host:port`, `[host]:port` or a host alone apart; `None` if the port is no number in its range.
pub(super) fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
        None => match text.split_once(':') {
            // More than one colon: an IPv6 address without a port.
            Some((_, port)) if port.contains(':') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    Some((host, port.map(str::parse).transpose().ok()?))
}
