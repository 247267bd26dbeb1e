//! A thousand concurrent requests of one session in one process.

use secret_watch as _;

use std::sync::Arc;

use session_core::{RequestContext, SessionId, SessionManager};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Json;
use test_support::{RedisServer, soak_factor};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

const REQUESTS: usize = 1000;

fn manager(redis: &RedisServer) -> SessionManager<Json> {
    let provider = RedisProvider::new(&RedisConfig::new().url(redis.url())).unwrap();
    SessionManager::builder(provider, Json).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_load_once_and_commit_together() {
    let redis = RedisServer::spawn().unwrap();
    for _ in 0..soak_factor() {
        let elsewhere = manager(&redis);
        let session = elsewhere.open(&RequestContext::default(), None).await.unwrap();
        session.increment("visits", 1).unwrap();
        session.close().await.result.unwrap();
        let id = session.id().unwrap();

        redis.cli(&["CONFIG", "RESETSTAT"]);
        rush(&manager(&redis), id).await;
        let counts = redis.command_counts();
        let count = |command: &str| counts.get(command).copied().unwrap_or_default();
        println!("{REQUESTS} requests: {counts:?}");
        assert_eq!(count("hgetall"), 1, "one load");
        let commits = count("evalsha");
        assert!((1..=REQUESTS as u64 / 10).contains(&commits), "{commits} commits of {REQUESTS} requests");

        let session = elsewhere.open(&RequestContext::default(), Some(&id)).await.unwrap();
        assert_eq!(session.increment("visits", 0).unwrap(), 1 + REQUESTS as i64);
        let mut list = session.get::<Vec<usize>>("list").unwrap().unwrap();
        list.sort_unstable();
        assert!(list.into_iter().eq(0..REQUESTS), "every entry is there once");
        for number in 0..REQUESTS {
            assert_eq!(session.get(&format!("own{number}")).unwrap(), Some(number), "own{number}");
        }
    }
}

async fn rush(manager: &SessionManager<Json>, id: SessionId) {
    let all_here = Arc::new(Barrier::new(REQUESTS));
    let mut requests = JoinSet::new();
    for number in 0..REQUESTS {
        let (manager, all_here) = (manager.clone(), Arc::clone(&all_here));
        requests.spawn(async move {
            all_here.wait().await;
            let session = manager.open(&RequestContext::default(), Some(&id)).await.unwrap();
            session.increment("visits", 1).unwrap();
            session.update("list", move |list: &mut Vec<usize>| list.push(number)).unwrap();
            session.insert(&format!("own{number}"), &number).unwrap();
            session.close().await.result.unwrap();
        });
    }
    while let Some(ended) = requests.join_next().await {
        ended.unwrap();
    }
}
