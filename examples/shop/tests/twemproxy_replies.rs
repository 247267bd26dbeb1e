//! Four shops whose way to a TwemProxy loses replies: what was done there and not heard of here is repeated, and done
//! once.

use secret_watch as _;

mod copies;
mod customers;

use copies::Shops;
use customers::Hour;
use test_support::{FaultProxy, Nutcracker, Random, Recorder, soak_factor, test_seed};

const SHOPS: usize = 4;

/// So many that each server has some.
const SESSIONS: usize = 12;

const HOUR: Hour = Hour { sessions: SESSIONS, requests: 600, at_once: 32, of_the_first: 3, lost: 20 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visits_and_carts_are_exact_though_replies_are_lost() {
    let mut random = Random::new(test_seed());
    let nutcracker = Nutcracker::spawn().unwrap();
    let recorder = Recorder::start(nutcracker.address()).unwrap();
    let faults = FaultProxy::start(recorder.address()).unwrap();
    let settings = [("SESSION_PROVIDER", "twemproxy"), ("SESSION_RETRY_TIMEOUT", "5s")];
    let mut shops = Shops::open(SHOPS, &faults.url(), &settings);
    for _ in 0..soak_factor() {
        let unavailable = HOUR.pass(&faults, &shops, &mut random).await;
        assert!(unavailable * 100 <= HOUR.requests, "{unavailable} of {} were answered 503", HOUR.requests);
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
