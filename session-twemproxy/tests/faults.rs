//! What goes wrong behind the proxy and with it, and what we promise then.

use secret_watch as _;

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::*;
use session_core::{Commit, Committed, Destroyed, Destruction, Effect, ErrorKind, Loaded, SessionId, SessionProvider};
use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};
use test_support::RedisServer;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The time within which everything must be as before.
const SECOND: Duration = Duration::from_secs(1);

/// The pool's `timeout`.
const POOL_TIMEOUT: Duration = Duration::from_millis(400);

/// A session that somebody counts in, again and again.
struct Worker {
    shard: usize,
    life: Life,
    stop: Arc<AtomicBool>,
    running: JoinHandle<Record>,
}

/// What happened to him.
#[derive(Default)]
struct Record {
    /// How many of his counts were acknowledged.
    counted: u64,
    failures: Vec<Failure>,
    slowest: Duration,
    /// When his counts were acknowledged.
    acknowledged: Vec<Instant>,
}

#[derive(Debug)]
struct Failure {
    at: Instant,
    kind: ErrorKind,
    effect: Effect,
}

impl Record {
    fn kinds(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for failure in &self.failures {
            *kinds.entry(format!("{:?}", failure.kind)).or_default() += 1;
        }
        kinds
    }

    /// How long after this the first count was acknowledged.
    fn back_after(&self, moment: Instant) -> Duration {
        let first = self.acknowledged.iter().find(|at| **at >= moment);
        first.map_or(Duration::MAX, |at| *at - moment)
    }
}

/// The session is counted up as fast as it goes; what failed is sent again unchanged until it is acknowledged.
async fn work(provider: Arc<TwemproxyProvider>, mut life: Life, stop: Arc<AtomicBool>) -> Record {
    let mut record = Record::default();
    while !stop.load(Ordering::SeqCst) {
        let mut commit = life.change([increment("n", 1)]);
        loop {
            let start = Instant::now();
            let committed = provider.commit(&life.key, &commit).await;
            record.slowest = record.slowest.max(start.elapsed());
            match committed {
                Ok(Committed::Done { .. } | Committed::Already { .. }) => break,
                Ok(other) => panic!("{other:?}"),
                Err(error) => {
                    record.failures.push(Failure { at: Instant::now(), kind: error.kind(), effect: error.effect() });
                    commit.repeated |= error.effect() == Effect::PerhapsApplied;
                    // As often as a busy site would.
                    sleep(Duration::from_millis(5)).await;
                }
            }
        }
        record.counted += 1;
        record.acknowledged.push(Instant::now());
        sleep(Duration::from_millis(2)).await;
    }
    record
}

/// Four sessions on every server, all being worked on.
async fn workers(proxied: &Proxied, provider: &Arc<TwemproxyProvider>) -> Vec<Worker> {
    let mut workers: Vec<Worker> = Vec::new();
    while workers.len() < 12 {
        let life = created(proxied, provider).await;
        let shard = proxied.nutcracker.shard_of(life.key_text()).unwrap();
        if workers.iter().filter(|worker| worker.shard == shard).count() == 4 {
            continue;
        }
        let stop = Arc::<AtomicBool>::default();
        let same = Life { key: life.key.clone(), id: SessionId::generate().unwrap(), ..life };
        let running = tokio::spawn(work(provider.clone(), same, stop.clone()));
        workers.push(Worker { shard, life, stop, running });
    }
    workers
}

async fn created(_: &Proxied, provider: &TwemproxyProvider) -> Life {
    let mut life = Life::new();
    life.create(provider, []).await;
    life
}

/// A session on this server.
async fn created_on(shard: usize, proxied: &Proxied, provider: &TwemproxyProvider) -> Life {
    loop {
        let life = created(proxied, provider).await;
        if proxied.nutcracker.shard_of(life.key_text()) == Some(shard) {
            return life;
        }
    }
}

/// Ends the work, and finds everything counted that was acknowledged, and nothing twice.
async fn finish(workers: Vec<Worker>, proxied: &Proxied) -> Vec<(usize, Record)> {
    workers.iter().for_each(|worker| worker.stop.store(true, Ordering::SeqCst));
    let mut records = Vec::new();
    for worker in workers {
        let record = worker.running.await.unwrap();
        assert!(record.counted > 0);
        let counted = proxied.direct(worker.shard);
        let counted = worker.life.attribute(&counted, "n").await.unwrap();
        assert_eq!(counted, record.counted.to_string(), "server {}: {:?}", worker.shard, record.kinds());
        println!(
            "server {}: {} counted, slowest {:?}, failures {:?}",
            worker.shard,
            record.counted,
            record.slowest,
            record.kinds()
        );
        records.push((worker.shard, record));
    }
    proxied.assert_sound();
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_and_restarted() {
    let mut proxied = Proxied::durable();
    let provider = Arc::new(proxied.provider());
    let workers = workers(&proxied, &provider).await;
    sleep(Duration::from_millis(300)).await;
    proxied.nutcracker.server_mut(1).kill();
    sleep(SECOND).await;
    let restarted = Instant::now();
    proxied.nutcracker.server_mut(1).restart().unwrap();
    let back = Instant::now();
    sleep(SECOND * 3 / 2).await;
    for (shard, record) in finish(workers, &proxied).await {
        if shard == 1 {
            assert!(record.back_after(back) < SECOND, "back after {:?}", record.back_after(back));
            let (down, up_again) =
                record.failures.split_at(record.failures.partition_point(|failure| failure.at < restarted));
            // What was under way may have been executed: a request, or two where the proxy was still let in by a server
            // that was about to end. From the first refusal on nothing is, and that is said.
            let (under_way, refused) =
                down.split_at(down.iter().take_while(|failure| failure.kind == ErrorKind::OutcomeUnknown).count());
            assert!(under_way.len() <= 2, "{:?}", record.kinds());
            assert!(refused.len() > 5, "{:?}", record.kinds());
            for failure in refused {
                assert_eq!((failure.kind, failure.effect), (ErrorKind::Unavailable, Effect::NotApplied));
            }
            for failure in up_again {
                assert!(matches!(failure.kind, ErrorKind::Unavailable | ErrorKind::OutcomeUnknown), "{failure:?}");
            }
        } else {
            assert_eq!(record.kinds(), BTreeMap::new(), "server {shard} was not concerned");
            assert!(record.slowest < SECOND, "server {shard}: {:?}", record.slowest);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_stopped_and_continued() {
    let proxied = Proxied::start();
    let provider = Arc::new(proxied.provider());
    let workers = workers(&proxied, &provider).await;
    sleep(Duration::from_millis(300)).await;
    proxied.nutcracker.servers()[1].pause();
    sleep(SECOND * 3 / 2).await;
    proxied.nutcracker.servers()[1].resume();
    let back = Instant::now();
    sleep(SECOND * 3 / 2).await;
    for (shard, record) in finish(workers, &proxied).await {
        if shard == 1 {
            assert!(record.back_after(back) < SECOND, "back after {:?}", record.back_after(back));
            let unknown = record.failures.iter().all(|failure| failure.kind == ErrorKind::OutcomeUnknown);
            assert!(unknown && !record.failures.is_empty(), "{:?}", record.kinds());
            assert!(record.slowest < POOL_TIMEOUT * 2, "{:?}", record.slowest);
        } else {
            assert_eq!(record.kinds(), BTreeMap::new(), "server {shard} was not concerned");
            // Held up at most by those before them on the same connection.
            assert!(record.slowest < POOL_TIMEOUT * 2, "server {shard}: {:?}", record.slowest);
            assert!(record.counted > 100, "server {shard}: {} counted", record.counted);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_killed_and_restarted() {
    let mut proxied = Proxied::start();
    let provider = Arc::new(proxied.provider());
    let workers = workers(&proxied, &provider).await;
    let mut backs = Vec::new();
    for _ in 0..3 {
        sleep(SECOND / 2).await;
        proxied.nutcracker.kill();
        sleep(SECOND / 2).await;
        proxied.nutcracker.restart().unwrap();
        backs.push(Instant::now());
    }
    sleep(SECOND * 3 / 2).await;
    for (shard, record) in finish(workers, &proxied).await {
        for back in &backs {
            assert!(record.back_after(*back) < SECOND, "server {shard}: back after {:?}", record.back_after(*back));
        }
        let known = [ErrorKind::OutcomeUnknown, ErrorKind::Unavailable];
        assert!(record.failures.iter().all(|failure| known.contains(&failure.kind)), "{:?}", record.kinds());
        assert!(!record.failures.is_empty());
    }
}

#[tokio::test]
async fn the_proxy_stopped_and_continued() {
    let proxied = Proxied::start();
    let provider = provider(&TwemproxyConfig::new().url(proxied.nutcracker.url()).connections(1));
    let mut life = created(&proxied, &provider).await;
    proxied.nutcracker.pause();
    let commit = life.change([increment("n", 1)]);
    let start = Instant::now();
    let error = provider.commit(&life.key, &commit).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::OutcomeUnknown, Effect::PerhapsApplied), "{error}");
    assert!(start.elapsed() < SECOND * 14 / 10, "{:?}", start.elapsed());
    proxied.nutcracker.resume();
    let repeated = Commit { repeated: true, ..commit };
    eventually("it heals", async || provider.commit(&life.key, &repeated).await.is_ok()).await;
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "1");
    // Nothing of this went by way of the recorder.
    assert!(proxied.provider().check(&life.key).await.is_ok());
}

#[tokio::test]
async fn what_the_errors_say() {
    let mut proxied = Proxied::durable();
    let provider = proxied.provider();
    let mut life = created_on(2, &proxied, &provider).await;

    proxied.nutcracker.server_mut(2).kill();
    // The proxy's connection is seen to end; then there is none.
    let commit = life.change([increment("n", 1)]);
    let mut last = None;
    eventually("the proxy sees that the server has gone", async || {
        let error = provider.commit(&life.key, &commit).await.unwrap_err();
        last = Some(error.clone());
        error.kind() == ErrorKind::Unavailable
    })
    .await;
    let error = last.unwrap();
    assert_eq!((error.effect(), error.to_string().contains("refused the connection")), (Effect::NotApplied, true));
    let start = Instant::now();
    let error = provider.load(&life.key, life.writer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    proxied.nutcracker.server_mut(2).restart().unwrap();
    let repeated = Commit { repeated: true, ..commit };
    eventually("it heals", async || provider.commit(&life.key, &repeated).await.is_ok()).await;
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "1");

    // Executed after it was answered that nobody knows.
    let commit = life.change([increment("n", 1)]);
    proxied.nutcracker.servers()[2].pause();
    let start = Instant::now();
    let error = provider.commit(&life.key, &commit).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::OutcomeUnknown, Effect::PerhapsApplied), "{error}");
    assert!(error.to_string().contains("`timeout`"), "{error}");
    let took = start.elapsed();
    assert!((POOL_TIMEOUT - Duration::from_millis(20)..POOL_TIMEOUT * 2).contains(&took), "{took:?}");
    proxied.nutcracker.servers()[2].resume();
    let direct = proxied.direct(2);
    eventually("it is executed", async || life.attribute(&direct, "n").await.as_deref() == Some("2")).await;
    let again = provider.commit(&life.key, &Commit { repeated: true, ..commit }).await;
    assert!(matches!(again, Ok(Committed::Already { .. })), "{again:?}");

    // These come through as they are, and the connection stays.
    let server = &proxied.nutcracker.servers()[2];
    let connections = connections_made(&proxied);
    for (set_up, undo, kind) in [
        (vec![&["REPLICAOF", "127.0.0.1", "1"][..]], vec![&["REPLICAOF", "NO", "ONE"][..]], ErrorKind::Rejected),
        (
            vec![&["CONFIG", "SET", "min-replicas-to-write", "1"][..]],
            vec![&["CONFIG", "SET", "min-replicas-to-write", "0"][..]],
            ErrorKind::Rejected,
        ),
    ] {
        set_up.iter().for_each(|command| drop(server.cli(command)));
        let commit = life.change([increment("n", 1)]);
        let error = provider.commit(&life.key, &commit).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, Effect::NotApplied), "{error}");
        undo.iter().for_each(|command| drop(server.cli(command)));
        assert!(matches!(provider.commit(&life.key, &commit).await, Ok(Committed::Done { .. })));
    }
    let mut other = Life::new();
    proxied.nutcracker.cli(&["SET", other.key_text(), "x"]);
    let creation = other.creation([]);
    assert_eq!(provider.commit(&other.key, &creation).await.unwrap_err().kind(), ErrorKind::ForeignKey);
    proxied.nutcracker.cli(&["DEL", other.key_text()]);
    assert_eq!(connections_made(&proxied), connections, "no reply was a reason to connect again");
    proxied.assert_sound();
}

/// `PING` is said once on every connection.
fn connections_made(proxied: &Proxied) -> u64 {
    proxied.recorder.commands().iter().filter(|(it, _)| it.name == "PING").map(|(_, count)| *count).sum()
}

/// The proxy cannot read this refusal: it answers `Invalid argument`, also to those who were refused nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_of_memory() {
    let proxied = Proxied::start();
    let provider = Arc::new(proxied.provider());
    let workers = workers(&proxied, &provider).await;
    let mut refused = created_on(1, &proxied, &provider).await;
    let to_be_destroyed = created_on(1, &proxied, &provider).await;
    let neighbour = created_on(1, &proxied, &provider).await;
    let server: &RedisServer = &proxied.nutcracker.servers()[1];
    sleep(Duration::from_millis(200)).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);

    let commit = refused.change([increment("n", 1)]);
    let error = provider.commit(&refused.key, &commit).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::OutcomeUnknown, Effect::PerhapsApplied), "{error}");
    // Those who only read are told the same when they were on the way beside somebody who was refused.
    let mut innocent = 0;
    let mut read = 0;
    while innocent == 0 || read < 200 {
        match provider.load(&neighbour.key, neighbour.writer).await {
            Ok(Loaded::Session(_)) => read += 1,
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
                innocent += 1;
            }
        }
    }
    println!("{innocent} of {} reads beside four writers were told that the outcome is unknown", innocent + read);
    // Ending a session needs no memory.
    let destruction = Destruction { generation: to_be_destroyed.generation, leave_tombstone: false };
    let mut destroyed = Err(());
    eventually("it is destroyed", async || {
        destroyed = provider.destroy(&to_be_destroyed.key, &destruction).await.map_err(drop);
        destroyed.is_ok()
    })
    .await;
    assert!(matches!(destroyed, Ok(Destroyed::Done | Destroyed::NothingFound)));
    assert_eq!(server.cli(&["EXISTS", to_be_destroyed.key_text()]), "0");

    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    let back = Instant::now();
    let repeated = Commit { repeated: true, ..commit };
    eventually("it is applied", async || provider.commit(&refused.key, &repeated).await.is_ok()).await;
    assert_eq!(refused.attribute(&proxied.direct(1), "n").await.unwrap(), "1");
    sleep(SECOND).await;
    for (shard, record) in finish(workers, &proxied).await {
        if shard == 1 {
            assert!(record.back_after(back) < SECOND, "{:?}", record.back_after(back));
            assert!(record.failures.iter().all(|failure| failure.kind == ErrorKind::OutcomeUnknown));
            assert!(!record.failures.is_empty());
        } else {
            assert_eq!(record.kinds(), BTreeMap::new(), "server {shard} was not concerned");
        }
    }
}
