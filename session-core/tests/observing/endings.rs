//! The end: of a manager, of its runtime, of a thread.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use session_core::{ClientId, Effect, ErrorKind, Operation, RequestContext, Session};
use session_serde::Json;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::common::{Call, Path, Side, builder, create, manager, open};
use crate::told::Told;

const SLOW: Duration = Duration::from_secs(3);

/// Answers the next such call only after a while.
fn slow(path: &Arc<Path>, call: Call) {
    let stop = path.stop(call, Side::Before);
    tokio::spawn(async move {
        stop.reached().await;
        tokio::time::sleep(SLOW).await;
        stop.go_on();
    });
}

async fn theme(path: &Arc<Path>, session: &Session<Json>) -> Option<String> {
    let id = session.id().unwrap();
    open(&manager(&Path::to(&path.memory)), &id).await.get("theme").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_what_dropped_requests_left() {
    let path = Path::new();
    let told = Told::new();
    let here = builder(&path).observer(told.clone()).build().unwrap();
    let (session, _) = create(&here).await;
    let other = open(&here, &session.id().unwrap()).await;
    slow(&path, Call::Commit);
    session.insert("theme", "dark").unwrap();
    drop(session);
    let start = Instant::now();
    here.shutdown().await;
    assert_eq!(start.elapsed(), SLOW);
    assert_eq!(theme(&path, &other).await.as_deref(), Some("dark"));
    assert_eq!(told.take(), ["created", "written theme/7 visits/1", "written theme/6"]);
    // Requests that come all the same work, and so does another shutdown.
    other.insert("theme", "darker").unwrap();
    let (last, _) = create(&here).await;
    slow(&path, Call::Commit);
    last.insert("theme", "last").unwrap();
    drop((other, last));
    let start = Instant::now();
    here.shutdown().await;
    assert_eq!(start.elapsed(), SLOW);
    assert_eq!(told.take().len(), 4);
    assert_eq!(here.last_error().map(|error| error.to_string()), None);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_renewals() {
    let path = Path::new();
    let here = builder(&path).build().unwrap();
    let (session, id) = create(&here).await;
    drop(session);
    tokio::time::advance(Duration::from_secs(10 * 60)).await;
    let session = open(&here, &id).await;
    slow(&path, Call::Renew);
    assert_eq!(session.close().await.client, ClientId::Refresh(id));
    assert_eq!(path.renewals(), 0);
    here.shutdown().await;
    assert_eq!(path.renewals(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_repeats_the_destructions_that_failed() {
    for heals in [true, false] {
        let path = Path::new();
        let here = builder(&path).retry_timeout(Duration::from_secs(2)).build().unwrap();
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(create(&here).await.0);
        }
        path.fail(Call::Destroy, Side::Before, ErrorKind::Unavailable);
        for session in &sessions[..2] {
            session.destroy().unwrap();
            session.close().await.result.unwrap_err();
        }
        drop(sessions);
        assert_eq!((path.memory.len(), here.live_sessions()), (3, 2));
        if heals {
            path.heal();
        }
        let start = Instant::now();
        here.shutdown().await;
        if heals {
            assert_eq!((path.memory.len(), here.live_sessions()), (1, 0));
            assert_eq!(start.elapsed(), Duration::ZERO);
        } else {
            assert_eq!(path.memory.len(), 3);
            assert_eq!(start.elapsed(), Duration::from_secs(2), "as long as they are retried, all at the same time");
            assert_eq!(here.live_sessions(), 2, "they are still marked");
            assert_eq!(here.last_error().unwrap().operation(), Operation::Destroy);
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn what_is_dropped_outside_a_runtime_is_reported() {
    let path = Path::new();
    let told = Told::new();
    let here = builder(&path).observer(told.clone()).build().unwrap();
    let (session, other) = runtime().block_on(async {
        let (session, id) = create(&here).await;
        (session, open(&here, &id).await)
    });
    session.insert("theme", "dark").unwrap();
    session.increment("visits", 1).unwrap();
    drop(session);
    let error = here.last_error().unwrap();
    // Whoever still holds it may commit it.
    assert_eq!((error.kind(), error.effect()), (ErrorKind::OutcomeUnknown, Effect::PerhapsApplied));
    other.insert("new", "x").unwrap();
    drop(other);
    let error = here.last_error().unwrap();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied));
    assert_eq!((error.operation(), error.connection()), (Operation::Commit, Some("default")));
    assert!(error.to_string().ends_with("; attributes: theme, visits, new"), "{error}");
    assert!(!error.to_string().contains("dark"));
    assert_eq!(here.live_sessions(), 0);

    let session = runtime().block_on(create(&here)).0;
    session.destroy().unwrap();
    drop(session);
    let error = here.last_error().unwrap();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Operation::Destroy));
    // Nothing but what is reported: no changes, no report.
    let session = runtime().block_on(create(&here)).0;
    drop(session);
    runtime().block_on(here.shutdown());
    let errors = told.take().into_iter().filter(|text| text.starts_with("error")).count();
    // The destruction is repeated by the shutdown.
    assert_eq!(errors, 3);
    assert_eq!(path.memory.len(), 2);
}

/// The runtime ends while a dropped request's changes are on their way, or before they are.
#[test]
fn what_the_end_of_a_runtime_cuts_off_is_reported() {
    for sent in [true, false] {
        let path = Path::new();
        let here = builder(&path).build().unwrap();
        let running = runtime();
        running.block_on(async {
            let (session, _) = create(&here).await;
            let stop = path.stop(Call::Commit, Side::Before);
            session.insert("theme", "dark").unwrap();
            drop(session);
            if sent {
                stop.reached().await;
            }
        });
        assert_eq!(here.last_error().map(|error| error.kind()), None);
        drop(running);
        let error = here.last_error().expect("it is reported");
        let expected = match sent {
            true => (ErrorKind::OutcomeUnknown, Effect::PerhapsApplied),
            false => (ErrorKind::Unavailable, Effect::NotApplied),
        };
        assert_eq!((error.kind(), error.effect()), expected);
        assert!(error.to_string().contains("theme"), "{error}");
        assert_eq!(here.live_sessions(), 0);
        drop(here);
    }
}

/// A task that holds a session is dropped by its runtime while it waits for something.
#[test]
fn a_request_that_its_runtime_cuts_off_is_reported() {
    let path = Path::new();
    let here = builder(&path).build().unwrap();
    let running = runtime();
    running.block_on(async {
        let session = create(&here).await.0;
        tokio::spawn(async move {
            session.insert("theme", "dark").unwrap();
            std::future::pending::<()>().await;
            drop(session);
        });
        tokio::task::yield_now().await;
    });
    drop(running);
    assert_eq!(here.last_error().expect("it is reported").kind(), ErrorKind::Unavailable);
    assert_eq!(here.live_sessions(), 0);
}

/// A renewal that the end of a runtime cut off is made by another one.
#[test]
fn a_renewal_that_was_cut_off_is_made_later() {
    let path = Path::new();
    let here = builder(&path).keep_for(Duration::from_secs(60)).expiry_slack(0).build().unwrap();
    let id = runtime().block_on(async { create(&here).await.1 });
    for renewals in [0, 1] {
        let running = runtime();
        running.block_on(async {
            let session = open(&here, &id).await;
            // Due as soon as any time has passed.
            std::thread::sleep(Duration::from_millis(2));
            let stop = path.stop(Call::Renew, Side::Before);
            assert_eq!(session.close().await.client, ClientId::Refresh(id));
            stop.reached().await;
            if renewals == 1 {
                stop.go_on();
                drop(session);
                here.shutdown().await;
            }
        });
        drop(running);
        assert_eq!(path.renewals(), renewals);
    }
}

#[test]
fn a_manager_is_dropped_after_its_runtime() {
    let path = Path::new();
    let told = Told::new();
    let here = builder(&path).observer(told.clone()).keep_for(Duration::from_secs(60)).build().unwrap();
    let running = runtime();
    let (session, id) = running.block_on(create(&here));
    drop(running);
    drop(here.clone());
    drop(session);
    runtime().block_on(open(&here, &id));
    drop(here);
    // Nor does a shutdown need one.
    let here = builder(&path).observer(told.clone()).build().unwrap();
    runtime().block_on(create(&here));
    let mut shutdown = Box::pin(here.shutdown());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(shutdown.as_mut().poll(&mut context).is_ready());
}

thread_local! {
    static KEPT: RefCell<Option<Session<Json>>> = const { RefCell::new(None) };
}

/// What a thread keeps is dropped when it ends, after much of what the thread had is gone already.
#[test]
fn dropped_at_the_end_of_a_thread() {
    let path = Path::new();
    let here = manager(&path);
    let manager = here.clone();
    let thread = std::thread::spawn(move || {
        // Made first, dropped last.
        KEPT.with_borrow(|kept| assert!(kept.is_none()));
        let session = runtime().block_on(create(&manager)).0;
        session.insert("theme", "dark").unwrap();
        KEPT.set(Some(session));
    });
    thread.join().unwrap();
    assert_eq!(here.last_error().expect("it is reported").kind(), ErrorKind::Unavailable);
    assert_eq!(here.live_sessions(), 0);
}

/// What was changed in a session that could not be read is reported, however the request ends.
#[tokio::test]
async fn what_a_degraded_session_lost_is_reported_once() {
    for closes in [true, false] {
        let path = Path::new();
        let id = create(&manager(&path)).await.1;
        let told = Told::new();
        let here = builder(&path).throw_on_error(false).observer(told.clone()).build().unwrap();
        path.fail(Call::Load, Side::Before, ErrorKind::OutcomeUnknown);
        let untouched = open(&here, &id).await;
        let session = open(&here, &id).await;
        path.heal();
        path.take_calls();
        session.insert("theme", "dark").unwrap();
        assert_eq!(session.get::<String>("theme").unwrap().as_deref(), Some("dark"), "it stays in memory");
        session.commit().await.unwrap();
        if closes {
            let closed = session.close().await;
            closed.result.unwrap();
            assert_eq!((closed.client, closed.destroyed), (ClientId::Keep, None));
            assert_eq!(session.get::<String>("theme").unwrap().as_deref(), Some("dark"));
            session.insert("theme", "darker").unwrap();
            assert_eq!(session.destroy().unwrap_err().operation(), Operation::Destroy);
        }
        assert!(session.is_degraded());
        drop((session, untouched));
        here.shutdown().await;
        assert_eq!(path.take_calls(), []);
        let errors = told.take();
        let lost: Vec<_> = errors.iter().filter(|text| text.contains("lost")).collect();
        // Once for the commit, and once for what came later.
        assert_eq!(lost.len(), if closes { 2 } else { 1 }, "{errors:?}");
        assert!(lost.iter().all(|text| !text.contains("may still be applied")), "{lost:?}");
        let loads = errors.iter().filter(|text| text.contains("told to fail")).count();
        assert_eq!(loads, 2, "{errors:?}");
    }
}

#[tokio::test]
async fn a_degraded_request_without_an_id_creates_nothing() {
    let path = Path::new();
    let here = builder(&path)
        .throw_on_error(false)
        .connection_callback(|_, _| Err(session_core::Error::new(ErrorKind::KeyCallback, Operation::Route, "")))
        .build()
        .unwrap();
    let session = here.open(&RequestContext::default(), None).await.unwrap();
    assert!(session.is_degraded());
    assert_eq!(session.last_error().unwrap().kind(), ErrorKind::KeyCallback);
    session.insert("theme", "dark").unwrap();
    session.rotate_id().unwrap();
    let closed = session.close().await;
    closed.result.unwrap();
    assert_eq!(closed.client, ClientId::Keep);
    assert_eq!((path.memory.len(), session.id()), (0, None));
    assert!(session.last_error().unwrap().to_string().contains("lost"));
    assert_eq!(here.last_error().unwrap().to_string(), session.last_error().unwrap().to_string());
}
