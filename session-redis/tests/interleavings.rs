//! Dead stays dead, in a real server: requests of several processes interleaved at random with a session's end.

use secret_watch as _;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use session_core::conformance::interleavings::{Ending, Ground, Order, Tally, run};
use session_core::conformance::{seed, soaked};
use session_core::{SessionKey, SessionProvider};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Json;
use test_support::RedisServer;

struct Server {
    server: RedisServer,
    provider: Arc<RedisProvider>,
    raw: MultiplexedConnection,
}

impl Server {
    async fn spawn() -> Arc<Self> {
        let server = RedisServer::spawn().expect("redis-server starts");
        let config = RedisConfig::new().url(server.url()).operation_timeout(Duration::from_secs(30));
        let provider = Arc::new(RedisProvider::new(&config).unwrap());
        let client = redis::Client::open(server.url()).unwrap();
        // As patient as the provider, on a machine with much to do.
        let patient = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
        let raw = client.get_multiplexed_async_connection_with_config(&patient).await.unwrap();
        Arc::new(Self { server, provider, raw })
    }

    /// What is left after a run: every key there is has an expiry.
    fn assert_all_expire(&self) {
        let count = "local endless = 0 for _, key in ipairs(redis.call('KEYS', '*')) do \
                     if redis.call('PTTL', key) == -1 then endless = endless + 1 end end return endless";
        assert_eq!(self.server.cli(&["EVAL", count, "0"]), "0");
        assert_ne!(self.server.cli(&["DBSIZE"]), "0", "the run left nothing to look at");
    }
}

#[async_trait]
impl Ground for Server {
    fn provider(&self) -> Arc<dyn SessionProvider> {
        self.provider.clone()
    }

    async fn end(&self, key: &SessionKey, ending: Ending) -> bool {
        let mut raw = self.raw.clone();
        let was_session = "local was = redis.call('HEXISTS', KEYS[1], '@g') ";
        let script = match ending {
            Ending::Eviction => format!("{was_session} redis.call('DEL', KEYS[1]) return was"),
            Ending::Expiry => {
                format!("{was_session} if was == 1 then redis.call('PEXPIRE', KEYS[1], 1) end return was")
            }
        };
        let was: i64 = redis::cmd("EVAL").arg(script).arg(1).arg(key.as_bytes()).query_async(&mut raw).await.unwrap();
        if was == 0 || ending == Ending::Eviction {
            return was == 1;
        }
        loop {
            let left: i64 = redis::cmd("PTTL").arg(key.as_bytes()).query_async(&mut raw).await.unwrap();
            match left {
                -2 => return true,
                // Written to in its last instant.
                2.. => return false,
                _ => tokio::task::yield_now().await,
            }
        }
    }

    async fn endless(&self, keys: &[SessionKey]) -> usize {
        let mut commands = redis::pipe();
        for key in keys {
            commands.cmd("PTTL").arg(key.as_bytes());
        }
        let lives: Vec<i64> = commands.query_async(&mut self.raw.clone()).await.unwrap();
        lives.into_iter().filter(|life| *life == -1).count()
    }
}

#[track_caller]
fn assert_worth_it(tally: Tally) {
    println!("{tally:?}");
    for number in [tally.acknowledged, tally.gone, tally.destroyed, tally.ended, tally.rotated] {
        assert!(number * 20 > tally.episodes, "too little happened: {tally:?}");
    }
}

#[tokio::test]
async fn stepwise() {
    let server = Server::spawn().await;
    assert_worth_it(run(server.clone(), Json, Order::Stepwise, seed(), soaked(1_500)).await);
    server.assert_all_expire();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_concurrent_tasks() {
    let server = Server::spawn().await;
    assert_worth_it(run(server.clone(), Json, Order::Concurrent, seed(), soaked(1_500)).await);
    server.assert_all_expire();
}
