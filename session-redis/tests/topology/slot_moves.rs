//! Slots that move from node to node while sessions are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use session_core::{Checked, Committed, Destroyed, Destruction, Loaded, Renewal, Renewed, SessionKey, SessionProvider};
use session_redis::{RedisConfig, RedisProvider, Topology};
use test_support::{Cluster, Direction, FaultProxy, RedisServer, soak_factor};
use tokio::task::{JoinSet, spawn_blocking};

use super::cluster::{inquiries, life_on, provider, redirections};
use super::common::*;
use super::{commit_at_last, is_done};

/// Another session in the same slot.
fn beside(life: &Life) -> Life {
    let other = Life::new();
    let key = format!("beside:{}:{{{}}}", other.id.expose(), life.key_text());
    Life { key: SessionKey::new(key).unwrap(), ..other }
}

#[tokio::test]
async fn a_moved_slot_is_followed_and_the_map_asked_again() {
    let cluster = Cluster::spawn().unwrap();
    let provider = provider(&cluster);
    let mut lives: Vec<_> = (0..3).map(|_| life_on(&cluster, 0)).collect();
    for life in &mut lives {
        life.create(&provider, [increment("n", 1)]).await;
    }
    assert_eq!(inquiries(&cluster), 1);
    // What is newer than a second is not asked for again.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for life in &lives {
        cluster.move_slot(cluster.slot_of(life.key_text()), 1);
    }
    // A read of two commands, both of which are answered by MOVED.
    assert_eq!(lives[0].attribute(&provider, "n").await.unwrap(), "1");
    assert_eq!(redirections(&cluster), 2);
    eventually("the map is asked", async || inquiries(&cluster) == 2).await;
    eventually("the map is known", async || {
        // Never wrong, but followed as long as the map is not known.
        let before = redirections(&cluster);
        lives[1].done(&provider, [increment("n", 1)]).await;
        redirections(&cluster) == before
    })
    .await;
    let before = redirections(&cluster);
    lives[2].done(&provider, [increment("n", 1)]).await;
    assert_eq!(lives[2].attribute(&provider, "n").await.unwrap(), "2");
    assert_eq!(redirections(&cluster), before, "all that has moved is known");
}

#[tokio::test]
async fn what_is_being_moved_is_asked_for_where_it_is() {
    let cluster = Cluster::spawn().unwrap();
    let provider = provider(&cluster);
    let mut moved = life_on(&cluster, 0);
    let mut ended = beside(&moved);
    moved.create(&provider, [set("a", "1"), increment("n", 1)]).await;
    ended.create(&provider, [set("a", "1")]).await;
    let slot = cluster.slot_of(moved.key_text());
    assert_eq!(cluster.slot_of(ended.key_text()), slot);

    cluster.begin_to_move(slot, 2);
    moved.done(&provider, [increment("n", 1)]).await;
    assert_eq!(redirections(&cluster), 0, "it is still there");
    cluster.move_keys(slot, 2);
    // Every step, with scripts that the other node has never seen.
    moved.done(&provider, [increment("n", 1)]).await;
    assert_eq!(moved.attribute(&provider, "n").await.unwrap(), "3");
    assert!(matches!(provider.check(&moved.key).await.unwrap(), Checked::Present { version: 3, .. }));
    let renewal = Renewal { generation: moved.generation, time_to_live: 2 * MINUTE };
    let Renewed::Done { remaining } = provider.renew(&moved.key, &renewal).await.unwrap() else { panic!("gone") };
    assert!(remaining > MINUTE);
    let destruction = Destruction { generation: ended.generation, leave_tombstone: false };
    assert_eq!(provider.destroy(&ended.key, &destruction).await.unwrap(), Destroyed::Done);
    assert_eq!(ended.load(&provider).await, Loaded::Absent);
    // What is new is made where the slot goes.
    let mut new = beside(&moved);
    new.create(&provider, [set("a", "new")]).await;
    assert_eq!(new.attribute(&provider, "a").await.unwrap(), "new");
    assert_eq!(cluster.nodes()[0].cli(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]), "0");
    assert!(redirections(&cluster) > 5);

    cluster.end_move(slot, 2);
    moved.done(&provider, [increment("n", 1)]).await;
    assert_eq!(moved.attribute(&provider, "n").await.unwrap(), "4");
    let before = redirections(&cluster);
    assert_eq!(new.attribute(&provider, "a").await.unwrap(), "new");
    assert_eq!(redirections(&cluster), before);
}

#[tokio::test]
async fn a_move_that_is_called_off() {
    let cluster = Cluster::spawn().unwrap();
    let provider = provider(&cluster);
    let mut life = life_on(&cluster, 0);
    life.create(&provider, [increment("n", 1)]).await;
    let slot = cluster.slot_of(life.key_text());
    cluster.begin_to_move(slot, 1);
    for node in [0, 1] {
        cluster.nodes()[node].cli(&["CLUSTER", "SETSLOT", &slot.to_string(), "STABLE"]);
    }
    life.done(&provider, [increment("n", 1)]).await;
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "2");
}

/// The first copy was executed and its answer lost; the second one, at another node, is known for what it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_whose_answer_was_lost_before_its_slot_moved() {
    let cluster = Cluster::spawn().unwrap();
    let proxy = FaultProxy::start(cluster.nodes()[0].address()).unwrap();
    let port = proxy.address().port().to_string();
    cluster.nodes()[0].cli(&["CONFIG", "SET", "cluster-announce-port", &port]);
    let is_announced = |node: &RedisServer| node.cli(&["CLUSTER", "SLOTS"]).lines().any(|line| line == port);
    eventually("the proxy is known as the node", async || cluster.nodes().iter().all(is_announced)).await;

    let config = RedisConfig::new().topology(Topology::cluster(cluster.addresses()));
    let provider = Arc::new(RedisProvider::new(&config.operation_timeout(Duration::from_secs(10))).unwrap());
    // The node knows the script.
    life_on(&cluster, 0).create(&*provider, []).await;
    assert_eq!(proxy.accepted(), 1);
    let mut life = life_on(&cluster, 0);
    proxy.hold_after(Direction::ToClient, 0);
    let creation = life.creation([increment("n", 1)]);
    let committing = {
        let (provider, key) = (provider.clone(), life.key.clone());
        tokio::spawn(async move { provider.commit(&key, &creation).await })
    };
    let at = |node: usize, arguments: &[&str]| cluster.nodes()[node].cli(arguments);
    eventually("it is executed", async || at(0, &["EXISTS", life.key_text()]) == "1").await;
    cluster.move_slot(cluster.slot_of(life.key_text()), 1);
    assert_eq!(at(1, &["HEXISTS", life.key_text(), "@m"]), "0");
    proxy.cut_all();
    proxy.release(Direction::ToClient);
    let committed = committing.await.unwrap().unwrap();
    assert!(matches!(committed, Committed::Already { .. }), "{committed:?}");
    assert_eq!(at(1, &["HGET", life.key_text(), "n"]), "1");
    assert_eq!(at(1, &["HEXISTS", life.key_text(), "@m"]), "1", "a creation that was sent twice is marked");
    assert!(proxy.accepted() >= 2);
}

/// Slots go round the nodes while their sessions are written to: every increment is counted, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_while_slots_move() {
    let cluster = Arc::new(Cluster::spawn().unwrap());
    let provider = Arc::new(provider(&cluster));
    let mut lives: Vec<_> = vec![life_on(&cluster, 0), life_on(&cluster, 1)];
    let slots = [0, 1].map(|index: usize| cluster.slot_of(lives[index].key_text()));
    lives.extend([beside(&lives[0]), beside(&lives[1])]);

    let rounds = 6 * soak_factor();
    let moving = {
        let cluster = cluster.clone();
        spawn_blocking(move || {
            for _ in 0..rounds {
                for slot in slots {
                    let to = (cluster.owner(slot) + 1) % 3;
                    cluster.move_slot(slot, to);
                    // As those who move slots do, so that nobody remembers what was long ago.
                    cluster.tell_all(slot, to);
                }
            }
        })
    };
    let over = Arc::new(AtomicBool::new(false));
    let mut writing = JoinSet::new();
    for mut life in lives {
        let (provider, over) = (provider.clone(), over.clone());
        writing.spawn(async move {
            let creation = life.creation([]);
            assert!(is_done(&commit_at_last(&provider, &life, &creation).await));
            let mut commits = 0;
            while !over.load(Ordering::SeqCst) {
                let commit = life.change([increment("n", 1)]);
                assert!(is_done(&commit_at_last(&provider, &life, &commit).await));
                commits += 1;
            }
            (life, commits)
        });
    }
    moving.await.unwrap();
    over.store(true, Ordering::SeqCst);
    let mut sum = 0;
    for (life, commits) in writing.join_all().await {
        assert_eq!(life.attribute(&*provider, "n").await.unwrap(), commits.to_string());
        sum += commits;
    }
    println!("{sum} commits, {} redirections", redirections(&cluster));
    assert!(redirections(&cluster) > rounds as u64);
}
