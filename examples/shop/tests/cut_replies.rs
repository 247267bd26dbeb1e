//! Shops whose way to Redis loses 30 % of the replies: what was done there and not heard of here is repeated, and
//! counted once.

use secret_watch as _;

mod copies;
mod customers;

use copies::Shops;
use customers::Hour;
use test_support::{FaultProxy, Random, RedisServer, soak_factor, test_seed};

const SHOPS: usize = 4;

/// How many requests are under way at a time, a quarter of them over one connection each. Requests that were on one
/// connection when it was closed all try again after the same time, on one connection again, and any reply that is lost
/// there is lost to all of them: with many more, one unlucky round of them would be the whole hundredth that may fail.
const AT_ONCE: usize = 12;

const HOUR: Hour = Hour { sessions: 4, requests: 400, at_once: AT_ONCE, of_the_first: 2, lost: 30 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_done_once_though_replies_are_lost() {
    let mut random = Random::new(test_seed());
    let redis = RedisServer::spawn().unwrap();
    let proxy = FaultProxy::start(redis.address()).unwrap();
    let mut shops = Shops::open(SHOPS, &proxy.url(), &[("SESSION_RETRY_TIMEOUT", "5s")]);
    let (mut requests, mut unavailable) = (0, 0);
    for _ in 0..soak_factor() {
        unavailable += HOUR.pass(&proxy, &shops, &mut random).await;
        requests += HOUR.requests;
    }
    shops.assert_running();
    assert!(unavailable * 100 <= requests, "{unavailable} of {requests} were answered 503");
}
