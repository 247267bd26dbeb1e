//! Several copies of the shop on one Redis, and many requests of one session at all of them: they merge.

use secret_watch as _;

mod copies;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use copies::{Shops, Visitor, client, side_by_side};
use reqwest::StatusCode;
use test_support::{Random, RedisServer, soak_factor, test_seed};

const SHOPS: usize = 4;

/// How many requests are under way at a time.
const AT_ONCE: usize = 32;

/// As many as there is room for in a cart.
const ARTICLES: u64 = 50;

/// What one request does.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Visit,
    Buy(u64),
    Theme(&'static str),
    Look(&'static str),
    Check,
}

/// A day's work, in an order that depends on the seed.
fn deeds(random: &mut Random) -> Vec<Deed> {
    let mut deeds = Vec::new();
    for number in 0..400 {
        deeds.push(Deed::Visit);
        if number < ARTICLES * 4 {
            deeds.push(Deed::Buy(number % ARTICLES));
        }
        if number % 4 == 0 {
            deeds.push(Deed::Theme(["light", "dark"][usize::from(number % 8 == 0)]));
            deeds.push(Deed::Look(["/", "/cart", "/about"][usize::try_from(number / 4).unwrap() % 3]));
            deeds.push(Deed::Check);
        }
    }
    for last in (1..deeds.len()).rev() {
        deeds.swap(last, random.below(last + 1));
    }
    deeds
}

/// Visits that were asked for, and visits that were acknowledged: between the two lies what anybody may see.
#[derive(Default)]
struct Visits {
    asked: AtomicU64,
    acknowledged: AtomicU64,
}

impl Visits {
    fn assert_seen(&self, seen: u64, acknowledged_before: u64) {
        let asked = self.asked.load(Ordering::SeqCst);
        assert!(
            (acknowledged_before..=asked).contains(&seen),
            "{seen} visits were shown, when {acknowledged_before} were acknowledged before the request and {asked} \
             asked for before its answer"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_one_session_at_four_shops_merge() {
    let mut random = Random::new(test_seed());
    let redis = RedisServer::spawn().unwrap();
    let mut shops = Shops::open(SHOPS, &redis.url(), &[]);
    for _ in 0..soak_factor() {
        one_day(&redis, &shops, &mut random).await;
        redis.cli(&["FLUSHALL"]);
    }
    shops.assert_running();
}

async fn one_day(redis: &RedisServer, shops: &Shops, random: &mut Random) {
    let visitor = Visitor::new(&client(), &shops.addresses[0]).await;
    let visits = Arc::new(Visits::default());
    visits.asked.store(1, Ordering::SeqCst);
    visits.acknowledged.store(1, Ordering::SeqCst);

    let deeds = deeds(random);
    let expected_visits = 1 + deeds.iter().filter(|deed| matches!(deed, Deed::Visit)).count() as u64;
    let work: Vec<_> = deeds.into_iter().map(|deed| (deed, shops.addresses[random.below(SHOPS)].clone())).collect();
    side_by_side(AT_ONCE, work, |(deed, shop)| do_it(deed, shop, visitor.clone(), Arc::clone(&visits))).await;

    let cart: BTreeMap<_, _> = (0..ARTICLES).map(|article| (format!("article {article}"), 4)).collect();
    for shop in &shops.addresses {
        let contents = visitor.contents(shop).await;
        assert_eq!((contents.visits, &contents.cart), (expected_visits, &cart));
    }
    let keys = redis.cli(&["KEYS", "shop:*"]);
    assert_eq!(keys.lines().count(), 1, "one session, one key: {keys}");
    assert_eq!(redis.cli(&["HGET", &keys, "visits"]), expected_visits.to_string());
}

async fn do_it(deed: Deed, shop: String, visitor: Visitor, visits: Arc<Visits>) {
    let acknowledged = visits.acknowledged.load(Ordering::SeqCst);
    match deed {
        Deed::Visit => {
            visits.asked.fetch_add(1, Ordering::SeqCst);
            let answer = visitor.get(&shop, "/visits").send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let number = answer.text().await.unwrap().parse().unwrap();
            visits.assert_seen(number, acknowledged + 1);
            visits.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
        Deed::Buy(article) => {
            let order = [("sku", format!("article {article}")), ("qty", "1".to_owned())];
            let order = order.each_ref().map(|(name, value)| (*name, value.as_str()));
            let answer = visitor.post(&shop, "/cart", &order).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{article}");
        }
        Deed::Theme(theme) => {
            let answer = visitor.post(&shop, "/theme", &[("theme", theme)]).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        }
        Deed::Look(path) => {
            let answer = visitor.get(&shop, path).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
        }
        Deed::Check => visits.assert_seen(visitor.contents(&shop).await.visits, acknowledged),
    }
}

/// Each shop keeps its copy of the session between the requests and must notice what the other did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_shop_acknowledged_the_other_shows() {
    let redis = RedisServer::spawn().unwrap();
    let shops = Shops::open(2, &redis.url(), &[]);
    let visitor = Visitor::new(&client(), &shops.addresses[0]).await;
    for round in 0..200 * soak_factor() {
        let (writer, reader) = (&shops.addresses[round % 2], &shops.addresses[(round + 1) % 2]);
        let number = visitor.get(writer, "/visits").send().await.unwrap().text().await.unwrap();
        assert_eq!(number, (round + 2).to_string());
        let theme = ["dark", "light"][round % 2];
        visitor.post(writer, "/theme", &[("theme", theme)]).send().await.unwrap();
        for shop in [reader, writer] {
            let contents = visitor.contents(shop).await;
            assert_eq!((contents.visits, contents.theme.as_str()), (round as u64 + 2, theme), "round {round}");
        }
    }
}
