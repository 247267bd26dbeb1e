//! Copies that a process keeps between requests: never stale, and cheap to validate.

use secret_watch as _;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use session_core::{RequestContext, SessionId, SessionManager};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Json;
use test_support::{Direction, FaultProxy, RedisServer, soak_factor};
use tokio::task::JoinSet;

/// So often somebody writes.
const WRITES: u64 = 10_000;

/// A manager with a connection of its own: as good as a process.
fn process(url: &str) -> SessionManager<Json> {
    let provider = RedisProvider::new(&RedisConfig::new().url(url)).unwrap();
    SessionManager::builder(provider, Json).build().unwrap()
}

async fn create(process: &SessionManager<Json>) -> SessionId {
    let session = process.open(&RequestContext::default(), None).await.unwrap();
    for attribute in 0..20 {
        session.insert(&format!("attribute{attribute}"), &"x".repeat(64)).unwrap();
    }
    session.insert("number", &0_u64).unwrap();
    session.close().await.result.unwrap();
    session.id().unwrap()
}

async fn read(process: &SessionManager<Json>, id: &SessionId) -> u64 {
    let session = process.open(&RequestContext::default(), Some(id)).await.unwrap();
    session.get("number").unwrap().unwrap()
}

async fn write(process: &SessionManager<Json>, id: &SessionId, number: u64) {
    let session = process.open(&RequestContext::default(), Some(id)).await.unwrap();
    session.insert("number", &number).unwrap();
    session.close().await.result.unwrap();
}

#[tokio::test]
async fn two_processes_that_write_and_read_in_turn_see_each_other() {
    let redis = RedisServer::spawn().unwrap();
    let processes = [process(&redis.url()), process(&redis.url())];
    let id = create(&processes[0]).await;
    for number in 1..=WRITES * soak_factor() as u64 {
        let turn = usize::from(number % 2 == 0);
        write(&processes[turn], &id, number).await;
        assert_eq!(read(&processes[1 - turn], &id).await, number, "the other sees it");
        if number % 8 == 0 {
            assert_eq!(read(&processes[turn], &id).await, number, "so does the one that wrote it");
        }
    }
    assert!(processes.iter().all(|process| process.live_sessions() == 1), "they worked with kept copies");
}

/// Whoever reads while others write sees at least what was acknowledged before he asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_beside_a_writer_see_what_was_acknowledged() {
    let redis = RedisServer::spawn().unwrap();
    let writer = process(&redis.url());
    let id = create(&writer).await;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicU64::new(0));
    let mut readers = JoinSet::new();
    for other in [process(&redis.url()), process(&redis.url()), writer.clone()] {
        // Two requests at a time, which share the process's copy.
        for _ in 0..2 {
            let (acknowledged, done, reads) = (Arc::clone(&acknowledged), Arc::clone(&done), Arc::clone(&reads));
            let other = other.clone();
            readers.spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    let before = acknowledged.load(Ordering::SeqCst);
                    let number = read(&other, &id).await;
                    assert!(number >= before, "{number} was read after {before} was acknowledged");
                    reads.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    }
    for number in 1..=1000 * soak_factor() as u64 {
        write(&writer, &id, number).await;
        acknowledged.store(number, Ordering::SeqCst);
    }
    done.store(true, Ordering::SeqCst);
    while let Some(ended) = readers.join_next().await {
        ended.unwrap();
    }
    assert!(reads.load(Ordering::SeqCst) > 1000);
}

#[tokio::test]
async fn an_unchanged_copy_is_validated_by_two_small_replies() {
    const READS: u64 = 1000;
    let redis = RedisServer::spawn().unwrap();
    // The proxy only counts.
    let wire = FaultProxy::start(redis.address()).unwrap();
    let process = process(&wire.url());
    let id = create(&process).await;
    redis.cli(&["CONFIG", "RESETSTAT"]);
    let before = [Direction::ToClient, Direction::ToServer].map(|direction| wire.bytes(direction));
    for _ in 0..READS {
        assert_eq!(read(&process, &id).await, 0);
    }
    let [from_redis, to_redis] = [Direction::ToClient, Direction::ToServer].map(|direction| wire.bytes(direction));
    let [from_redis, to_redis] = [(from_redis - before[0]) / READS, (to_redis - before[1]) / READS];
    println!("an unchanged read: {from_redis} bytes from Redis, {to_redis} to it");
    assert!(from_redis <= 120, "{from_redis} bytes from Redis for each unchanged read");
    let expected = BTreeMap::from([("hmget".to_owned(), READS), ("pttl".to_owned(), READS)]);
    assert_eq!(redis.command_counts(), expected);
}
