//! The way to the node of a cluster that has a key's slot.

use std::sync::Arc;
use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::time::Instant;

use super::map::ClusterMap;
use super::nodes::Nodes;
use super::redirection::{Redirection, redirection};
use super::slots::slot;
use crate::transport::link::{Call, judged};
use crate::transport::supervisor::runtime;
use crate::transport::{Address, Command, Endpoint, Exchange, Intent, Reply, Route};

/// How often one exchange is sent elsewhere: as often as needed while the cluster changes, and not in circles.
const MOST_REDIRECTIONS: usize = 8;

/// The nodes of a cluster, each key on the one that has its slot.
///
/// Which node has which slot is asked of any node (`CLUSTER SLOTS`) at the first call, and again when a node says
/// `MOVED` or cannot be reached. There is one [`Link`](crate::transport::Link) for each node that has slots, so nodes
/// that answer do not suffer from one that does not. A node must permit `CLUSTER SLOTS` and `ASKING`.
///
/// A call follows `MOVED`, `ASK`, and the slot when its node was lost and another has taken its place, all within one
/// operation timeout. A node that redirects a request has not executed it.
#[derive(Clone)]
pub struct Cluster(Arc<Shared>);

struct Shared {
    nodes: Arc<Nodes>,
    map: ClusterMap,
}

impl Cluster {
    /// Nothing is connected before the first call. The nodes are let in like `template` says, whatever its address;
    /// `seeds` are the addresses of some of them. One inquiry about the slots takes at most `connect_timeout`.
    pub fn new(
        template: Endpoint,
        seeds: Vec<Address>,
        connections: usize,
        connect_timeout: Duration,
        operation_timeout: Duration,
    ) -> Self {
        let nodes = Arc::new(Nodes::new(template, connections, connect_timeout, operation_timeout));
        Self(Arc::new(Shared { map: ClusterMap::new(nodes.clone(), seeds), nodes }))
    }
}

impl Route for Cluster {
    type Call = ClusterCall;

    fn call(&self, key: &[u8], intent: Intent) -> ClusterCall {
        ClusterCall {
            cluster: self.0.clone(),
            slot: slot(key),
            intent,
            deadline: Instant::now() + self.0.nodes.operation_timeout(),
            unanswered: false,
            last: None,
        }
    }
}

/// A call about a key of a cluster.
pub struct ClusterCall {
    cluster: Arc<Shared>,
    slot: u16,
    intent: Intent,
    deadline: Instant,
    /// Whether a copy of what was exchanged may have been executed without an answer.
    unanswered: bool,
    /// Its part at the node that was asked last.
    last: Option<Call<Endpoint>>,
}

impl Exchange for ClusterCall {
    async fn exchange(&mut self, commands: impl Fn(bool) -> Vec<Command> + Send + Sync) -> Result<Vec<Reply>> {
        runtime()?;
        let mut node = self.owner().await?;
        let mut asking = false;
        for _ in 0..=MOST_REDIRECTIONS {
            let link = self.cluster.nodes.link(&node);
            let mut call = link.resume(self.intent, self.deadline, self.unanswered);
            let exchanged = if asking {
                call.exchange(|unanswered| asking_before_each(commands(unanswered))).await.map(answers_to_asked)
            } else {
                call.exchange(&commands).await
            };
            self.unanswered = call.is_unanswered();
            self.last = Some(call);
            match exchanged {
                Ok(replies) => match redirection(&replies, &node) {
                    None => {
                        self.watch_for_a_fall(&replies);
                        return Ok(replies);
                    }
                    Some(Redirection::Moved(owner)) => {
                        self.cluster.map.moved(self.slot, owner.clone());
                        (node, asking) = (owner, false);
                    }
                    Some(Redirection::Ask(target)) => (node, asking) = (target, true),
                },
                Err(error) => match self.owner_after_loss_of(&node, asking, &error).await {
                    Some(owner) => (node, asking) = (owner, false),
                    None => return Err(error),
                },
            }
        }
        let why = "the cluster's nodes send us from one to another";
        Err(self.judge(Error::new(ErrorKind::Rejected, Operation::Connect, why)))
    }

    fn distrust(&self) {
        if let Some(call) = &self.last {
            call.distrust();
        }
    }

    fn judge(&self, error: Error) -> Error {
        judged(error, self.intent, self.unanswered)
    }
}

impl ClusterCall {
    /// The node that has the slot.
    async fn owner(&self) -> Result<Address> {
        let map = &self.cluster.map;
        if let Some(owner) = map.owner(self.slot) {
            return Ok(owner);
        }
        map.refresh(self.deadline).await.map_err(|error| self.judge(error))?;
        map.owner(self.slot).ok_or_else(|| {
            let why = "no node of the cluster has the key's slot";
            self.judge(Error::new(ErrorKind::Rejected, Operation::Connect, why))
        })
    }

    /// Another node than the one that was lost, if one has its place by now.
    async fn owner_after_loss_of(&self, lost: &Address, asked: bool, error: &Error) -> Option<Address> {
        if !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::OutcomeUnknown) {
            return None;
        }
        // After the deadline this only starts the inquiry, for those who come later.
        let refreshed = self.cluster.map.refresh(self.deadline).await;
        if refreshed.is_err() || Instant::now() >= self.deadline {
            return None;
        }
        // A node that was only asked has not got the slot yet, so its owner is the right one to tell more.
        self.cluster.map.owner(self.slot).filter(|owner| asked || owner != lost)
    }

    /// A node that says the cluster is down may know that others have come up in its place.
    fn watch_for_a_fall(&self, replies: &[Reply]) {
        let is_down = |reply: &Reply| match reply {
            Reply::Error(error) => matches!(error.code(), "CLUSTERDOWN" | "MOVED" | "ASK"),
            _ => false,
        };
        if replies.iter().any(is_down) {
            self.cluster.map.may_be_old();
        }
    }
}

/// A node that a slot is being moved to takes a command about it only right after this one.
fn asking_before_each(commands: Vec<Command>) -> Vec<Command> {
    commands.into_iter().flat_map(|command| [Command::new("ASKING"), command]).collect()
}

fn answers_to_asked(replies: Vec<Reply>) -> Vec<Reply> {
    replies.into_iter().skip(1).step_by(2).collect()
}
