//! A Redis Cluster of the test's own.

use std::ffi::OsString;
use std::io::Result;

use crate::redis_server::{RedisServer, free_port};
use crate::tls_files::TlsFiles;
use crate::wait::until;

const SLOTS: usize = 16_384;

/// How a [`Cluster`] is started.
#[derive(Debug)]
pub struct ClusterBuilder {
    masters: usize,
    with_replicas: bool,
    tls: Option<TlsFiles>,
    arguments: Vec<OsString>,
}

impl ClusterBuilder {
    /// Gives each master a replica, which takes its place when it is lost.
    pub fn with_replicas(mut self) -> Self {
        self.with_replicas = true;
        self
    }

    /// The nodes listen with TLS, too: that is where [`Cluster::addresses`] are.
    pub fn tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self
    }

    /// Adds arguments of every `redis-server`.
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Starts the nodes and waits until they agree on who has which slots.
    ///
    /// # Errors
    ///
    /// `redis-server` is not on the `PATH`, or a node did not start, or they did not agree within 20 seconds.
    ///
    /// # Panics
    ///
    /// If `redis-cli` cannot be run or fails.
    pub fn start(self) -> Result<Cluster> {
        let count = if self.with_replicas { 2 * self.masters } else { self.masters };
        let bus_ports = (0..count).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
        let tls_ports = self.tls.iter().flat_map(|_| 0..count).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
        let tls = |index: usize| match &self.tls {
            Some(files) => files.arguments("--tls-cluster", tls_ports[index]),
            None => Vec::new(),
        };
        // Where nobody would take over, a node that was only slow shall not be given up.
        let patience = if self.with_replicas { "1000" } else { "2000" };
        let node = |(index, bus_port): (usize, &u16)| {
            let settings = [
                ["--cluster-enabled", "yes"],
                ["--cluster-config-file", "nodes.conf"],
                ["--cluster-node-timeout", patience],
                // What is left goes on without a node that is lost.
                ["--cluster-require-full-coverage", "no"],
                ["--repl-diskless-sync-delay", "0"],
                ["--cluster-port", &bus_port.to_string()],
            ]
            .map(|pair| pair.map(OsString::from));
            let arguments = self.arguments.clone();
            RedisServer::builder().arguments(settings.concat()).arguments(tls(index)).arguments(arguments).start()
        };
        let nodes = bus_ports.iter().enumerate().map(node).collect::<Result<Vec<_>>>()?;
        let mut cluster = Cluster { ids: Vec::new(), nodes, tls_ports, masters: self.masters };
        cluster.ids = cluster.nodes.iter().map(|node| node.cli(&["CLUSTER", "MYID"])).collect();
        cluster.join(&bus_ports)?;
        Ok(cluster)
    }
}

/// A running Redis Cluster of three masters, and a replica for each if wanted, all killed when dropped.
///
/// The nodes are numbered: the masters first, each with a third of the slots, then their replicas in the same order. A
/// node that is lost is noticed within a few seconds.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<RedisServer>,
    ids: Vec<String>,
    /// Empty without TLS.
    tls_ports: Vec<u16>,
    masters: usize,
}

impl Cluster {
    /// Settings to change before the start.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder { masters: 3, with_replicas: false, tls: None, arguments: Vec::new() }
    }

    /// Starts a cluster without replicas.
    ///
    /// # Errors
    ///
    /// As [`ClusterBuilder::start`].
    pub fn spawn() -> Result<Self> {
        Self::builder().start()
    }

    /// All nodes.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// A node, to end or restart it.
    pub fn node_mut(&mut self, node: usize) -> &mut RedisServer {
        &mut self.nodes[node]
    }

    /// Where the nodes listen, as `host:port`.
    pub fn addresses(&self) -> Vec<String> {
        (0..self.nodes.len()).map(|node| format!("127.0.0.1:{}", self.port(node))).collect()
    }

    /// That with TLS, if there is one.
    fn port(&self, node: usize) -> u16 {
        self.tls_ports.get(node).copied().unwrap_or_else(|| self.nodes[node].port())
    }

    /// The slot of a key.
    ///
    /// # Panics
    ///
    /// If `redis-cli` fails.
    pub fn slot_of(&self, key: &str) -> u16 {
        self.nodes[self.living()].cli(&["CLUSTER", "KEYSLOT", key]).parse().expect("a slot is a number")
    }

    /// The node that has this slot, as this node knows.
    ///
    /// # Panics
    ///
    /// If the node does not know, or `redis-cli` fails.
    pub fn owner_as_known_by(&self, node: usize, slot: u16) -> usize {
        let known = self.nodes[node].cli(&["CLUSTER", "NODES"]);
        let has_slot = |line: &str| {
            line.split(' ')
                .skip(8)
                .filter_map(|range| {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    Some((first.parse::<u16>().ok()?, last.parse::<u16>().ok()?))
                })
                .any(|(first, last)| (first..=last).contains(&slot))
        };
        let line = known.lines().find(|line| has_slot(line)).expect("a node has the slot");
        let id = line.split(' ').next();
        self.ids.iter().position(|known| Some(known.as_str()) == id).expect("it is one of ours")
    }

    /// The node that has this slot, as a living master knows.
    ///
    /// # Panics
    ///
    /// As [`owner_as_known_by`](Self::owner_as_known_by).
    pub fn owner(&self, slot: u16) -> usize {
        self.owner_as_known_by(self.living(), slot)
    }

    /// Runs `redis-cli` at whichever node has the key, and returns what it prints.
    ///
    /// # Panics
    ///
    /// If `redis-cli` cannot be run or fails.
    pub fn cli(&self, arguments: &[&str]) -> String {
        self.nodes[self.living()].cli(&[&["-c"], arguments].concat())
    }

    /// Begins to move a slot to another node: from now on keys that are not there are asked for at that one.
    ///
    /// # Panics
    ///
    /// If `redis-cli` fails, or a node refuses.
    pub fn begin_to_move(&self, slot: u16, to: usize) {
        let from = self.owner(slot);
        self.set_slot(to, slot, &["IMPORTING", &self.ids[from]]);
        self.set_slot(from, slot, &["MIGRATING", &self.ids[to]]);
    }

    /// Moves the keys of a slot that is being moved.
    ///
    /// # Panics
    ///
    /// If `redis-cli` fails, or a node refuses.
    pub fn move_keys(&self, slot: u16, to: usize) {
        let from = &self.nodes[self.owner(slot)];
        let port = self.nodes[to].port().to_string();
        let keys = from.cli(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "1000"]);
        for key in keys.lines().filter(|key| !key.is_empty()) {
            let moved = from.cli(&["MIGRATE", "127.0.0.1", &port, key, "0", "1000"]);
            assert!(matches!(moved.as_str(), "OK" | "NOKEY"), "{moved}");
        }
    }

    /// Ends the move of a slot, whose keys have been moved. The other masters are not told; they hear of it in time.
    ///
    /// # Panics
    ///
    /// If `redis-cli` fails, or a node refuses.
    pub fn end_move(&self, slot: u16, to: usize) {
        let from = self.owner(slot);
        for node in [to, from] {
            self.tell(node, slot, to);
        }
    }

    /// Tells a node who has a slot.
    ///
    /// # Panics
    ///
    /// If `redis-cli` fails, or the node refuses.
    pub fn tell(&self, node: usize, slot: u16, owner: usize) {
        self.set_slot(node, slot, &["NODE", &self.ids[owner]]);
    }

    /// Tells all masters who has a slot.
    ///
    /// # Panics
    ///
    /// If `redis-cli` fails, or a node refuses.
    pub fn tell_all(&self, slot: u16, owner: usize) {
        for node in 0..self.masters {
            self.tell(node, slot, owner);
        }
    }

    /// Moves a slot and its keys to another node.
    ///
    /// # Panics
    ///
    /// If `redis-cli` fails, or a node refuses.
    pub fn move_slot(&self, slot: u16, to: usize) {
        self.begin_to_move(slot, to);
        self.move_keys(slot, to);
        self.end_move(slot, to);
    }

    fn set_slot(&self, node: usize, slot: u16, what: &[&str]) {
        let set = self.nodes[node].cli(&[&["CLUSTER", "SETSLOT", &slot.to_string()], what].concat());
        assert_eq!(set, "OK");
    }

    /// A node that answers.
    fn living(&self) -> usize {
        self.nodes.iter().position(RedisServer::is_running).expect("a node is left")
    }

    fn join(&self, bus_ports: &[u16]) -> Result<()> {
        for (index, node) in self.nodes.iter().enumerate() {
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
            if index < self.masters {
                let first = index * SLOTS / self.masters;
                let last = (index + 1) * SLOTS / self.masters - 1;
                node.cli(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            }
            for (other, bus_port) in bus_ports.iter().enumerate().take(index) {
                let (port, bus_port) = (self.port(other).to_string(), bus_port.to_string());
                node.cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port]);
            }
        }
        let count = self.nodes.len();
        until("the nodes know each other", || {
            self.nodes.iter().all(|node| {
                let nodes = node.cli(&["CLUSTER", "NODES"]);
                nodes.lines().count() == count && !nodes.contains("handshake")
            })
        })?;
        for (replica, master) in (self.masters..count).zip(&self.ids) {
            self.nodes[replica].cli(&["CLUSTER", "REPLICATE", master]);
        }
        until("the cluster is complete", || {
            self.nodes.iter().enumerate().all(|(index, node)| {
                let is_ok = node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
                let replicas = node.cli(&["CLUSTER", "NODES"]).matches("slave").count();
                let is_linked =
                    index < self.masters || node.cli(&["INFO", "replication"]).contains("master_link_status:up");
                is_ok && is_linked && replicas == count - self.masters
            })
        })
    }
}
