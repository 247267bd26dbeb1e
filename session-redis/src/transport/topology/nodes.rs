//! The links to the nodes of a cluster.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::transport::{Address, Endpoint, Link};

/// One link for each node that was of use: made when it is first needed, connected when it is first used.
pub(super) struct Nodes {
    /// A node, but for its address.
    template: Endpoint,
    connections: usize,
    connect_timeout: Duration,
    operation_timeout: Duration,
    links: Mutex<HashMap<Address, Link<Endpoint>>>,
}

impl Nodes {
    pub(super) fn new(
        template: Endpoint,
        connections: usize,
        connect_timeout: Duration,
        operation_timeout: Duration,
    ) -> Self {
        Self { template, connections, connect_timeout, operation_timeout, links: Mutex::default() }
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    pub(super) fn operation_timeout(&self) -> Duration {
        self.operation_timeout
    }

    /// The node at this address, for a connection of its own.
    pub(super) fn endpoint(&self, address: &Address) -> Endpoint {
        self.template.at(address.clone())
    }

    /// The link to the node at this address.
    pub(super) fn link(&self, address: &Address) -> Link<Endpoint> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(address) {
            return link.clone();
        }
        let link = Link::new(self.endpoint(address), self.connections, self.connect_timeout, self.operation_timeout);
        links.insert(address.clone(), link.clone());
        link
    }

    /// Forgets the links to all nodes but these, which end with their last calls: else each would go on trying to reach
    /// a node that is gone for good.
    pub(super) fn keep(&self, is_kept: impl Fn(&Address) -> bool) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).retain(|address, _| is_kept(address));
    }
}
