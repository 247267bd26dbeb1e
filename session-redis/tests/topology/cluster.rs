//! A cluster: where sessions lie, and nodes that are lost.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use session_core::{Committed, Effect, ErrorKind, Loaded, SessionKey, SessionProvider, Traffic};
use session_redis::{RedisConfig, RedisProvider, Topology};
use test_support::{Cluster, RedisServer};

use super::common::*;
use super::{commit_at_last, error_of, is_done, unavailable};

pub(crate) fn provider(cluster: &Cluster) -> RedisProvider {
    of(cluster.addresses())
}

fn of(nodes: impl IntoIterator<Item = String>) -> RedisProvider {
    RedisProvider::new(&RedisConfig::new().topology(Topology::cluster(nodes))).unwrap()
}

/// A session whose key is on this node.
pub(crate) fn life_on(cluster: &Cluster, node: usize) -> Life {
    life_where(|key| cluster.owner(cluster.slot_of(key)) == node)
}

fn life_where(mut fits: impl FnMut(&str) -> bool) -> Life {
    loop {
        let life = Life::new();
        if fits(life.key_text()) {
            return life;
        }
    }
}

/// How often the nodes have sent somebody to another node.
pub(crate) fn redirections(cluster: &Cluster) -> u64 {
    let count = |node: &RedisServer| {
        let errors = node.cli(&["INFO", "errorstats"]);
        let counts = errors.lines().filter_map(|line| {
            let count = line
                .trim()
                .strip_prefix("errorstat_MOVED:count=")
                .or_else(|| line.trim().strip_prefix("errorstat_ASK:count="))?;
            count.parse::<u64>().ok()
        });
        counts.sum::<u64>()
    };
    cluster.nodes().iter().filter(|node| node.is_running()).map(count).sum()
}

/// How often the nodes were asked who has which slots.
pub(crate) fn inquiries(cluster: &Cluster) -> u64 {
    calls(cluster).get("cluster|slots").copied().unwrap_or_default()
}

fn calls(cluster: &Cluster) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for node in cluster.nodes().iter().filter(|node| node.is_running()) {
        for (name, calls) in node.command_counts() {
            *sum.entry(name).or_default() += calls;
        }
    }
    sum
}

#[tokio::test]
async fn sessions_spread_over_the_nodes() {
    let cluster = Cluster::spawn().unwrap();
    cluster.nodes().iter().for_each(|node| drop(node.cli(&["CONFIG", "RESETSTAT"])));
    // One node is enough to know them all.
    let provider = of([cluster.addresses()[1].clone()]);
    assert_eq!(provider.traffic(), Traffic::default());
    let mut lives = Vec::new();
    for n in 0..90 {
        let mut life = Life::new();
        life.create(&provider, [set("n", n.to_string())]).await;
        assert_eq!(life.attribute(&provider, "n").await, Some(n.to_string()));
        lives.push(life);
    }
    let sizes: Vec<usize> = cluster.nodes().iter().map(|node| node.cli(&["DBSIZE"]).parse().unwrap()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 90);
    assert!(sizes.iter().all(|size| *size >= 10), "{sizes:?}");
    assert_eq!((redirections(&cluster), inquiries(&cluster)), (0, 1), "nobody went astray, and asked once");

    // What goes over the connections to all nodes is counted, the inquiry included.
    let (traffic, calls) = (provider.traffic(), calls(&cluster));
    let names = ["ping", "eval", "evalsha", "hgetall", "pttl", "cluster|slots"];
    let commands: u64 = names.iter().map(|name| calls.get(*name).copied().unwrap_or_default()).sum();
    assert_eq!((traffic.commands_sent, traffic.replies_received), (commands, commands), "{calls:?}");
    assert!(calls["ping"] == 4, "one connection to each node and one for the inquiry: {calls:?}");

    // What is between braces decides.
    let tagged = |id: &str| SessionKey::new(format!("{{shop}}:session:{id}")).unwrap();
    for n in 0..5 {
        let mut life = Life { key: tagged(&n.to_string()), ..Life::new() };
        life.create(&provider, []).await;
    }
    assert_eq!(redirections(&cluster), 0);
}

#[tokio::test]
async fn named_as_they_announce_themselves() {
    let cluster = Cluster::spawn().unwrap();
    let set_all = |name: &str, value: &str| {
        for node in cluster.nodes() {
            assert_eq!(node.cli(&["CONFIG", "SET", name, value]), "OK");
        }
    };
    for by_name in [false, true] {
        if by_name {
            set_all("cluster-announce-hostname", "localhost");
            eventually("the nodes know each other's names", async || {
                cluster.nodes().iter().all(|node| node.cli(&["CLUSTER", "NODES"]).matches(",localhost").count() == 3)
            })
            .await;
        }
        // By its name, or if it has none by "?" beside an address; then not at all: that is the host that was asked.
        for preferred in ["hostname", "unknown-endpoint"] {
            set_all("cluster-preferred-endpoint-type", preferred);
            let provider = of([cluster.addresses()[0].clone()]);
            let before = redirections(&cluster);
            for node in 0..3 {
                let mut life = life_on(&cluster, node);
                life.create(&provider, [set("a", "1")]).await;
            }
            assert_eq!(redirections(&cluster), before, "{preferred}");
            // In a redirection, too. "?" there cannot be followed, so the map is asked again.
            let mut life = life_on(&cluster, 0);
            life.create(&provider, []).await;
            cluster.move_slot(cluster.slot_of(life.key_text()), 1);
            let commit = life.change([set("a", "1")]);
            if by_name || preferred == "unknown-endpoint" {
                assert!(is_done(&provider.commit(&life.key, &commit).await.unwrap()));
                assert_eq!(redirections(&cluster), before + 1, "{preferred}");
            } else {
                let error = provider.commit(&life.key, &commit).await.unwrap_err();
                assert_eq!((error.kind(), error.effect()), (ErrorKind::Rejected, Effect::NotApplied), "{error}");
                assert!(is_done(&commit_at_last(&provider, &life, &commit).await));
            }
        }
    }
}

#[tokio::test]
async fn nobody_there() {
    let port = RedisServer::spawn().unwrap().port();
    let provider = of([format!("127.0.0.1:{port}")]);
    for _ in 0..5 {
        let start = Instant::now();
        let error = error_of(&provider).await;
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{error}");
        assert!(error.to_string().contains("no node of the cluster"), "{error}");
        assert!(error.to_string().contains("connection refused"), "{error}");
    }
    // One that is there and belongs to no cluster.
    let server = RedisServer::builder().port(port).start().unwrap();
    let error = error_of(&provider).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("`topology`"), "{error}");
    drop(server);
    // And one that is a cluster of its own: what was wrong heals.
    let server = RedisServer::builder()
        .port(port)
        .arguments(["--cluster-enabled", "yes"])
        .arguments(["--cluster-port", &free_bus_port()])
        .start()
        .unwrap();
    let error = error_of(&provider).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "it has no slots yet: {error}");
    server.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let mut life = Life::new();
    let creation = life.creation([]);
    assert!(is_done(&commit_at_last(&provider, &life, &creation).await));
}

fn free_bus_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[tokio::test]
async fn a_thousand_requests_while_down() {
    let mut cluster = Cluster::spawn().unwrap();
    for node in 0..3 {
        cluster.node_mut(node).kill();
    }
    let provider = std::sync::Arc::new(provider(&cluster));
    let start = Instant::now();
    let requests: Vec<_> = (0..1000)
        .map(|_| {
            let provider = provider.clone();
            tokio::spawn(async move { error_of(&provider).await })
        })
        .collect();
    for request in requests {
        assert!(unavailable(&request.await.unwrap()));
    }
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}

/// A cluster with replicas, and a session on each master, known to the replica.
async fn replicated() -> (Cluster, RedisProvider, Vec<Life>) {
    let cluster = Cluster::builder().with_replicas().start().unwrap();
    let provider = provider(&cluster);
    let mut lives = Vec::new();
    for node in 0..3 {
        let mut life = life_on(&cluster, node);
        life.create(&provider, [set("a", "1"), increment("n", 1)]).await;
        // Behind everything that was written to it.
        let slot = cluster.slot_of(life.key_text());
        assert_eq!(cluster.owner(slot), node);
        wait_for_replica(&cluster, node, &life);
        lives.push(life);
    }
    (cluster, provider, lives)
}

/// Waits until the node's replica has what was written to it.
fn wait_for_replica(cluster: &Cluster, node: usize, life: &Life) {
    let version = |server: &RedisServer| server.cli(&["HGET", life.key_text(), "@v"]);
    let master = version(&cluster.nodes()[node]);
    let replica = cluster.nodes()[node + 3].port().to_string();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let read = format!("READONLY\nHGET {} @v\n", life.key_text());
        if at_port(&replica, &read).lines().last() == Some(master.as_str()) {
            return;
        }
        assert!(Instant::now() < deadline, "the replica does not follow");
    }
}

/// Several commands over one connection.
fn at_port(port: &str, commands: &str) -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut cli = Command::new("redis-cli")
        .args(["-p", port])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-cli is on the PATH");
    cli.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    String::from_utf8(cli.wait_with_output().unwrap().stdout).unwrap().trim_end().to_owned()
}

/// Writes to the session on the first node until that works again, and all the while to the others, which must not
/// notice anything.
async fn others_are_unaffected_until_healed(provider: &RedisProvider, lives: &mut [Life]) -> Duration {
    let start = Instant::now();
    let (lost, others) = lives.split_first_mut().unwrap();
    let commit = lost.change([increment("n", 1)]);
    let healing = commit_at_last(provider, lost, &commit);
    let mut writes = 0;
    let meanwhile = async {
        loop {
            for life in &mut *others {
                let start = Instant::now();
                life.done(provider, [increment("n", 1)]).await;
                assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
            }
            writes += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        committed = healing => assert!(is_done(&committed), "{committed:?}"),
        () = meanwhile => {}
    }
    let healed = start.elapsed();
    println!("healed after {healed:?}, and {writes} writes to each of the others meanwhile");
    assert!(writes > 10);
    healed
}

#[tokio::test]
async fn a_node_is_lost_and_its_replica_takes_over() {
    let (mut cluster, provider, mut lives) = replicated().await;
    cluster.node_mut(0).kill();
    let healed = others_are_unaffected_until_healed(&provider, &mut lives).await;
    assert!(healed > Duration::from_millis(500), "the replica cannot have been as fast: {healed:?}");
    assert_eq!(lives[0].attribute(&provider, "n").await.unwrap(), "2", "what was acknowledged, once");
    let slot = cluster.slot_of(lives[0].key_text());
    assert_eq!(cluster.owner_as_known_by(1, slot), 3);

    // Nobody tries to reach it any more: that would be once a second.
    let listener = TcpListener::bind(cluster.nodes()[0].address()).unwrap();
    listener.set_nonblocking(true).unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(listener.accept().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
    drop(listener);

    // It comes back as a replica, and nobody needs it.
    cluster.node_mut(0).restart().unwrap();
    lives[0].done(&provider, [increment("n", 1)]).await;
    assert_eq!(lives[0].attribute(&provider, "n").await.unwrap(), "3");
}

#[tokio::test]
async fn a_node_hangs_and_its_replica_takes_over() {
    let (cluster, provider, mut lives) = replicated().await;
    cluster.nodes()[0].pause();
    others_are_unaffected_until_healed(&provider, &mut lives).await;
    // What the old master executes late is thrown away with the rest it knows.
    cluster.nodes()[0].resume();
    eventually("it is a replica", async || cluster.nodes()[0].cli(&["ROLE"]).starts_with("slave")).await;
    assert_eq!(lives[0].attribute(&provider, "n").await.unwrap(), "2");
    lives[0].done(&provider, [increment("n", 1)]).await;
    assert_eq!(lives[0].attribute(&provider, "n").await.unwrap(), "3");
}

#[tokio::test]
async fn a_node_without_a_replica_is_lost_and_comes_back() {
    let mut cluster = Cluster::builder().arguments(["--appendonly", "yes", "--appendfsync", "always"]).start().unwrap();
    let provider = provider(&cluster);
    let mut lives: Vec<_> = (0..3).map(|node| life_on(&cluster, node)).collect();
    for life in &mut lives {
        life.create(&provider, [increment("n", 1)]).await;
    }
    cluster.node_mut(0).kill();
    let commit = lives[0].change([increment("n", 1)]);
    // What is sent before the loss was seen has an unknown outcome.
    eventually("the loss is seen", async || unavailable(&provider.check(&lives[0].key).await.unwrap_err())).await;
    eventually("the others know that it is lost", async || {
        let error = provider.commit(&lives[0].key, &commit).await.unwrap_err();
        assert!(unavailable(&error), "{error}");
        cluster.nodes()[1].cli(&["CLUSTER", "NODES"]).contains("master,fail ")
    })
    .await;
    for life in &mut lives[1..] {
        life.done(&provider, [increment("n", 1)]).await;
    }
    cluster.node_mut(0).restart().unwrap();
    assert!(matches!(commit_at_last(&provider, &lives[0], &commit).await, Committed::Done { .. }));
    for life in &lives {
        assert_eq!(life.attribute(&provider, "n").await.unwrap(), "2");
    }
}

#[tokio::test]
async fn no_node_has_the_slot() {
    let cluster = Cluster::spawn().unwrap();
    let provider = provider(&cluster);
    let (here, nowhere) = (life_on(&cluster, 0), life_on(&cluster, 1));
    assert_eq!(here.load(&provider).await, Loaded::Absent);
    let slot = cluster.slot_of(nowhere.key_text()).to_string();
    for node in cluster.nodes() {
        node.cli(&["CLUSTER", "DELSLOTS", &slot]);
    }
    let error = provider.load(&nowhere.key, nowhere.writer).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Rejected, Effect::NotApplied), "CLUSTERDOWN: {error}");
    assert_eq!(here.load(&provider).await, Loaded::Absent);
    // A client that has not known it asks once more, and says the same.
    let fresh = self::provider(&cluster);
    let error = fresh.load(&nowhere.key, nowhere.writer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert_eq!(here.load(&fresh).await, Loaded::Absent);
}

/// Each of two nodes says that the other has the slot.
#[tokio::test]
async fn nodes_that_send_us_in_circles() {
    let cluster = Cluster::spawn().unwrap();
    let provider = provider(&cluster);
    let mut life = life_on(&cluster, 0);
    let slot = cluster.slot_of(life.key_text());
    assert_eq!(life.load(&provider).await, Loaded::Absent);
    cluster.tell(0, slot, 1);
    let before = redirections(&cluster);
    let start = Instant::now();
    let creation = life.creation([]);
    let error = provider.commit(&life.key, &creation).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Rejected, Effect::NotApplied), "{error}");
    assert!(error.to_string().contains("from one to another"), "{error}");
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    let sent = redirections(&cluster) - before;
    assert!((2..20).contains(&sent), "{sent}");
    cluster.tell_all(slot, 1);
    assert!(is_done(&commit_at_last(&provider, &life, &creation).await));
}
