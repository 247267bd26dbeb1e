//! The topologies keep every promise of a provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::conformance::{Foreign, Life, NotPossible, Subject, run_all, unused_key};
use session_core::{SessionKey, SessionProvider};
use session_redis::RedisProvider;
use test_support::{Cluster, Sentinels};

use super::{cluster, sentinel};

/// The provider, and a way past it to whichever server has a key.
struct Servers<S> {
    servers: S,
    cli: fn(&S, &[&str]) -> String,
    provider: Arc<RedisProvider>,
}

impl<S> Servers<S> {
    fn cli(&self, arguments: &[&str], key: &SessionKey) -> String {
        let key = std::str::from_utf8(key.as_bytes()).expect("the suite's keys are text");
        let arguments: Vec<_> =
            arguments.iter().map(|argument| if *argument == "KEY" { key } else { argument }).collect();
        (self.cli)(&self.servers, &arguments)
    }
}

#[async_trait]
impl<S: Send + Sync + 'static> Subject for Servers<S> {
    fn provider(&self) -> Arc<dyn SessionProvider> {
        self.provider.clone()
    }

    fn unused_key(&self) -> SessionKey {
        unused_key("conformance:")
    }

    async fn put_foreign(&self, key: &SessionKey, foreign: Foreign) -> Result<(), NotPossible> {
        match foreign {
            Foreign::OtherType => self.cli(&["SET", "KEY", "somebody else's"], key),
            Foreign::WithoutHeader => self.cli(&["HSET", "KEY", "theirs", "somebody else's"], key),
        };
        Ok(())
    }

    async fn foreign_is_intact(&self, key: &SessionKey, foreign: Foreign) -> bool {
        let data = match foreign {
            Foreign::OtherType => self.cli(&["GET", "KEY"], key) == "somebody else's",
            Foreign::WithoutHeader => self.cli(&["HGETALL", "KEY"], key) == "theirs\nsomebody else's",
        };
        data && self.cli(&["PTTL", "KEY"], key) == "-1"
    }

    async fn life(&self, key: &SessionKey) -> Result<Life, NotPossible> {
        Ok(match self.cli(&["PTTL", "KEY"], key).parse::<i64>() {
            Ok(-2) => Life::Nothing,
            Ok(-1) => Life::Endless,
            Ok(milliseconds) => Life::Ends(Duration::from_millis(milliseconds.unsigned_abs())),
            Err(_) => return Err(NotPossible("the server did not tell the remaining time")),
        })
    }
}

async fn passes<S: Send + Sync + 'static>(servers: Servers<S>) {
    let report = run_all(servers).await;
    assert!(report.failed.is_empty() && report.not_possible.is_empty(), "{report}");
    assert!(!report.passed.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_every_promise() {
    let servers = Cluster::spawn().unwrap();
    let provider = Arc::new(cluster::provider(&servers));
    passes(Servers { servers, cli: Cluster::cli, provider }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_behind_sentinels_keeps_every_promise() {
    let servers = Sentinels::spawn().unwrap();
    let provider = Arc::new(sentinel::provider(&servers));
    passes(Servers { servers, cli: |servers, arguments| servers.cli(0, arguments), provider }).await;
}
