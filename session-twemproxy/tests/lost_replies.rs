//! Several processes whose way to the proxy loses replies: what was done there and not heard of here is repeated, and
//! done once.

use secret_watch as _;

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::*;
use session_core::{ClientId, ErrorKind, RequestContext, SessionId, SessionManager};
use session_serde::Codec;
use session_twemproxy::TwemproxyConfig;
use test_support::{Direction, FaultProxy, Random, soak_factor, test_seed};
use tokio::task::JoinSet;

const PROCESSES: usize = 4;
const SESSIONS: usize = 9;
const REQUESTS: usize = 600;
const AT_ONCE: usize = 32;

/// Of a hundred chunks of replies, so many close their connection instead of arriving.
const LOST: usize = 10;

#[derive(Default)]
struct Tally {
    acknowledged: AtomicU64,
    unknown: AtomicU64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_and_lists_are_exact() {
    let mut random = Random::new(test_seed());
    let proxied = Proxied::start();
    let faults = FaultProxy::start(proxied.recorder.address()).unwrap();
    let managers: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let provider = provider(&TwemproxyConfig::new().url(faults.url()));
            let manager = SessionManager::builder(provider, Codec::default()).retry_timeout(Duration::from_secs(5));
            manager.build().unwrap()
        })
        .collect();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let session = managers[0].open(&RequestContext::default(), None).await.unwrap();
        session.increment("visits", 0).unwrap();
        let ClientId::Issue(id) = session.close().await.client else { panic!("no id") };
        sessions.push((id, Arc::<Tally>::default()));
    }

    faults.cut_at_random(Direction::ToClient, LOST, random.number());
    let start = Instant::now();
    let mut requests = JoinSet::new();
    for number in 0..REQUESTS * soak_factor() {
        let (id, tally) = &sessions[random.below(SESSIONS)];
        let manager = managers[random.below(PROCESSES)].clone();
        if requests.len() >= AT_ONCE {
            requests.join_next().await.unwrap().unwrap();
        }
        requests.spawn(request(manager, *id, tally.clone(), number));
    }
    while let Some(ended) = requests.join_next().await {
        ended.unwrap();
    }
    let (took, cuts) = (start.elapsed(), faults.stop_cutting(Direction::ToClient));

    let mut unknown_in_all = 0;
    for (id, tally) in &sessions {
        let (acknowledged, unknown) = (tally.acknowledged.load(Ordering::SeqCst), tally.unknown.load(Ordering::SeqCst));
        unknown_in_all += unknown;
        let session = managers[0].open(&RequestContext::default(), Some(id)).await.unwrap();
        let visits: u64 = session.get("visits").unwrap().unwrap();
        let mut list: Vec<usize> = session.get("list").unwrap().unwrap_or_default();
        assert!((acknowledged..=acknowledged + unknown).contains(&visits), "{visits}: {acknowledged} and {unknown}");
        assert_eq!(list.len() as u64, visits, "one commit, all or nothing");
        list.sort_unstable();
        list.dedup();
        assert_eq!(list.len() as u64, visits, "an entry is there twice");
        assert!(session.close().await.result.is_ok());
    }
    println!("{} requests in {took:.1?}, {cuts} connections cut, {unknown_in_all} given up", REQUESTS * soak_factor());
    assert!(cuts as usize > REQUESTS * soak_factor() / 20, "only {cuts} connections were cut");
    assert!(unknown_in_all as usize * 100 <= REQUESTS * soak_factor(), "{unknown_in_all} were given up");
    proxied.assert_sound();
}

async fn request(manager: SessionManager<Codec>, id: SessionId, tally: Arc<Tally>, number: usize) {
    let session = match manager.open(&RequestContext::default(), Some(&id)).await {
        Ok(session) => session,
        // Nothing was to be written yet.
        Err(error) => return assert!(error.kind().is_retryable(), "{error}"),
    };
    session.increment("visits", 1).unwrap();
    session.update("list", move |list: &mut Vec<usize>| list.push(number)).unwrap();
    match session.close().await.result {
        Ok(()) => tally.acknowledged.fetch_add(1, Ordering::SeqCst),
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Unavailable), "{error}");
            tally.unknown.fetch_add(1, Ordering::SeqCst)
        }
    };
}
