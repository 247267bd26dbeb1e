//! A client that hangs up: the response's future is dropped after any number of polls.

use secret_watch as _;

mod common;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use common::{NO_COOKIES, Store, send, stored, until};
use http::Request;
use http::header::COOKIE;
use session_core::{Effect, SessionManager};
use session_serde::Codec;
use session_tower::{Session, SessionLayer, SessionRejection};
use tower::ServiceExt;

/// Counts, and gives way before and after, as a handler with other things to do would.
async fn count(session: Session) -> Result<String, SessionRejection> {
    tokio::task::yield_now().await;
    let visits = session.increment("visits", 1)?;
    session.update("list", move |list: &mut Vec<i64>| list.push(visits))?;
    tokio::task::yield_now().await;
    Ok(visits.to_string())
}

#[tokio::test]
async fn hung_up_after_any_number_of_polls() {
    for polls in 0.. {
        let store = Store::new();
        let manager =
            SessionManager::builder(store.clone(), Codec::default()).keep_for(Duration::ZERO).build().unwrap();
        let app = Router::new().route("/count", get(count)).layer(SessionLayer::new(manager.clone()));
        let cookie = send(&app, "/count", NO_COOKIES).await.cookie();
        store.yield_times(2);
        let request = Request::get("/count").header(COOKIE, &cookie).body(Body::empty()).unwrap();
        let mut response = Box::pin(app.clone().oneshot(request));
        let mut done = false;
        for _ in 0..polls {
            done = poll_fn(|context| Poll::Ready(response.as_mut().poll(context).is_ready())).await;
            if done {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(response);
        until("no reference is left", || async { manager.live_sessions() == 0 }).await;
        manager.shutdown().await;
        store.yield_times(0);
        let id = common::id_of(&cookie);
        let visits: i64 = stored(&store, &id, "visits").await.unwrap();
        let list: Vec<i64> = stored(&store, &id, "list").await.unwrap();
        assert_eq!(list, (1..=visits).collect::<Vec<_>>(), "after {polls} polls: both or none");
        assert!(visits <= 2, "after {polls} polls: {visits}");
        // The handler changes the session in its first poll after the load, which takes 4 to 8.
        assert!(visits == 2 || polls < 9, "after {polls} polls the change is lost");
        if done {
            assert!(polls > 9, "it was never in the middle of the commit");
            return;
        }
    }
}

/// The runtime ends in the middle of a request, and everything that it left is dropped afterwards.
#[test]
fn dropped_after_its_runtime_ended() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut lost, mut done) = (0, false);
    for polls in 0.. {
        let store = Store::new();
        let manager =
            SessionManager::builder(store.clone(), Codec::default()).keep_for(Duration::ZERO).build().unwrap();
        let changed = Arc::new(AtomicBool::new(false));
        let handler = {
            let changed = changed.clone();
            move |session: Session| async move {
                let visits = session.increment("visits", 1)?;
                changed.store(true, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok::<_, SessionRejection>(visits.to_string())
            }
        };
        let app = Router::new().route("/count", get(handler)).layer(SessionLayer::new(manager.clone()));
        let running = runtime();
        let (cookie, response) = running.block_on(async {
            let cookie = send(&app, "/count", NO_COOKIES).await.cookie();
            changed.store(false, Ordering::SeqCst);
            store.yield_times(2);
            let request = Request::get("/count").header(COOKIE, &cookie).body(Body::empty()).unwrap();
            let mut response = Box::pin(app.clone().oneshot(request));
            for _ in 0..polls {
                done = poll_fn(|context| Poll::Ready(response.as_mut().poll(context).is_ready())).await;
                if done {
                    break;
                }
                tokio::task::yield_now().await;
            }
            (cookie, response)
        });
        drop(running);
        drop((response, app));
        store.yield_times(0);
        let changed = changed.load(Ordering::SeqCst);
        let visits: Option<i64> = runtime().block_on(stored(&store, &common::id_of(&cookie), "visits"));
        let error = manager.last_error();
        assert_eq!(manager.live_sessions(), 0, "after {polls} polls");
        assert!(changed || error.is_none(), "after {polls} polls nothing was lost: {error:?}");
        if changed && visits == Some(1) {
            let error = error.expect("what was lost is reported");
            assert!(error.to_string().ends_with("attributes: visits") || error.effect() == Effect::PerhapsApplied);
            lost += 1;
        }
        if done {
            break;
        }
    }
    assert!(lost > 1, "it was never in the middle of the commit");
}
