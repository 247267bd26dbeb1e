//! Dropping a request at any await point: its change is committed all the same, once, and nothing is left behind.

use secret_watch as _;

mod common;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use common::{Call, Manager, Path, Side, create, manager, open, until};
use session_core::{ErrorKind, Loaded, MemoryProvider, RequestContext, SessionId, SessionProvider, WriterId};

type Future<T> = Pin<Box<dyn std::future::Future<Output = T> + Send>>;

/// What a request does with its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Insert,
    Update,
    Increment,
    Rotate,
    Destroy,
    Touch,
}

const KINDS: [Kind; 6] = [Kind::Insert, Kind::Update, Kind::Increment, Kind::Rotate, Kind::Destroy, Kind::Touch];

/// How far a request came.
#[derive(Debug, Default)]
struct Progress {
    changed: bool,
    closed: Option<Result<(), ErrorKind>>,
    opened_ended: bool,
}

type Shared = Arc<std::sync::Mutex<Progress>>;

/// Open, change, close.
fn request(manager: &Manager, id: SessionId, kind: Kind, progress: &Shared) -> Future<()> {
    let (manager, progress) = (manager.clone(), progress.clone());
    Box::pin(async move {
        let session = open(&manager, &id).await;
        let changed = match kind {
            Kind::Insert => session.insert("theme", "dark"),
            Kind::Update => session.update("list", |list: &mut Vec<u8>| list.push(1)),
            Kind::Increment => session.increment("visits", 1).map(drop),
            Kind::Rotate => session.rotate_id(),
            Kind::Destroy => session.destroy(),
            Kind::Touch => session.touch(),
        };
        match changed {
            Ok(()) => progress.lock().unwrap().changed = true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Gone);
                progress.lock().unwrap().opened_ended = true;
                return;
            }
        }
        let result = session.close().await.result;
        progress.lock().unwrap().closed = Some(result.map_err(|error| error.kind()));
    })
}

/// Polls a future so often, letting others run in between; `true` if it was done.
async fn polled<T>(polls: usize, future: &mut Pin<Box<dyn std::future::Future<Output = T> + Send>>) -> bool {
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// A store with one session that this process does not hold.
async fn scene() -> (Arc<Path>, Manager, SessionId) {
    let path = Path::new();
    let (session, id) = create(&manager(&path)).await;
    drop(session);
    path.yield_times(2);
    path.take_calls();
    path.take_commits();
    let here = manager(&path);
    (path, here, id)
}

async fn at_rest(path: &Path, here: &Manager) {
    until("no reference is left", || here.live_sessions() == 0).await;
    here.shutdown().await;
    path.yield_times(0);
}

/// What another process reads: theme, items of the list, visits; nothing if the session is not there.
async fn stored(memory: &Arc<MemoryProvider>, id: &SessionId) -> Option<(String, usize, i64)> {
    let session = open(&manager(&Path::to(memory)), id).await;
    let theme = session.get::<String>("theme").unwrap()?;
    let list = session.get::<Vec<u8>>("list").unwrap().unwrap_or_default();
    Some((theme, list.len(), session.get("visits").unwrap().unwrap()))
}

#[tokio::test]
async fn dropped_after_any_number_of_polls() {
    for kind in KINDS {
        let mut polls = 0;
        loop {
            let (path, here, id) = scene().await;
            let progress = Shared::default();
            let mut future = request(&here, id, kind, &progress);
            let done = polled(polls, &mut future).await;
            drop(future);
            at_rest(&path, &here).await;
            let changed = progress.lock().unwrap().changed;
            let context = format!("{kind:?} after {polls} polls, changed: {changed}");
            let n = usize::from(changed);
            let found = stored(&path.memory, &id).await;
            let expected = |theme: &str, list, visits| Some((theme.to_owned(), list, visits));
            match kind {
                Kind::Insert => assert_eq!(found, expected(["light", "dark"][n], 0, 1), "{context}"),
                Kind::Update => assert_eq!(found, expected("light", n, 1), "{context}"),
                Kind::Increment => assert_eq!(found, expected("light", 0, 1 + n as i64), "{context}"),
                Kind::Rotate | Kind::Destroy if changed => assert_eq!(found, None, "{context}"),
                _ => assert_eq!(found, expected("light", 0, 1), "{context}"),
            }
            let alive = usize::from(!(changed && kind == Kind::Destroy));
            assert_eq!(path.memory.len(), alive, "{context}");
            if kind == Kind::Touch && changed {
                assert!(path.renewals() > 0, "{context}: not renewed");
            }
            if done {
                break;
            }
            polls += 1;
        }
        assert!(polls > 4, "{kind:?} was never in the middle of anything");
    }
}

/// Creating: whoever is dropped before the answer has no id, but the session is there, once.
#[tokio::test]
async fn a_creation_dropped_after_any_number_of_polls() {
    for polls in 0.. {
        let path = Path::new();
        path.yield_times(2);
        let here = manager(&path);
        let mut future: Future<()> = Box::pin({
            let here = here.clone();
            async move {
                let session = here.open(&RequestContext::default(), None).await.unwrap();
                session.insert("theme", "light").unwrap();
                session.close().await.result.unwrap();
            }
        });
        let done = polled(polls, &mut future).await;
        drop(future);
        at_rest(&path, &here).await;
        assert_eq!(path.memory.len(), usize::from(polls > 0), "after {polls} polls");
        if done {
            return;
        }
    }
}

/// Two requests of one session, each dropped at any point: each change is there once if it was made, and a request
/// that is not dropped gets its own answer.
#[tokio::test]
async fn two_dropped_at_all_pairs_of_points() {
    const PAIRS: [(Kind, Kind); 7] = [
        (Kind::Increment, Kind::Increment),
        (Kind::Update, Kind::Update),
        (Kind::Insert, Kind::Increment),
        (Kind::Rotate, Kind::Increment),
        (Kind::Rotate, Kind::Rotate),
        (Kind::Destroy, Kind::Increment),
        (Kind::Rotate, Kind::Destroy),
    ];
    for (one, two) in PAIRS {
        let mut first = 0;
        loop {
            let mut first_done = false;
            let mut second = 0;
            loop {
                let (path, here, id) = scene().await;
                let progress = [Shared::default(), Shared::default()];
                let mut futures =
                    [request(&here, id, one, &progress[0]), request(&here, id, two, &progress[1])].map(Some);
                let mut second_done = false;
                for poll in 0..first.max(second) {
                    for (index, limit) in [first, second].into_iter().enumerate() {
                        if poll < limit
                            && let Some(future) = &mut futures[index]
                            && polled(1, future).await
                        {
                            futures[index] = None;
                            if index == 0 { first_done = true } else { second_done = true }
                        }
                        if poll + 1 == limit {
                            futures[index] = None;
                        }
                    }
                }
                drop(futures);
                at_rest(&path, &here).await;
                let context = format!("{one:?} after {first} polls, {two:?} after {second}");
                check_pair(&path, &id, [one, two], &progress, &context).await;
                if second_done || second > 60 {
                    break;
                }
                second += 3;
            }
            if first_done || first > 60 {
                break;
            }
            first += 2;
        }
    }
}

async fn check_pair(path: &Path, id: &SessionId, kinds: [Kind; 2], progress: &[Shared; 2], context: &str) {
    let changed = |kind| {
        let of = |index: usize| kinds[index] == kind && progress[index].lock().unwrap().changed;
        usize::from(of(0)) + usize::from(of(1))
    };
    for progress in progress {
        let answer = progress.lock().unwrap().closed;
        let gone = kinds.contains(&Kind::Destroy) && answer == Some(Err(ErrorKind::Gone));
        assert!(gone || matches!(answer, None | Some(Ok(()))), "{context}: {answer:?}");
    }
    let found = stored(&path.memory, id).await;
    if changed(Kind::Destroy) > 0 {
        assert_eq!((found, path.memory.len()), (None, 0), "{context}");
    } else if changed(Kind::Rotate) > 0 {
        assert_eq!((found, path.memory.len()), (None, 1), "{context}");
        // Under the new id, which a dropped request has not told anybody.
        let mut visits = Vec::new();
        for key in path.keys() {
            if let Loaded::Session(session) = path.memory.load(&key, WriterId::generate().unwrap()).await.unwrap() {
                visits.extend(session.attributes.into_iter().find(|(name, _)| name.as_str() == "visits"));
            }
        }
        let expected = (1 + changed(Kind::Increment)).to_string();
        assert_eq!(visits.len(), 1, "{context}");
        assert_eq!(visits[0].1, expected, "{context}");
    } else {
        let theme = ["light", "dark"][changed(Kind::Insert)];
        let expected = (theme.to_owned(), changed(Kind::Update), 1 + changed(Kind::Increment) as i64);
        assert_eq!(found, Some(expected), "{context}");
    }
}

/// The one that is waiting gets its own answer, wherever the one that runs the commit is dropped.
#[tokio::test]
async fn the_waiting_one_gets_its_own_answer() {
    for side in [Side::Before, Side::After] {
        let (path, here, id) = scene().await;
        let (one, two) = (open(&here, &id).await, open(&here, &id).await);
        let stop = path.stop(Call::Commit, side);
        one.increment("visits", 1).unwrap();
        let running = tokio::spawn(async move { one.commit().await });
        stop.reached().await;
        two.increment("visits", 10).unwrap();
        two.insert("theme", "dark").unwrap();
        let waiting = tokio::spawn(async move {
            let result = two.commit().await;
            (result, two.get::<i64>("visits").unwrap())
        });
        tokio::task::yield_now().await;
        running.abort();
        let (result, visits) = waiting.await.unwrap();
        result.unwrap();
        assert_eq!(visits, Some(12));
        at_rest(&path, &here).await;
        assert_eq!(stored(&path.memory, &id).await, Some(("dark".to_owned(), 0, 12)), "{side:?}");
    }
}

#[test]
fn dropped_outside_a_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = Path::new();
    let here = manager(&path);
    let (session, id) = runtime().block_on(create(&here));
    session.insert("theme", "dark").unwrap();
    drop(session);
    assert_eq!(here.last_error().expect("it is reported").kind(), ErrorKind::Unavailable);
    assert_eq!(here.live_sessions(), 0);
    // In the middle of a commit, and with the runtime gone.
    path.yield_times(2);
    let running = runtime();
    let mut future = Box::pin(async { open(&here, &id).await.insert("theme", "dark") });
    running.block_on(async {
        poll_fn(|context| {
            let _ = future.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
    });
    drop(running);
    drop(future);
    let session = runtime().block_on(open(&here, &id));
    session.increment("visits", 1).unwrap();
    let commit = Box::pin({
        let session = session.clone();
        async move { session.commit().await }
    });
    drop((commit, session));
    runtime().block_on(async { assert_eq!(stored(&path.memory, &id).await, Some(("light".to_owned(), 0, 1))) });
}

#[tokio::test]
async fn a_closure_that_holds_its_own_session() {
    let (path, here, id) = scene().await;
    let session = open(&here, &id).await;
    let own = session.clone();
    session
        .update("list", move |list: &mut Vec<u8>| {
            let _ = &own;
            list.push(1);
        })
        .unwrap();
    session.close().await.result.unwrap();
    drop(session);
    at_rest(&path, &here).await;
    assert_eq!(stored(&path.memory, &id).await, Some(("light".to_owned(), 1, 1)));
}

#[tokio::test]
async fn a_closure_that_uses_its_own_session() {
    let (path, here, id) = scene().await;
    let session = open(&here, &id).await;
    let own = session.clone();
    let seen = session
        .update("list", move |list: &mut Vec<u8>| {
            list.push(1);
            own.insert("theme", "dark").unwrap_err().kind()
        })
        .unwrap();
    assert_eq!(seen, ErrorKind::Closure);
    session.close().await.result.unwrap();
    drop(session);
    at_rest(&path, &here).await;
    assert_eq!(stored(&path.memory, &id).await, Some(("light".to_owned(), 1, 1)));
}

/// The closure of one request fails when it is run again, inside another's commit: the one is told, the other is not.
#[tokio::test]
async fn a_closure_that_panics_when_it_is_run_again() {
    let (path, here, id) = scene().await;
    let (one, two) = (open(&here, &id).await, open(&here, &id).await);
    let there = open(&manager(&Path::to(&path.memory)), &id).await;
    let mut runs = 0;
    one.update("list", move |list: &mut Vec<u8>| {
        runs += 1;
        assert!(runs < 2, "only once");
        list.push(1);
    })
    .unwrap();
    there.update("list", |list: &mut Vec<u8>| list.push(2)).unwrap();
    there.commit().await.unwrap();
    two.increment("visits", 1).unwrap();
    two.commit().await.unwrap();
    let error = one.commit().await.unwrap_err();
    assert_eq!((error.kind(), error.attribute()), (ErrorKind::Closure, Some("list")));
    one.commit().await.unwrap();
    assert_eq!(one.get::<Vec<u8>>("list").unwrap().unwrap(), [2]);
    drop((one, two));
    at_rest(&path, &here).await;
    assert_eq!(stored(&path.memory, &id).await, Some(("light".to_owned(), 1, 2)));
}
