//! Customers of shops whose way to the sessions loses replies. Each knows what was acknowledged to him, and what may have
//! been done.

#![allow(unreachable_pub, reason = "each test has this as a module of its own")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use reqwest::StatusCode;
use test_support::{Direction, FaultProxy, Random};

use crate::copies::{Shops, Visitor, client, side_by_side};

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

    async fn assert_exact(&self, shop: &str) {
        let contents = self.visitor.contents(shop).await;
        self.visits.assert_stored("visits", contents.visits);
        self.pears.assert_stored("pears", contents.cart.get("pear").copied().unwrap_or_default().into());
    }
}

/// Some requests of some new sessions, at shops chosen at random.
pub struct Hour {
    pub sessions: usize,
    pub requests: u64,
    /// How many requests are under way at a time.
    pub at_once: usize,
    /// One of so many requests is of the first session, so that there are many of one and some of several.
    pub of_the_first: usize,
    /// Of a hundred replies, so many close their connection instead of arriving.
    pub lost: usize,
}

impl Hour {
    /// Whatever was lost, each session has what it was told, once; the answer is how many requests were answered 503.
    pub async fn pass(&self, faults: &FaultProxy, shops: &Shops, random: &mut Random) -> u64 {
        let client = client();
        let mut customers = Vec::new();
        for _ in 0..self.sessions {
            let visitor = Visitor::new(&client, &shops.addresses[0]).await;
            let visits = Tally { acknowledged: AtomicU64::new(1), ..Tally::default() };
            customers.push(Arc::new(Customer { visitor, visits, pears: Tally::default() }));
        }

        faults.cut_at_random(Direction::ToClient, self.lost, random.number());
        let start = Instant::now();
        let work: Vec<_> = (0..self.requests)
            .map(|number| {
                let customer = if random.below(self.of_the_first) == 0 { 0 } else { random.below(self.sessions) };
                let shop = &shops.addresses[random.below(shops.addresses.len())];
                (number % 3 == 0, Arc::clone(&customers[customer]), shop.clone())
            })
            .collect();
        side_by_side(self.at_once, work, |(buys, customer, shop)| async move {
            if buys { customer.buy(&shop).await } else { customer.visit(&shop).await }
        })
        .await;
        let (took, cuts) = (start.elapsed(), faults.stop_cutting(Direction::ToClient));

        let tallies = customers.iter().flat_map(|customer| [&customer.visits, &customer.pears]);
        let unavailable: u64 = tallies.map(|tally| tally.unavailable.load(Ordering::SeqCst)).sum();
        println!("{} requests in {took:.1?}, {cuts} replies lost, {unavailable} answered 503", self.requests);
        for customer in &customers {
            for shop in &shops.addresses {
                customer.assert_exact(shop).await;
            }
        }
        assert!(cuts > self.requests / 10, "only {cuts} replies were lost");
        unavailable
    }
}
