//! The way to the servers that the settings name.

use session_core::{Error, Operation, Result};

use crate::config::{RedisSettings, Servers};
use crate::error;
use crate::transport::{
    Call, Cluster, ClusterCall, Command, Endpoint, Exchange, Intent, Link, Reply, Route, Sentinel, ServerError,
};

/// Any of the topologies, so that a provider is of one type whichever it has.
pub(crate) enum Reach {
    Server(Link<Endpoint>),
    Master(Link<Sentinel>),
    Cluster(Cluster),
}

impl Reach {
    pub(crate) fn new(settings: &RedisSettings) -> Self {
        let RedisSettings { endpoint, servers, connections, connect_timeout, operation_timeout, .. } = settings.clone();
        match servers {
            Servers::Single => Self::Server(Link::new(endpoint, connections, connect_timeout, operation_timeout)),
            Servers::Sentinel { master_name, sentinels, credentials } => {
                let sentinel = Sentinel::new(master_name, sentinels, credentials, endpoint);
                Self::Master(Link::new(sentinel, connections, connect_timeout, operation_timeout))
            }
            Servers::Cluster { nodes } => {
                Self::Cluster(Cluster::new(endpoint, nodes, connections, connect_timeout, operation_timeout))
            }
        }
    }

    /// How the servers' error replies are to be read.
    pub(crate) fn refusals(&self) -> fn(&ServerError, Operation) -> Error {
        match self {
            Self::Server(_) | Self::Master(_) => error::refusal,
            Self::Cluster(_) => error::cluster_refusal,
        }
    }
}

impl Route for Reach {
    type Call = ReachCall;

    fn call(&self, key: &[u8], intent: Intent) -> ReachCall {
        match self {
            Self::Server(link) => ReachCall::Server(link.call(key, intent)),
            Self::Master(link) => ReachCall::Master(link.call(key, intent)),
            Self::Cluster(cluster) => ReachCall::Cluster(cluster.call(key, intent)),
        }
    }
}

pub(crate) enum ReachCall {
    Server(Call<Endpoint>),
    Master(Call<Sentinel>),
    Cluster(ClusterCall),
}

impl Exchange for ReachCall {
    async fn exchange(&mut self, commands: impl Fn(bool) -> Vec<Command> + Send + Sync) -> Result<Vec<Reply>> {
        match self {
            Self::Server(call) => call.exchange(commands).await,
            Self::Master(call) => call.exchange(commands).await,
            Self::Cluster(call) => call.exchange(commands).await,
        }
    }

    fn distrust(&self) {
        match self {
            Self::Server(call) => call.distrust(),
            Self::Master(call) => call.distrust(),
            Self::Cluster(call) => call.distrust(),
        }
    }

    fn judge(&self, error: Error) -> Error {
        match self {
            Self::Server(call) => call.judge(error),
            Self::Master(call) => call.judge(error),
            Self::Cluster(call) => call.judge(error),
        }
    }
}
