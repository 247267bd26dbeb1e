//! Several servers: a master behind sentinels, and a cluster.

use secret_watch as _;

#[path = "../common/mod.rs"]
mod common;

mod cluster;
mod conformance;
mod sentinel;
mod slot_moves;

use std::time::{Duration, Instant};

use common::*;
use session_core::{Commit, Committed, Error, ErrorKind, SessionProvider};
use session_redis::RedisProvider;

/// Sends a commit again until it is acknowledged, as a session manager with a retry timeout does; what is said meanwhile
/// must be worth a repetition. Fails after twenty seconds.
async fn commit_at_last(provider: &RedisProvider, life: &Life, commit: &Commit) -> Committed {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut commit = commit.clone();
    loop {
        match provider.commit(&life.key, &commit).await {
            Ok(committed) => return committed,
            Err(error) => {
                assert!(error.kind().is_retryable(), "{error}");
                assert!(Instant::now() < deadline, "{error}");
                commit.repeated = true;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn error_of(provider: &RedisProvider) -> Error {
    let life = Life::new();
    provider.load(&life.key, life.writer).await.expect_err("nobody can answer")
}

fn is_done(committed: &Committed) -> bool {
    matches!(committed, Committed::Done { .. } | Committed::Already { .. })
}

/// Not executed, as far as is known.
fn unavailable(error: &Error) -> bool {
    error.kind() == ErrorKind::Unavailable
}
