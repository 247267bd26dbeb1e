//! Four shops whose way to a TwemProxy loses replies: what was done there and not heard of here is repeated, and done
//! once.

use secret_watch as _;

mod copies;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use copies::{Shop, Shops, Visitor, client, side_by_side};
use reqwest::StatusCode;
use test_support::{Direction, FaultProxy, Nutcracker, Random, Recorder, soak_factor, test_seed};

const SHOPS: usize = 4;

/// Of a hundred replies, so many close their connection instead of arriving.
const LOST: usize = 20;

const AT_ONCE: usize = 32;

/// So many that each server has some.
const SESSIONS: usize = 12;

const REQUESTS: u64 = 600;

/// Somebody who visits the shop (an `increment`) and buys pears (an `update`), with what was acknowledged and what may
/// have been done.
struct Customer {
    visitor: Visitor,
    visits: [AtomicU64; 2],
    pears: [AtomicU64; 2],
}

impl Customer {
    async fn visit(&self, shop: &str) {
        Self::count(&self.visits, self.visitor.get(shop, "/visits").send().await.unwrap().status());
    }

    async fn buy(&self, shop: &str) {
        let order = [("sku", "pear"), ("qty", "1")];
        Self::count(&self.pears, self.visitor.post(shop, "/cart", &order).send().await.unwrap().status());
    }

    fn count([acknowledged, perhaps]: &[AtomicU64; 2], status: StatusCode) {
        match status {
            StatusCode::OK | StatusCode::SEE_OTHER => acknowledged,
            StatusCode::SERVICE_UNAVAILABLE => perhaps,
            other => panic!("{other}"),
        }
        .fetch_add(1, Ordering::SeqCst);
    }
}

fn assert_stored(what: &str, stored: u64, tally: &[AtomicU64; 2]) {
    let [acknowledged, perhaps] = tally.each_ref().map(|count| count.load(Ordering::SeqCst));
    assert!(
        (acknowledged..=acknowledged + perhaps).contains(&stored),
        "{stored} {what} are stored, {acknowledged} were acknowledged and {perhaps} answered 503"
    );
}

fn open(url: &str) -> Shops {
    let settings = [
        ("SESSION_PROVIDER", "twemproxy"),
        ("SESSION_URL", url),
        ("SESSION_RETRY_TIMEOUT", "5s"),
        // Every lost connection is worth a warning.
        ("RUST_LOG", "error"),
    ];
    let shops = (0..SHOPS).map(|_| {
        let mut shop = Shop::start(&settings);
        let line = shop.first_line();
        let address = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        (shop, address)
    });
    let (processes, addresses) = shops.unzip();
    Shops { processes, addresses }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visits_and_carts_are_exact_though_replies_are_lost() {
    let mut random = Random::new(test_seed());
    let nutcracker = Nutcracker::spawn().unwrap();
    let recorder = Recorder::start(nutcracker.address()).unwrap();
    let faults = FaultProxy::start(recorder.address()).unwrap();
    let mut shops = open(&faults.url());
    let client = client();
    for _ in 0..soak_factor() {
        let mut customers = Vec::new();
        for _ in 0..SESSIONS {
            let visitor = Visitor::new(&client, &shops.addresses[0]).await;
            customers.push(Arc::new(Customer {
                visitor,
                visits: [AtomicU64::new(1), AtomicU64::new(0)],
                pears: Default::default(),
            }));
        }
        one_hour(&faults, &shops, &customers, &mut random).await;
    }
    shops.assert_running();
    let spread: Vec<_> = nutcracker.keys("shop:*").iter().map(Vec::len).collect();
    println!("the sessions lie on the servers as {spread:?}");
    assert_eq!(spread.iter().sum::<usize>(), SESSIONS * soak_factor(), "a session is lost or doubled");
    assert!(spread.iter().filter(|count| **count > 0).count() >= 2, "{spread:?}");
    for recorded in recorder.commands().keys() {
        let known = ["PING", "HGETALL", "HMGET", "PTTL", "EVAL", "EVALSHA"].contains(&recorded.name.as_str());
        assert!(known && recorded.script_keys.as_deref().is_none_or(|keys| keys == "1"), "{recorded:?}");
    }
}

async fn one_hour(faults: &FaultProxy, shops: &Shops, customers: &[Arc<Customer>], random: &mut Random) {
    faults.cut_at_random(Direction::ToClient, LOST, random.number());
    let start = Instant::now();
    let work: Vec<_> = (0..REQUESTS)
        .map(|number| {
            // A third of them are of the first session, so that there are many of one and some of several.
            let customer = if random.below(3) == 0 { 0 } else { random.below(SESSIONS) };
            let shop = &shops.addresses[random.below(SHOPS)];
            (number % 3 == 0, Arc::clone(&customers[customer]), shop.clone())
        })
        .collect();
    side_by_side(AT_ONCE, work, |(buys, customer, shop)| async move {
        if buys { customer.buy(&shop).await } else { customer.visit(&shop).await }
    })
    .await;
    let (took, cuts) = (start.elapsed(), faults.stop_cutting(Direction::ToClient));

    let unavailable: u64 =
        customers.iter().flat_map(|it| [&it.visits[1], &it.pears[1]]).map(|count| count.load(Ordering::SeqCst)).sum();
    println!("{REQUESTS} requests in {took:.1?}, {cuts} connections cut, {unavailable} answered 503");
    for customer in customers {
        for shop in &shops.addresses {
            let contents = customer.visitor.contents(shop).await;
            assert_stored("visits", contents.visits, &customer.visits);
            assert_stored("pears", contents.cart.get("pear").copied().unwrap_or_default().into(), &customer.pears);
        }
    }
    assert!(cuts > REQUESTS / 10, "only {cuts} connections were cut");
    assert!(unavailable * 100 <= REQUESTS, "{unavailable} of {REQUESTS} were answered 503");
}
