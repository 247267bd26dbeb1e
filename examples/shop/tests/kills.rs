//! Shops that are killed while they work: whatever a delivered response said is in Redis.

use secret_watch as _;

mod copies;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use copies::{Shop, Visitor, client};
use reqwest::StatusCode;
use test_support::{Random, RedisServer, soak_factor, test_seed};
use tokio::task::JoinSet;

/// Clients of one session, each of which sends one request after the other.
const CLIENTS: u64 = 4;

/// The longest that a shop lives, in microseconds from the first answer on.
const LONGEST_LIFE: usize = 20_000;

/// What was asked for and what was acknowledged.
#[derive(Default)]
struct Ledger {
    asked: AtomicU64,
    acknowledged: AtomicU64,
    highest: AtomicU64,
    bought: AtomicU64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_shop_has_kept_its_word() {
    let mut random = Random::new(test_seed());
    let redis = RedisServer::spawn().unwrap();
    let (_witness, witness) = Shop::open(&redis.url(), &[]);
    let (mut acknowledged, mut unanswered) = (0, 0);
    for round in 0..50 * soak_factor() {
        let (mut shop, address) = Shop::open(&redis.url(), &[]);
        let visitor = Visitor::new(&client(), &address).await;
        let ledger = Arc::new(Ledger::default());
        ledger.asked.store(1, Ordering::SeqCst);
        ledger.acknowledged.store(1, Ordering::SeqCst);
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            clients.spawn(visit_and_buy(number, visitor.clone(), address.clone(), Arc::clone(&ledger)));
        }
        tokio::time::sleep(Duration::from_micros(random.below(LONGEST_LIFE) as u64)).await;
        shop.kill();
        clients.join_all().await;

        let contents = visitor.contents(&witness).await;
        let [asked, told, highest, bought] = [&ledger.asked, &ledger.acknowledged, &ledger.highest, &ledger.bought]
            .map(|count| count.load(Ordering::SeqCst));
        let visits = contents.visits;
        assert!((told..=asked).contains(&visits), "round {round}: {visits} visits, {told} told, {asked} asked for");
        assert!(highest <= visits, "round {round}: {visits} visits, and {highest} was an answer");
        let pieces = u64::from(contents.cart.values().sum::<u32>());
        assert!(
            (bought..=bought + CLIENTS).contains(&pieces),
            "round {round}: {pieces} pieces, {bought} acknowledged: {:?}",
            contents.cart
        );
        acknowledged += told + bought;
        unanswered += asked - told;
    }
    println!("{acknowledged} acknowledged changes, {unanswered} unanswered visits");
    assert!(unanswered > 0, "no shop was killed in the middle of a request");
}

/// Until the shop does not answer any more.
async fn visit_and_buy(number: u64, visitor: Visitor, shop: String, ledger: Arc<Ledger>) {
    let article = format!("article {number}");
    let form = [("sku", article.as_str()), ("qty", "1")];
    loop {
        ledger.asked.fetch_add(1, Ordering::SeqCst);
        let Ok(answer) = visitor.get(&shop, "/visits").send().await else { return };
        assert_eq!(answer.status(), StatusCode::OK);
        // The head was sent after the commit.
        ledger.acknowledged.fetch_add(1, Ordering::SeqCst);
        let Ok(text) = answer.text().await else { return };
        ledger.highest.fetch_max(text.parse().unwrap(), Ordering::SeqCst);

        let Ok(answer) = visitor.post(&shop, "/cart", &form).send().await else { return };
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        ledger.bought.fetch_add(1, Ordering::SeqCst);
    }
}
