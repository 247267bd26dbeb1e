//! Shops whose way to Redis loses 30 % of the replies: what was done there and not heard of here is repeated, and
//! counted once.

use secret_watch as _;

mod copies;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use copies::{Shops, Visitor, client, side_by_side};
use reqwest::StatusCode;
use test_support::{Direction, FaultProxy, Random, RedisServer, soak_factor, test_seed};

const SHOPS: usize = 4;

/// Of a hundred replies, so many close their connection instead of arriving.
const LOST: usize = 30;

/// How many requests are under way at a time. Requests that were on one connection when it was closed all try again
/// after the same time, on one connection again, and any reply that is lost there is lost to all of them: the more there
/// are, the less is left of their seven attempts.
const AT_ONCE: usize = 12;

const SESSIONS: usize = 4;

const REQUESTS: u64 = 400;

/// One kind of request of one session, each of which adds 1 to something.
#[derive(Default)]
struct Tally {
    acknowledged: AtomicU64,
    unavailable: AtomicU64,
}

impl Tally {
    fn count(&self, status: StatusCode) {
        match status {
            StatusCode::OK | StatusCode::SEE_OTHER => &self.acknowledged,
            StatusCode::SERVICE_UNAVAILABLE => &self.unavailable,
            other => panic!("{other}"),
        }
        .fetch_add(1, Ordering::SeqCst);
    }

    /// A request that was answered 503 may have been done or not.
    fn assert_stored(&self, what: &str, stored: u64) {
        let (acknowledged, perhaps) =
            (self.acknowledged.load(Ordering::SeqCst), self.unavailable.load(Ordering::SeqCst));
        assert!(
            (acknowledged..=acknowledged + perhaps).contains(&stored),
            "{stored} {what} are stored, {acknowledged} were acknowledged and {perhaps} answered 503"
        );
    }
}

/// Somebody who visits the shop (an `increment`) and buys pears (an `update`).
struct Customer {
    visitor: Visitor,
    visits: Tally,
    pears: Tally,
}

impl Customer {
    async fn visit(&self, shop: &str) {
        let answer = self.visitor.get(shop, "/visits").send().await.unwrap();
        self.visits.count(answer.status());
    }

    async fn buy(&self, shop: &str) {
        let answer = self.visitor.post(shop, "/cart", &[("sku", "pear"), ("qty", "1")]).send().await.unwrap();
        self.pears.count(answer.status());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_done_once_though_replies_are_lost() {
    let mut random = Random::new(test_seed());
    let redis = RedisServer::spawn().unwrap();
    let proxy = FaultProxy::start(redis.address()).unwrap();
    let mut shops = Shops::open(SHOPS, &proxy.url(), &[("SESSION_RETRY_TIMEOUT", "5s")]);
    let (mut requests, mut unavailable) = (0, 0);
    for _ in 0..soak_factor() {
        unavailable += one_hour(&proxy, &shops, &mut random).await;
        requests += REQUESTS;
    }
    shops.assert_running();
    assert!(unavailable * 100 <= requests, "{unavailable} of {requests} were answered 503");
}

/// Some requests of some sessions; the answer is how many of them were answered 503.
async fn one_hour(proxy: &FaultProxy, shops: &Shops, random: &mut Random) -> u64 {
    let client = client();
    let mut customers = Vec::new();
    for _ in 0..SESSIONS {
        let visitor = Visitor::new(&client, &shops.addresses[0]).await;
        let visits = Tally { acknowledged: AtomicU64::new(1), ..Tally::default() };
        customers.push(Arc::new(Customer { visitor, visits, pears: Tally::default() }));
    }

    proxy.cut_at_random(Direction::ToClient, LOST, random.number());
    let start = Instant::now();
    let work: Vec<_> = (0..REQUESTS)
        .map(|number| {
            // Half of them are of the first session, so that there are many of one and some of several.
            let customer = if random.below(2) == 0 { 0 } else { random.below(SESSIONS) };
            let shop = &shops.addresses[random.below(SHOPS)];
            (number % 3 == 0, Arc::clone(&customers[customer]), shop.clone())
        })
        .collect();
    side_by_side(AT_ONCE, work, |(buys, customer, shop)| async move {
        if buys { customer.buy(&shop).await } else { customer.visit(&shop).await }
    })
    .await;
    let (took, cuts) = (start.elapsed(), proxy.stop_cutting(Direction::ToClient));

    let tallies = customers.iter().flat_map(|customer| [&customer.visits, &customer.pears]);
    let unavailable: u64 = tallies.map(|tally| tally.unavailable.load(Ordering::SeqCst)).sum();
    println!("{REQUESTS} requests in {took:.1?}, {cuts} replies lost, {unavailable} answered 503");
    for customer in &customers {
        for shop in &shops.addresses {
            let contents = customer.visitor.contents(shop).await;
            customer.visits.assert_stored("visits", contents.visits);
            customer.pears.assert_stored("pears", contents.cart.get("pear").copied().unwrap_or_default().into());
        }
    }
    assert!(cuts > REQUESTS / 10, "only {cuts} replies were lost");
    unavailable
}
