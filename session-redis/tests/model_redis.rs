//! Random requests on a real server, compared with a model.

use secret_watch as _;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use session_core::conformance::{Foreign, Life, NotPossible, Subject, sessions, unused_key};
use session_core::{SessionKey, SessionProvider};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Json;
use test_support::RedisServer;

struct Redis {
    /// Ends with the test.
    _server: RedisServer,
    provider: Arc<RedisProvider>,
    connection: MultiplexedConnection,
}

impl Redis {
    async fn new() -> Self {
        let server = RedisServer::spawn().expect("redis-server on the PATH; `cargo xtask setup` installs it");
        let provider = RedisProvider::new(&RedisConfig::new().url(server.url())).expect("settings that can be");
        let client = redis::Client::open(server.url()).expect("the server's URL");
        let connection = client.get_multiplexed_async_connection().await.expect("a connection");
        Self { _server: server, provider: Arc::new(provider), connection }
    }
}

#[async_trait]
impl Subject for Redis {
    fn provider(&self) -> Arc<dyn SessionProvider> {
        self.provider.clone()
    }

    fn unused_key(&self) -> SessionKey {
        unused_key("model:")
    }

    async fn put_foreign(&self, _: &SessionKey, _: Foreign) -> Result<(), NotPossible> {
        Err(NotPossible("the model needs none"))
    }

    async fn foreign_is_intact(&self, _: &SessionKey, _: Foreign) -> bool {
        false
    }

    async fn life(&self, key: &SessionKey) -> Result<Life, NotPossible> {
        let mut connection = self.connection.clone();
        let milliseconds: i64 =
            redis::cmd("PTTL").arg(key.as_bytes()).query_async(&mut connection).await.expect("an answer to PTTL");
        Ok(match u64::try_from(milliseconds) {
            Ok(milliseconds) => Life::Ends(Duration::from_millis(milliseconds)),
            Err(_) if milliseconds == -1 => Life::Endless,
            Err(_) => Life::Nothing,
        })
    }
}

#[tokio::test]
async fn requests_one_after_the_other_are_answered_exactly() {
    sessions::exactly(&Redis::new().await, &Json, 120).await;
}

#[tokio::test]
async fn requests_under_faults_keep_every_promise() {
    sessions::under_faults(&Redis::new().await, &Json, 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_on_several_threads_lose_nothing() {
    sessions::at_once(&Redis::new().await, &Json, 5).await;
}
