//! A client that hangs up: the response's future is dropped after any number of polls.

use secret_watch as _;

mod common;

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use common::{NO_COOKIES, Store, send, stored, until};
use http::Request;
use http::header::COOKIE;
use session_core::SessionManager;
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
