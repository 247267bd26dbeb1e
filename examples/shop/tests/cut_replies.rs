//! Shops whose way to Redis loses 30 % of the replies: what was done there and not heard of here is repeated, and
//! counted once.

mod copies;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use copies::{Shops, Visitor, client, side_by_side};
use reqwest::StatusCode;
use test_support::{Direction, FaultProxy, Random, RedisServer, soak_factor, test_seed};

const SHOPS: usize = 4;

/// Of a hundred replies, so many close their connection instead of arriving.
const LOST: u64 = 30;

/// How many requests are under way at a time. Many: most of the time they wait for their next attempt.
const AT_ONCE: usize = 64;

const SESSIONS: u64 = 8;

const VISITS: u64 = 600;

/// What became of the visits of one session.
#[derive(Default)]
struct Tally {
    counted: AtomicU64,
    unavailable: AtomicU64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visits_are_counted_once_though_replies_are_lost() {
    let seed = test_seed();
    let mut random = Random::new(seed);
    let redis = RedisServer::spawn().unwrap();
    let proxy = FaultProxy::start(redis.address()).unwrap();
    let mut shops = Shops::open(SHOPS, &proxy.url(), &[("SESSION_RETRY_TIMEOUT", "5s")]);
    let client = client();
    let mut visitors = Vec::new();
    for _ in 0..SESSIONS {
        let visitor = Visitor::new(&client, &shops.addresses[0]).await;
        visitors.push((visitor, Arc::new(Tally { counted: AtomicU64::new(1), ..Tally::default() })));
    }

    proxy.cut_at_random(Direction::ToClient, LOST, random.number());
    let start = Instant::now();
    // Every other request is of the first session, so that there are many of one and some of several.
    let work: Vec<_> = (0..VISITS * soak_factor() as u64)
        .map(|number| {
            let (visitor, tally) = &visitors[if number % 2 == 0 { 0 } else { random.below(SESSIONS) as usize }];
            (visitor.clone(), Arc::clone(tally), shops.addresses[random.below(SHOPS as u64) as usize].clone())
        })
        .collect();
    let requests = work.len() as u64;
    side_by_side(AT_ONCE, work, |(visitor, tally, shop)| visit(visitor, tally, shop)).await;
    let (took, cuts) = (start.elapsed(), proxy.stop_cutting(Direction::ToClient));
    shops.assert_running();

    let sum = |count: fn(&Tally) -> &AtomicU64| -> u64 {
        visitors.iter().map(|(_, tally)| count(tally).load(Ordering::SeqCst)).sum()
    };
    let unavailable = sum(|tally| &tally.unavailable);
    println!("{requests} visits in {took:.1?}, {cuts} replies lost, {unavailable} answered 503");
    for (visitor, tally) in &visitors {
        let (counted, perhaps) = (tally.counted.load(Ordering::SeqCst), tally.unavailable.load(Ordering::SeqCst));
        for shop in &shops.addresses {
            let visits = visitor.contents(shop).await.visits;
            assert!(
                (counted..=counted + perhaps).contains(&visits),
                "{visits} visits are stored, {counted} were acknowledged and {perhaps} answered 503"
            );
        }
    }
    assert!(cuts > requests / 10, "only {cuts} replies were lost");
    assert!(unavailable * 100 <= requests, "{unavailable} of {requests} were answered 503");
}

async fn visit(visitor: Visitor, tally: Arc<Tally>, shop: String) {
    let answer = visitor.get(&shop, "/visits").send().await.unwrap();
    match answer.status() {
        StatusCode::OK => tally.counted.fetch_add(1, Ordering::SeqCst),
        StatusCode::SERVICE_UNAVAILABLE => tally.unavailable.fetch_add(1, Ordering::SeqCst),
        other => panic!("{other}: {}", answer.text().await.unwrap()),
    };
}
