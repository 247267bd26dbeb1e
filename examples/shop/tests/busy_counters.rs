//! An update of one attribute while other processes count in another one of the same session.

use secret_watch as _;

mod copies;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use copies::{DEADLINE, Shops, Visitor, client};
use reqwest::StatusCode;
use session_core::{AttributeName, KeyDerivation, Observer, RequestContext, SessionId, SessionManager, Subject};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Codec;
use test_support::{RedisServer, soak_factor};
use tokio::task::JoinSet;

const SHOPS: usize = 3;

const UPDATES: usize = 200;

/// Counts what this process is told.
#[derive(Default)]
struct Counting {
    conflicts: AtomicUsize,
    writes: AtomicUsize,
}

impl Observer for Counting {
    fn conflict(&self, _: &Subject, _: &[AttributeName]) {
        self.conflicts.fetch_add(1, Ordering::SeqCst);
    }

    fn attributes_written(&self, _: &Subject, _: &[(AttributeName, usize)]) {
        self.writes.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_needs_one_attempt_beside_counters_of_other_processes() {
    let redis = RedisServer::spawn().unwrap();
    let shops = Shops::open(SHOPS, &redis.url(), &[]);
    let visitor = Visitor::new(&client(), &shops.addresses[0]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let visits = Arc::new(AtomicUsize::new(1));
    let mut counters = JoinSet::new();
    for shop in &shops.addresses {
        let (shop, visitor, stop, visits) = (shop.clone(), visitor.clone(), Arc::clone(&stop), Arc::clone(&visits));
        counters.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let answer = visitor.get(&shop, "/visits").send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK);
                visits.fetch_add(1, Ordering::SeqCst);
            }
        });
    }

    let observer = Arc::new(Counting::default());
    let provider = RedisProvider::new(&RedisConfig::new().url(redis.url())).unwrap();
    // As the shop does it.
    let manager = SessionManager::builder(provider, Codec::default())
        .key_derivation(KeyDerivation::hashed("shop:"))
        .observer(observer.clone())
        .build()
        .unwrap();
    let id = SessionId::parse(visitor.id()).unwrap();
    let updates = UPDATES * soak_factor();
    let mut overtaken = 0;
    for number in 0..updates {
        let session = manager.open(&RequestContext::default(), Some(&id)).await.unwrap();
        session.update("list", move |list: &mut Vec<usize>| *list = vec![list.len(), number]).unwrap();
        // Somebody counts between the reading and the writing.
        let seen = visits.load(Ordering::SeqCst);
        let deadline = Instant::now() + DEADLINE;
        while visits.load(Ordering::SeqCst) < seen + SHOPS && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        overtaken += usize::from(visits.load(Ordering::SeqCst) > seen);
        session.close().await.result.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    counters.join_all().await;

    // The observer is told everything.
    manager.shutdown().await;

    assert_eq!(overtaken, updates, "the counters were not busy");
    assert_eq!(observer.writes.load(Ordering::SeqCst), updates);
    assert_eq!(observer.conflicts.load(Ordering::SeqCst), 0, "an increment of another attribute is no conflict");
    let session = manager.open(&RequestContext::default(), Some(&id)).await.unwrap();
    assert_eq!(session.get::<Vec<usize>>("list").unwrap(), Some(vec![2, updates - 1]));
    let counted = visits.load(Ordering::SeqCst) as u64;
    assert_eq!(visitor.contents(&shops.addresses[0]).await.visits, counted);
}
