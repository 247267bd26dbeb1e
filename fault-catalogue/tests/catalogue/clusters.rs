//! What happens within a cluster that the application knows as such.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::{App, Row, Way, everywhere};
use session_redis::{RedisConfig, RedisProvider, Topology};
use test_support::Cluster;

fn start() -> Cluster {
    Cluster::builder().arguments(["--appendonly", "yes", "--appendfsync", "always"]).start().unwrap()
}

fn application(cluster: &Cluster, throw: bool) -> App {
    let config = RedisConfig::new().topology(Topology::cluster(cluster.addresses()));
    App::new(Arc::new(RedisProvider::new(&config).unwrap()), throw, Duration::ZERO)
}

/// A new session on each node, as cookies.
async fn one_on_each(cluster: &Cluster, app: &App) -> Vec<String> {
    let mut cookies = vec![None; cluster.nodes().len()];
    while cookies.contains(&None) {
        let before = keys(cluster);
        let cookie = app.start().await;
        let place = keys(cluster).iter().zip(&before).position(|(now, before)| now.len() > before.len());
        cookies[place.expect("it is on one of them")].get_or_insert(cookie);
    }
    cookies.into_iter().flatten().collect()
}

/// The keys on each node.
fn keys(cluster: &Cluster) -> Vec<Vec<String>> {
    let keys = |text: String| text.lines().filter(|key| !key.is_empty()).map(str::to_owned).collect();
    cluster.nodes().iter().map(|node| keys(node.cli(&["KEYS", "*"]))).collect()
}

#[test]
fn f21b_slots_move() {
    assert!(Row::of("F21b").outcome.kinds.is_empty());
    everywhere("F21b", &[Way::Direct], async |_, throw| {
        let cluster = start();
        let app = application(&cluster, throw);
        let cookie = app.start().await;
        let from = keys(&cluster).iter().position(|keys| !keys.is_empty()).unwrap();
        let slot = cluster.slot_of(&keys(&cluster)[from][0]);
        let to = (from + 1) % cluster.nodes().len();
        let mut visits = 1;
        let mut others = Vec::new();
        let mut go_on = async || {
            for _ in 0..2 {
                visits += 1;
                app.get("/count", Some(&cookie)).await.assert(200, &visits.to_string());
                // A process that has just learnt where the slots are.
                visits += 1;
                let other = application(&cluster, throw);
                other.get("/count", Some(&cookie)).await.assert(200, &visits.to_string());
                others.push(other);
            }
        };
        cluster.begin_to_move(slot, to);
        go_on().await;
        cluster.move_keys(slot, to);
        go_on().await;
        cluster.end_move(slot, to);
        go_on().await;
        assert_eq!((keys(&cluster)[from].len(), keys(&cluster)[to].len()), (0, 1));
        for app in others.iter().chain([&app]) {
            assert!(app.manager.last_error().is_none(), "{:?}", app.manager.last_error());
        }
    });
}

/// Without a replica, which would take its place.
#[test]
fn f21c_a_node_is_lost() {
    let row = Row::of("F21c");
    everywhere("F21c", &[Way::Direct], async |way, throw| {
        let mut cluster = start();
        let app = application(&cluster, throw);
        let cookies = one_on_each(&cluster, &app).await;
        let (lost, others) = cookies.split_first().unwrap();
        cluster.node_mut(0).kill();
        for visits in 2..5 {
            let reply = app.get("/read", Some(lost)).await;
            row.assert_seen(way, throw, &app, &reply, "none");
            for other in others {
                app.get("/count", Some(other)).await.assert(200, &visits.to_string());
            }
        }
        cluster.node_mut(0).restart().unwrap();
        is_read_again(&app, lost).await;
    });
}

#[test]
fn f21c_no_node_has_the_slot() {
    let row = Row::of("F21c");
    everywhere("F21c", &[Way::Direct], async |way, throw| {
        let cluster = start();
        let app = application(&cluster, throw);
        let cookies = one_on_each(&cluster, &app).await;
        let (lost, others) = cookies.split_first().unwrap();
        let slots: Vec<_> = keys(&cluster)[0].iter().map(|key| cluster.slot_of(key)).collect();
        for node in cluster.nodes() {
            for slot in &slots {
                node.cli(&["CLUSTER", "DELSLOTS", &slot.to_string()]);
            }
        }
        let reply = app.get("/read", Some(lost)).await;
        row.assert_seen(way, throw, &app, &reply, "none");
        for other in others {
            app.get("/count", Some(other)).await.assert(200, "2");
        }
        for slot in &slots {
            cluster.nodes()[0].cli(&["CLUSTER", "ADDSLOTS", &slot.to_string()]);
        }
        is_read_again(&app, lost).await;
    });
}

/// The nodes take their time until they agree.
async fn is_read_again(app: &App, cookie: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while app.get("/read", Some(cookie)).await.body != "dark" {
        assert!(Instant::now() < deadline, "{:?}", app.manager.last_error());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app.get("/count", Some(cookie)).await.assert(200, "2");
}
