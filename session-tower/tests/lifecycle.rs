//! Requests that end early, late, or not as planned. Without axum, with a body type of its own.

use secret_watch as _;

mod common;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use common::{Call, Counted, Store, manager, stored, until};
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};
use session_core::{ErrorKind, RequestContext, Session, SessionId, SessionManager};
use session_tower::{SessionLayer, SessionSlot};
use tower::{Layer, ServiceExt, service_fn};

/// A body that keeps the request's session, as a stream would.
#[derive(Default)]
struct Body {
    session: Option<Session<Counted>>,
    slot: Option<SessionSlot<Counted>>,
}

fn slot_of(request: &Request<()>) -> SessionSlot<Counted> {
    SessionSlot::from_extensions(request.extensions()).unwrap()
}

async fn open(request: Request<()>) -> Session<Counted> {
    slot_of(&request).open().await.unwrap()
}

/// A process of its own, and the serializer by which its sessions are counted.
fn process(store: &Arc<Store>) -> (SessionLayer<Counted>, Counted) {
    let codec = Counted::new();
    let manager = SessionManager::builder(Arc::clone(store), codec.clone()).build().unwrap();
    (SessionLayer::new(manager), codec)
}

/// A session with `n` = 0, made by another process.
async fn existing(store: &Arc<Store>) -> SessionId {
    let session = manager(store).open(&RequestContext::default(), None).await.unwrap();
    session.insert("n", &0).unwrap();
    session.commit().await.unwrap();
    session.id().unwrap()
}

fn request(id: Option<SessionId>) -> Request<()> {
    let mut request = Request::new(());
    if let Some(id) = id {
        request.headers_mut().insert(COOKIE, format!("__Host-session={}", id.expose()).parse().unwrap());
    }
    request
}

/// Waits until the change is in the store and nobody holds a session any more.
async fn committed_and_released(store: &Arc<Store>, id: &SessionId, codec: &Counted, at_rest: usize) {
    until("the change is committed", async || stored::<i64>(store, id, "n").await == Some(1)).await;
    until("nothing is held", async || codec.count() == at_rest).await;
}

#[tokio::test]
async fn the_head_waits_for_the_acknowledgement() {
    let store = Store::new();
    let (layer, _) = process(&store);
    let service = layer.layer(service_fn(async |request| {
        open(request).await.insert("n", &1).unwrap();
        Ok::<_, Infallible>(Response::new(Body::default()))
    }));
    store.acknowledge(false);
    let answer = tokio::spawn(service.oneshot(request(None)));
    until("the commit has arrived", async || store.has_seen(Call::Commit)).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!answer.is_finished(), "answered before the store did");
    store.acknowledge(true);
    let response = answer.await.unwrap().unwrap();
    assert!(response.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn a_panic_loses_nothing() {
    let store = Store::new();
    let id = existing(&store).await;
    let (layer, codec) = process(&store);
    let at_rest = codec.count();
    let service = layer.layer(service_fn(async |request| {
        open(request).await.insert("n", &1).unwrap();
        tokio::task::yield_now().await;
        if true {
            resume_unwind(Box::new("in the handler"));
        }
        Ok::<_, Infallible>(Response::new(Body::default()))
    }));
    {
        let mut answer = Box::pin(service.oneshot(request(Some(id))));
        let caught = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(_)) => Poll::Ready(false),
            Err(_) => Poll::Ready(true),
        })
        .await;
        assert!(caught, "the handler should have panicked");
    }
    committed_and_released(&store, &id, &codec, at_rest).await;
}

/// The client hangs up: the future is dropped after `k` polls, for every `k` until it completes.
#[tokio::test]
async fn a_hang_up_loses_nothing() {
    let mut dropped_after_change = 0;
    for k in 0.. {
        let store = Store::new();
        let id = existing(&store).await;
        store.yield_times(2);
        let (layer, codec) = process(&store);
        let at_rest = codec.count();
        let changed = Arc::new(AtomicBool::new(false));
        let service = layer.layer(service_fn({
            let changed = Arc::clone(&changed);
            move |request| {
                let changed = Arc::clone(&changed);
                async move {
                    tokio::task::yield_now().await;
                    let session = open(request).await;
                    tokio::task::yield_now().await;
                    session.insert("n", &1).unwrap();
                    changed.store(true, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    drop(session);
                    tokio::task::yield_now().await;
                    Ok::<_, Infallible>(Response::new(Body::default()))
                }
            }
        }));
        let completed = {
            let mut answer = pin!(service.oneshot(request(Some(id))));
            let mut context = Context::from_waker(Waker::noop());
            let mut completed = false;
            for _ in 0..k {
                completed = answer.as_mut().poll(&mut context).is_ready();
                if completed {
                    break;
                }
                // Lets what the store and the session do in the background go on.
                tokio::task::yield_now().await;
            }
            completed
        };
        if changed.load(Ordering::SeqCst) {
            committed_and_released(&store, &id, &codec, at_rest).await;
            dropped_after_change += usize::from(!completed);
        } else {
            until("nothing is held", async || codec.count() == at_rest).await;
            assert_eq!(stored::<i64>(&store, &id, "n").await, Some(0));
        }
        if completed {
            break;
        }
        assert!(k < 1000, "it should have completed");
    }
    assert!(dropped_after_change >= 3, "dropped {dropped_after_change} times after the change");
}

#[tokio::test]
async fn a_failing_service_loses_nothing() {
    let store = Store::new();
    let id = existing(&store).await;
    let (layer, codec) = process(&store);
    let at_rest = codec.count();
    let service = layer.layer(service_fn(async |request| {
        open(request).await.insert("n", &1).unwrap();
        Err::<Response<Body>, _>("no response")
    }));
    assert_eq!(service.oneshot(request(Some(id))).await.err(), Some("no response"));
    committed_and_released(&store, &id, &codec, at_rest).await;
}

#[tokio::test]
async fn after_the_head_no_id_can_reach_the_client() {
    let store = Store::new();
    let (layer, codec) = process(&store);
    let at_rest = codec.count();
    let service = layer.layer(service_fn(async |request| {
        let session = open(request).await;
        Ok::<_, Infallible>(Response::new(Body { session: Some(session), slot: None }))
    }));

    let response = service.clone().oneshot(request(None)).await.unwrap();
    assert!(!response.headers().contains_key(SET_COOKIE));
    let session = response.into_body().session.unwrap();
    let created = match session.insert("n", &1) {
        Ok(()) => session.commit().await,
        refused => refused,
    };
    assert_eq!(created.unwrap_err().kind(), ErrorKind::TooLate);
    drop(session);

    let id = existing(&store).await;
    let response = service.oneshot(request(Some(id))).await.unwrap();
    let session = response.into_body().session.unwrap();
    let rotated = match session.rotate_id() {
        Ok(()) => session.commit().await,
        refused => refused,
    };
    assert_eq!(rotated.unwrap_err().kind(), ErrorKind::TooLate);
    // But a session that is there can be changed by a stream, and is committed when the stream ends.
    session.insert("n", &1).unwrap();
    drop(session);
    committed_and_released(&store, &id, &codec, at_rest).await;
}

#[tokio::test]
async fn a_slot_first_used_after_the_head_is_too_late_as_well() {
    let store = Store::new();
    let (layer, codec) = process(&store);
    let at_rest = codec.count();
    let service = layer.layer(service_fn(async |request: Request<()>| {
        let slot = slot_of(&request);
        Ok::<_, Infallible>(Response::new(Body { session: None, slot: Some(slot) }))
    }));

    let slot = service.clone().oneshot(request(None)).await.unwrap().into_body().slot.unwrap();
    let session = slot.open().await.unwrap();
    let created = match session.insert("n", &1) {
        Ok(()) => session.commit().await,
        refused => refused,
    };
    assert_eq!(created.unwrap_err().kind(), ErrorKind::TooLate);
    drop((slot, session));

    let id = existing(&store).await;
    let slot = service.oneshot(request(Some(id))).await.unwrap().into_body().slot.unwrap();
    slot.open().await.unwrap().insert("n", &1).unwrap();
    drop(slot);
    committed_and_released(&store, &id, &codec, at_rest).await;
}

#[tokio::test]
async fn a_cancelled_open_is_repeated_by_the_next() {
    let store = Store::new();
    let id = existing(&store).await;
    store.take_calls();
    store.yield_times(3);
    let (layer, _) = process(&store);
    let service = layer.layer(service_fn(async |request: Request<()>| {
        let slot = slot_of(&request);
        {
            let mut first = pin!(slot.open());
            assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let session = slot.open().await.unwrap();
        assert_eq!(session.get("n").unwrap(), Some(0));
        assert_eq!(slot.open().await.unwrap().get("n").unwrap(), Some(0));
        Ok::<_, Infallible>(Response::new(Body::default()))
    }));
    service.oneshot(request(Some(id))).await.unwrap();
}

#[tokio::test]
async fn a_failed_open_is_not_repeated_within_the_request() {
    let store = Store::new();
    let id = existing(&store).await;
    store.take_calls();
    store.fail(None, ErrorKind::Unavailable);
    let (layer, _) = process(&store);
    let service = layer.layer(service_fn(async |request: Request<()>| {
        let slot = slot_of(&request);
        for _ in 0..3 {
            assert_eq!(slot.open().await.err().unwrap().kind(), ErrorKind::Unavailable);
        }
        Ok::<_, Infallible>(Response::new(Body::default()))
    }));
    let response = service.oneshot(request(Some(id))).await.unwrap();
    assert_eq!(response.status(), 200, "a handler may go on without its session");
    assert_eq!(store.take_calls(), [Call::Load]);
}

#[test]
fn what_servers_ask_of_it() {
    fn assert_send<T: Send>(_: &T) {}
    fn assert_service<T: Clone + Send + Sync + 'static>(_: &T) {}
    let store = Store::new();
    let (layer, _) = process(&store);
    assert_service(&layer);
    let service = layer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Body::default()))));
    assert_service(&service);
    assert_send(&service.oneshot(request(None)));
}
