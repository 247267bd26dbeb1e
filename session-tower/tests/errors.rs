//! What the client sees, and does not see, when something fails.

use secret_watch as _;

mod common;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use common::{Call, NO_COOKIES, Store, manager, send, stored};
use session_core::{ErrorKind, RequestContext, SessionManager};
use session_serde::Codec;
use session_tower::{Session, SessionLayer, SessionRejection};
use tokio::sync::Notify;

async fn read(session: Session) -> Result<String, SessionRejection> {
    Ok(session.get("theme")?.unwrap_or_else(|| "none".to_owned()))
}

async fn write(session: Session) -> Result<&'static str, SessionRejection> {
    session.insert("theme", "light")?;
    Ok("written")
}

async fn write_blue(session: Session) -> Result<impl IntoResponse, SessionRejection> {
    session.insert("theme", "blue")?;
    Ok(([("x-handler", "said so")], "written"))
}

async fn login(session: Session) -> Result<&'static str, SessionRejection> {
    session.increment("logins", 1)?;
    session.rotate_id()?;
    Ok("welcome")
}

async fn logout(session: Session) -> Result<&'static str, SessionRejection> {
    session.destroy()?;
    Ok("bye")
}

/// Reads the session, then waits for the other request of the test, then writes.
async fn write_late(State(turn): State<Arc<Turn>>, session: Session) -> Result<&'static str, SessionRejection> {
    turn.opened.notify_one();
    turn.go_on.notified().await;
    session.insert("theme", "late")?;
    Ok("written")
}

#[derive(Default)]
struct Turn {
    opened: Notify,
    go_on: Notify,
}

fn app_with(layer: SessionLayer, turn: Arc<Turn>) -> Router {
    Router::new()
        .route("/plain", get(async || "plain"))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/write-blue", get(write_blue))
        .route("/write-late", get(write_late))
        .route("/login", get(login))
        .route("/logout", get(logout))
        .layer(layer)
        .with_state(turn)
}

fn app(store: &Arc<Store>) -> Router {
    app_with(SessionLayer::new(manager(store)), Arc::default())
}

async fn existing(store: &Arc<Store>) -> String {
    send(&app(store), "/write", NO_COOKIES).await.cookie()
}

const STATUSES: [(ErrorKind, u16); 5] = [
    (ErrorKind::Unavailable, 503),
    (ErrorKind::OutcomeUnknown, 503),
    (ErrorKind::Rejected, 503),
    (ErrorKind::Auth, 500),
    (ErrorKind::ForeignKey, 500),
];

#[tokio::test]
async fn a_failed_load_logs_nobody_out() {
    for (kind, status) in STATUSES {
        let store = Store::new();
        let cookie = existing(&store).await;
        let app = app(&store);
        store.fail(None, kind);
        for path in ["/read", "/write", "/logout"] {
            let reply = send(&app, path, &[&cookie]).await;
            reply.assert(status, "");
            reply.assert_no_cookie();
        }
        send(&app, "/plain", &[&cookie]).await.assert(200, "plain");
        store.heal();
        let reply = send(&app, "/read", &[&cookie]).await;
        reply.assert(200, "light");
        reply.assert_no_cookie();
    }
}

#[tokio::test]
async fn a_failed_commit_replaces_the_response() {
    for (kind, status) in STATUSES {
        for has_session in [false, true] {
            let store = Store::new();
            let cookies = if has_session { vec![existing(&store).await] } else { vec![] };
            let app = app(&store);
            store.fail(Some(Call::Commit), kind);
            let reply = send(&app, "/write-blue", &cookies).await;
            reply.assert(status, "");
            reply.assert_no_cookie();
            assert!(!reply.headers.contains_key("x-handler"), "the handler's answer is not sent: {reply:?}");
        }
    }
}

/// One of its changes could not be made, but the old id is dead.
#[tokio::test]
async fn a_changed_id_is_told_although_something_else_failed() {
    let store = Store::new();
    let cookie = existing(&store).await;
    let elsewhere = manager(&store).open(&RequestContext::default(), Some(&common::id_of(&cookie))).await.unwrap();
    elsewhere.insert("logins", "many").unwrap();
    store.acknowledge(false);
    store.take_calls();
    let app = app(&store);
    let login = {
        let cookie = cookie.clone();
        tokio::spawn(async move { send(&app, "/login", &[cookie]).await })
    };
    common::until("the copy is written", async || store.has_seen(Call::Commit)).await;
    let other = tokio::spawn(async move { elsewhere.commit().await });
    common::until("the other process has written", async || {
        stored::<String>(&store, &common::id_of(&cookie), "logins").await.is_some()
    })
    .await;
    store.acknowledge(true);
    other.await.unwrap().unwrap();
    let reply = login.await.unwrap();
    reply.assert(500, "");
    assert_eq!(stored::<String>(&store, &reply.id(), "logins").await.as_deref(), Some("many"));
    assert_eq!(stored::<String>(&store, &common::id_of(&cookie), "logins").await, None);
}

#[tokio::test]
async fn a_failed_logout_keeps_the_cookie() {
    let store = Store::new();
    let cookie = existing(&store).await;
    let app = app(&store);
    store.fail(Some(Call::Destroy), ErrorKind::Unavailable);
    let reply = send(&app, "/logout", &[&cookie]).await;
    reply.assert(503, "");
    reply.assert_no_cookie();
}

#[tokio::test]
async fn a_session_that_has_gone_is_a_conflict() {
    let store = Store::new();
    let cookie = existing(&store).await;
    let turn = Arc::new(Turn::default());
    let slow = app_with(SessionLayer::new(manager(&store)), Arc::clone(&turn));
    let writer = {
        let cookie = cookie.clone();
        tokio::spawn(async move { send(&slow, "/write-late", &[cookie]).await })
    };
    turn.opened.notified().await;
    // Another process.
    send(&app(&store), "/logout", &[&cookie]).await.assert(200, "bye");
    turn.go_on.notify_one();
    let reply = writer.await.unwrap();
    // Either the write or its commit may be the first to learn it.
    reply.assert(409, "");
    reply.assert_no_cookie();
    assert_eq!(stored::<String>(&store, &common::id_of(&cookie), "theme").await, None);
}

#[tokio::test]
async fn a_degraded_session_sets_no_cookie() {
    let store = Store::new();
    let cookie = existing(&store).await;
    let manager = SessionManager::builder(Arc::clone(&store), Codec::default()).throw_on_error(false).build().unwrap();
    let app = app_with(SessionLayer::new(manager), Arc::default());
    store.fail(None, ErrorKind::Unavailable);
    let reply = send(&app, "/read", &[&cookie]).await;
    reply.assert(200, "none");
    reply.assert_no_cookie();
    let reply = send(&app, "/write", &[&cookie]).await;
    reply.assert(200, "written");
    reply.assert_no_cookie();
    let reply = send(&app, "/write", NO_COOKIES).await;
    reply.assert(200, "written");
    reply.assert_no_cookie();
    // A logout must not seem done.
    let reply = send(&app, "/logout", &[&cookie]).await;
    reply.assert(503, "");
    reply.assert_no_cookie();
    store.heal();
    send(&app, "/read", &[&cookie]).await.assert(200, "light");
}

#[tokio::test]
async fn a_panicking_context_is_an_error_only_where_it_matters() {
    let store = Store::new();
    let layer = SessionLayer::new(manager(&store)).with_context(|parts| {
        assert!(parts.uri.query().is_none(), "a mistake of the application");
        RequestContext::default()
    });
    let app = app_with(layer, Arc::default());
    send(&app, "/plain?q", NO_COOKIES).await.assert(200, "plain");
    let reply = send(&app, "/read?q", NO_COOKIES).await;
    reply.assert(500, "");
    reply.assert_no_cookie();
    assert_eq!(store.take_calls(), []);
    send(&app, "/read", NO_COOKIES).await.assert(200, "none");
}

#[tokio::test]
async fn a_missing_layer_is_told_to_the_developer() {
    let app = Router::new().route("/read", get(read));
    let reply = send(&app, "/read", NO_COOKIES).await;
    assert_eq!(reply.status, 500);
    assert!(reply.body.contains("SessionLayer"), "{reply:?}");
}
