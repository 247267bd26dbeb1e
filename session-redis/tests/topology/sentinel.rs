//! A master behind sentinels, and fail-overs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::{Effect, ErrorKind, Loaded, SessionProvider};
use session_redis::{RedisConfig, RedisProvider, Topology};
use test_support::Sentinels;

use super::common::*;
use super::{commit_at_last, error_of, is_done, unavailable};

fn topology(sentinels: &Sentinels) -> Topology {
    Topology::sentinel(Sentinels::MASTER_NAME, sentinels.addresses())
}

fn of(topology: Topology) -> RedisProvider {
    RedisProvider::new(&RedisConfig::new().topology(topology)).unwrap()
}

pub(crate) fn provider(sentinels: &Sentinels) -> RedisProvider {
    of(topology(sentinels))
}

/// Waits until the replica has what the master has written.
async fn replicated(sentinels: &Sentinels, life: &Life) {
    let version = |server| sentinels.cli(server, &["HGET", life.key_text(), "@v"]);
    eventually("the replica follows", async || version(0) == version(1)).await;
}

fn calls(sentinels: &Sentinels, server: usize, command: &str) -> u64 {
    sentinels.servers()[server].command_counts().get(command).copied().unwrap_or_default()
}

/// Written to all the while: what fails is worth a repetition, and heals. The old master would go on for seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fail_over_that_was_asked_for_is_followed() {
    let sentinels = Arc::new(Sentinels::spawn().unwrap());
    let provider = provider(&sentinels);
    let (mut before, mut meanwhile) = (Life::new(), Life::new());
    before.create(&provider, [increment("n", 1)]).await;
    meanwhile.create(&provider, []).await;
    replicated(&sentinels, &meanwhile).await;
    let failing_over = {
        let sentinels = sentinels.clone();
        tokio::task::spawn_blocking(move || sentinels.fail_over())
    };
    while !failing_over.is_finished() {
        let commit = meanwhile.change([set("a", "1")]);
        let _ = commit_at_last(&provider, &meanwhile, &commit).await;
    }
    failing_over.await.unwrap();

    let start = Instant::now();
    eventually("the client asks the new master", async || {
        let _ = before.load(&provider).await;
        calls(&sentinels, 1, "hgetall") > 0
    })
    .await;
    println!("{:?} after the sentinels", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    before.done(&provider, [increment("n", 1)]).await;
    assert_eq!(before.attribute(&provider, "n").await.unwrap(), "2");
    assert_eq!(sentinels.cli(1, &["HGET", before.key_text(), "n"]), "2");
}

#[tokio::test]
async fn a_master_that_was_killed_is_replaced() {
    let mut sentinels = Sentinels::spawn().unwrap();
    let provider = provider(&sentinels);
    let mut life = Life::new();
    life.create(&provider, [increment("n", 1)]).await;
    replicated(&sentinels, &life).await;
    sentinels.server_mut(0).kill();
    let start = Instant::now();
    let commit = life.change([increment("n", 1)]);
    assert!(is_done(&commit_at_last(&provider, &life, &commit).await));
    println!("healed after {:?}", start.elapsed());
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "2");
    // The old one comes back, without its data, and still thinks it is the master: nobody asks it, as soon as all
    // sentinels have heard of the new one.
    sentinels.await_fail_over_from(0);
    sentinels.server_mut(0).restart().unwrap();
    life.done(&provider, [increment("n", 1)]).await;
    let fresh = self::provider(&sentinels);
    assert_eq!(life.attribute(&fresh, "n").await.unwrap(), "3");
}

/// The servers change their parts without closing a connection, and go on answering reads.
#[tokio::test]
async fn a_master_that_was_replaced_and_keeps_its_connections() {
    let mut sentinels = Sentinels::spawn().unwrap();
    let provider = provider(&sentinels);
    let mut life = Life::new();
    life.create(&provider, [increment("n", 1)]).await;
    replicated(&sentinels, &life).await;

    // Only the sentinels tell.
    let ports = [0, 1].map(|server: usize| sentinels.servers()[server].port().to_string());
    sentinels.cli(1, &["REPLICAOF", "NO", "ONE"]);
    for sentinel in 0..3 {
        sentinels.sentinel_cli(sentinel, &["SENTINEL", "REMOVE", Sentinels::MASTER_NAME]);
        sentinels.sentinel_cli(sentinel, &["SENTINEL", "MONITOR", Sentinels::MASTER_NAME, "127.0.0.1", &ports[1], "2"]);
    }
    sentinels.cli(1, &["CONFIG", "RESETSTAT"]);
    let start = Instant::now();
    eventually("the new master is asked", async || {
        life.session(&provider).await;
        calls(&sentinels, 1, "hgetall") > 0
    })
    .await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    life.done(&provider, [increment("n", 1)]).await;

    // Only the server's own part tells; there is nobody left who could name another.
    (0..3).for_each(|sentinel| sentinels.kill_sentinel(sentinel));
    sentinels.cli(1, &["REPLICAOF", "127.0.0.1", &ports[0]]);
    let start = Instant::now();
    eventually("what may be old is not read", async || {
        provider.load(&life.key, life.writer).await.is_err_and(|error| unavailable(&error))
    })
    .await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

/// A write is told at once that the server takes none any more.
#[tokio::test]
async fn a_master_that_became_a_replica() {
    let sentinels = Sentinels::spawn().unwrap();
    let provider = provider(&sentinels);
    let mut life = Life::new();
    life.create(&provider, [increment("n", 1)]).await;
    replicated(&sentinels, &life).await;
    let ports = [0, 1].map(|server: usize| sentinels.servers()[server].port().to_string());
    for sentinel in 0..3 {
        sentinels.sentinel_cli(sentinel, &["SENTINEL", "REMOVE", Sentinels::MASTER_NAME]);
        sentinels.sentinel_cli(sentinel, &["SENTINEL", "MONITOR", Sentinels::MASTER_NAME, "127.0.0.1", &ports[1], "2"]);
    }
    sentinels.cli(1, &["REPLICAOF", "NO", "ONE"]);
    sentinels.cli(0, &["REPLICAOF", "127.0.0.1", &ports[1]]);
    let commit = life.change([increment("n", 1)]);
    assert!(is_done(&commit_at_last(&provider, &life, &commit).await));
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "2");
    let refusals = sentinels.cli(0, &["INFO", "errorstats"]);
    let once = refusals.lines().any(|line| line.trim() == "errorstat_READONLY:count=1");
    assert!(once, "one refusal was enough: {refusals}");
}

#[tokio::test]
async fn any_sentinel_will_do() {
    let mut sentinels = Sentinels::spawn().unwrap();
    let quick = async |provider: &RedisProvider, most: u64| {
        let (life, start) = (Life::new(), Instant::now());
        assert_eq!(life.load(provider).await, Loaded::Absent);
        assert!(start.elapsed() < Duration::from_millis(most), "{:?}", start.elapsed());
    };
    quick(&provider(&sentinels), 900).await;
    // One that names a server which is no master.
    let replica = sentinels.servers()[1].port().to_string();
    sentinels.sentinel_cli(0, &["SENTINEL", "REMOVE", Sentinels::MASTER_NAME]);
    sentinels.sentinel_cli(0, &["SENTINEL", "MONITOR", Sentinels::MASTER_NAME, "127.0.0.1", &replica, "2"]);
    quick(&provider(&sentinels), 900).await;
    assert_eq!(calls(&sentinels, 1, "hgetall"), 0);
    // One that knows nothing.
    sentinels.sentinel_cli(0, &["SENTINEL", "REMOVE", Sentinels::MASTER_NAME]);
    quick(&provider(&sentinels), 900).await;
    // One that hangs.
    sentinels.pause_sentinel(0);
    let provider = provider(&sentinels);
    quick(&provider, 900).await;
    // And one that is dead.
    sentinels.kill_sentinel(1);
    quick(&self::provider(&sentinels), 900).await;
    // Without any, what is connected stays so, and nobody else gets in.
    sentinels.kill_sentinel(0);
    sentinels.kill_sentinel(2);
    quick(&provider, 100).await;
    let error = error_of(&self::provider(&sentinels)).await;
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{error}");
    assert!(error.to_string().contains("no sentinel names the master: "), "{error}");
    assert!(error.to_string().contains("connection refused"), "{error}");
}

#[tokio::test]
async fn a_name_that_is_not_known_yet() {
    let sentinels = Sentinels::spawn().unwrap();
    let provider = of(Topology::sentinel("other", sentinels.addresses()));
    let error = error_of(&provider).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "worth a repetition: {error}");
    assert!(error.to_string().contains("no master of this name (setting `topology`)"), "{error}");
    let port = sentinels.servers()[0].port().to_string();
    sentinels.sentinel_cli(2, &["SENTINEL", "MONITOR", "other", "127.0.0.1", &port, "1"]);
    let life = Life::new();
    eventually("it heals", async || provider.load(&life.key, life.writer).await.is_ok()).await;
    // A server that is no sentinel.
    let server = sentinels.servers()[0].address().to_string();
    let error = error_of(&of(Topology::sentinel("other", [server]))).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("maybe it is none"), "{error}");
}

#[tokio::test]
async fn passwords_of_both() {
    let sentinels = Sentinels::builder().password("open-sesame").sentinel_password("watchword").start().unwrap();
    let config = |topology| RedisConfig::new().topology(topology).access_key("open-sesame").database(3);
    let known = || topology(&sentinels).with_sentinel_credentials(None, "watchword");
    let provider = RedisProvider::new(&config(known())).unwrap();
    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    assert_eq!(sentinels.cli(0, &["-n", "3", "HGET", life.key_text(), "a"]), "1");

    for (wrong, setting) in [
        (config(topology(&sentinels)), "with_sentinel_credentials"),
        (config(topology(&sentinels).with_sentinel_credentials(None, "hunter2")), "with_sentinel_credentials"),
        (
            config(topology(&sentinels).with_sentinel_credentials(Some("nobody".into()), "watchword")),
            "with_sentinel_credentials",
        ),
        (RedisConfig::new().topology(known()), "access_key"),
        (RedisConfig::new().topology(known()).access_key("hunter2"), "access_key"),
    ] {
        let error = error_of(&RedisProvider::new(&wrong).unwrap()).await;
        assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
        let everything = format!("{error} {error:?} {wrong:?}");
        assert!(everything.contains(setting), "{everything}");
        assert!(!["sesame", "watchword", "hunter2"].iter().any(|secret| everything.contains(secret)), "{everything}");
    }
}
