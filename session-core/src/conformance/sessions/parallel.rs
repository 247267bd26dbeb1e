//! Many requests of several processes at once, on as many threads as the runtime has.

use std::collections::HashSet;

use tokio::task::JoinSet;

use super::super::Subject;
use super::super::random::{Random, seed, soaked};
use super::process;
use crate::context::RequestContext;
use crate::id::SessionId;
use crate::manager::SessionManager;
use crate::serializer::SessionSerializer;

const PROCESSES: usize = 3;
const REQUESTS: usize = 4;
const ROUNDS: usize = 10;

/// What one request did.
#[derive(Default)]
struct Done {
    number: u64,
    tokens: Vec<u64>,
    added: i64,
    operations: usize,
}

/// Runs in which 12 tasks of 3 processes change one session at once, 10 times each: counters and lists are exact in
/// the end, and nobody ever sees less than he wrote. The answer is the number of operations.
///
/// Meant for a runtime of several threads.
///
/// # Panics
///
/// If a change is lost or made twice.
pub async fn at_once<S: SessionSerializer>(subject: &dyn Subject, codec: &S, runs: usize) -> usize {
    let first = seed();
    let mut operations = 0;
    for number in 0..soaked(runs) {
        operations += run(subject, codec, first.wrapping_add(number as u64)).await;
    }
    operations
}

async fn run<S: SessionSerializer>(subject: &dyn Subject, codec: &S, seed: u64) -> usize {
    let keep = Random::new(seed).percent(50);
    let build = |_| process(subject.provider(), codec, keep).build().expect("settings that can be");
    let processes: Vec<SessionManager<S>> = (0..PROCESSES).map(build).collect();
    let context = RequestContext::default();
    let session = processes[0].open(&context, None).await.expect("a new session");
    session.insert("list", &Vec::<u64>::new()).expect("a value that fits");
    session.commit().await.expect("a created session");
    let id = session.id().expect("a created session");

    let mut requests = JoinSet::new();
    for number in 0..PROCESSES * REQUESTS {
        let process = processes[number % PROCESSES].clone();
        requests.spawn(request(process, id, seed, number as u64));
    }
    let done = requests.join_all().await;

    let what = format!("at_once, SESSION_TEST_SEED={seed}");
    for process in &processes {
        let session = process.open(&context, Some(&id)).await.expect("the session");
        let mut list: Vec<u64> = session.get("list").expect("a list").expect("a list");
        let mut tokens: Vec<u64> = done.iter().flat_map(|it| it.tokens.iter().copied()).collect();
        list.sort_unstable();
        tokens.sort_unstable();
        assert_eq!(list, tokens, "{what}: each number once");
        let added: i64 = done.iter().map(|it| it.added).sum();
        assert_eq!(session.get("counter").expect("a counter"), Some(added), "{what}: the counter");
        for it in &done {
            let own = session.get(&format!("own {}", it.number)).expect("a number");
            assert_eq!(own, it.tokens.last().copied(), "{what}: what only one request writes");
        }
    }
    done.iter().map(|it| it.operations).sum()
}

async fn request<S: SessionSerializer>(process: SessionManager<S>, id: SessionId, seed: u64, number: u64) -> Done {
    let mut random = Random::new(seed ^ (number << 40));
    let mut done = Done { number, ..Done::default() };
    let what = format!("at_once, SESSION_TEST_SEED={seed}, request {number}");
    for round in 0..ROUNDS {
        let session = process.open(&RequestContext::default(), Some(&id)).await.expect("the session");
        assert_eq!(session.id(), Some(id), "{what}: the session is lost");
        let list: HashSet<u64> =
            session.get::<Vec<u64>>("list").expect("a list").expect("a list").into_iter().collect();
        assert!(done.tokens.iter().all(|token| list.contains(token)), "{what}: what was made is not seen");
        let counter: i64 = session.get("counter").expect("a counter").unwrap_or_default();
        assert!(counter >= done.added, "{what}: what was counted is not seen");
        done.operations += 3;
        for change in 0..1 + random.below(3) {
            let token = number * 1_000_000 + (round * 10 + change) as u64;
            session.update("list", move |list: &mut Vec<u64>| list.push(token)).expect("a list");
            session.insert(&format!("own {number}"), &token).expect("a number");
            done.tokens.push(token);
            let by = random.below(5) as i64;
            session.increment("counter", by).expect("a counter");
            done.added += by;
            done.operations += 3;
            if random.percent(30) {
                session.touch().expect("a session");
            }
            if random.percent(30) {
                tokio::task::yield_now().await;
            }
        }
        done.operations += 1;
        if random.percent(70) {
            session.close().await.result.expect("a commit");
        } else {
            session.commit().await.expect("a commit");
        }
    }
    done
}
