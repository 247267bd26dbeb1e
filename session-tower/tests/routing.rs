//! Hosts with stores and keys of their own behind one layer, and how often each request asks where its session lives.

use secret_watch as _;

mod common;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use common::{Call, Reply, Store, until};
use http::Request;
use http::header::{COOKIE, HOST};
use session_core::{
    ConcurrencyMode, Connection, KeyDerivation, RequestContext, SessionKey, SessionManager, SessionManagerBuilder,
};
use session_serde::Codec;
use session_tower::{Session, SessionLayer, SessionRejection, SessionSlot};
use tokio::sync::Notify;
use tower::ServiceExt as _;

/// The host of a request, as the callbacks are told of it.
struct Host(String);

/// How often each of them was asked.
#[derive(Default)]
struct Asked {
    context: AtomicUsize,
    connection: AtomicUsize,
    key: AtomicUsize,
}

impl Asked {
    /// Since this was last called.
    fn take(&self) -> [usize; 3] {
        [&self.context, &self.connection, &self.key].map(|count| count.swap(0, Ordering::SeqCst))
    }
}

/// Two hosts, each with a store of its own.
struct Site {
    app: Router,
    stores: [Arc<Store>; 2],
    asked: Arc<Asked>,
    /// Where the handler of `/wait` stops after its change.
    waiting: Arc<Notify>,
}

impl Site {
    fn new(with: impl FnOnce(SessionManagerBuilder<Codec>) -> SessionManagerBuilder<Codec>) -> Self {
        let stores = [Store::new(), Store::new()];
        let asked = Arc::<Asked>::default();
        let count = |counter: fn(&Asked) -> &AtomicUsize| {
            let asked = Arc::clone(&asked);
            move || counter(&asked).fetch_add(1, Ordering::SeqCst)
        };
        let (context, connection, key) =
            (count(|asked| &asked.context), count(|asked| &asked.connection), count(|asked| &asked.key));
        let host = |context: &RequestContext| context.get::<Host>().expect("a host").0.clone();
        let builder = SessionManager::builder(Store::new(), Codec::default())
            .connection("north.example", Arc::clone(&stores[0]))
            .connection("south.example", Arc::clone(&stores[1]))
            .connection_callback(move |request, _| {
                connection();
                match host(request).as_str() {
                    "no.connection" => resume_unwind(Box::new("in the connection callback")),
                    "no.key" => Ok(Connection::named("north.example")),
                    host => Ok(Connection::named(host)),
                }
            })
            .key_derivation(KeyDerivation::custom(move |request, id| {
                key();
                if host(request) == "no.key" {
                    resume_unwind(Box::new("in the key callback"));
                }
                SessionKey::new(format!("s:{}", id.fingerprint()))
            }));
        let layer = SessionLayer::new(with(builder).build().unwrap()).with_context(move |parts| {
            context();
            let host = parts.headers[HOST].to_str().unwrap();
            if host == "no.context" {
                resume_unwind(Box::new("in the context function"));
            }
            RequestContext::new(Host(host.to_owned()))
        });
        let waiting = Arc::new(Notify::new());
        let wait = Arc::clone(&waiting);
        let app = Router::new()
            .route("/nothing", get(async || "nothing"))
            .route("/read", get(read))
            .route("/write", get(write))
            .route("/login", get(log_in))
            .route("/logout", get(log_out))
            .route("/again", get(again))
            .route(
                "/wait",
                get(async move |session: Session| {
                    session.increment("visits", 1).unwrap();
                    wait.notify_one();
                    std::future::pending::<()>().await;
                }),
            )
            .layer(layer);
        Self { app, stores, asked, waiting }
    }

    async fn send(&self, host: &str, path: &str, cookie: Option<&str>) -> Reply {
        let request = Request::get(path).header(HOST, host);
        let request = cookie.into_iter().fold(request, |request, cookie| request.header(COOKIE, cookie));
        let response = self.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    fn take_calls(&self) -> [Vec<Call>; 2] {
        self.stores.each_ref().map(|store| store.take_calls())
    }
}

type Answer = Result<String, SessionRejection>;

/// Asks for the session twice.
async fn read(slot: axum::Extension<SessionSlot>, session: Session) -> Answer {
    let again = slot.open().await?;
    assert_eq!(again.get::<i64>("visits")?, session.get::<i64>("visits")?);
    Ok(session.get::<i64>("visits")?.unwrap_or_default().to_string())
}

async fn write(session: Session) -> Answer {
    Ok(session.increment("visits", 1)?.to_string())
}

async fn log_in(session: Session) -> Answer {
    session.rotate_id()?;
    session.insert("user", "Ada")?;
    // In the handler, and once more by the layer.
    session.commit().await?;
    write(session).await
}

async fn log_out(session: Session) -> Answer {
    session.destroy()?;
    Ok(String::new())
}

async fn again(session: Session) -> Answer {
    session.destroy()?;
    write(session).await
}

#[tokio::test]
async fn each_host_has_sessions_of_its_own() {
    let site = Site::new(|builder| builder);
    let north = site.send("north.example", "/write", None).await.cookie();
    let south = site.send("south.example", "/write", None).await.cookie();
    assert_eq!(site.take_calls(), [[Call::Commit], [Call::Commit]]);
    // At the other host each is unknown, and not adopted.
    site.send("south.example", "/read", Some(&north)).await.assert(200, "0");
    assert_eq!(site.take_calls(), [vec![], vec![Call::Load]]);
    let stranger = site.send("south.example", "/write", Some(&north)).await;
    stranger.assert(200, "1");
    assert!(![&north, &south].contains(&&stranger.cookie()));
    assert_eq!(site.send("north.example", "/logout", Some(&south)).await.status, 200);
    for (host, cookie) in [("north.example", &north), ("south.example", &south)] {
        let reply = site.send(host, "/write", Some(cookie)).await;
        reply.assert(200, "2");
        reply.assert_no_cookie();
    }
}

#[tokio::test]
async fn each_request_asks_once() {
    let site = Site::new(|builder| builder);
    let host = "north.example";
    let mut cookie = None;
    // The key is asked for once for each id: the one that came, and the one that is made.
    for (path, expected) in [
        ("/nothing", [1, 0, 0]),
        ("/read", [1, 1, 0]),
        ("/write", [1, 1, 1]),
        ("/nothing", [1, 0, 0]),
        ("/read", [1, 1, 1]),
        ("/write", [1, 1, 1]),
        ("/login", [1, 1, 2]),
        ("/read", [1, 1, 1]),
        ("/again", [1, 1, 2]),
        ("/logout", [1, 1, 1]),
    ] {
        let reply = site.send(host, path, cookie.as_deref()).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(site.asked.take(), expected, "{path}: context, connection, key");
        if !reply.set_cookies().is_empty() {
            cookie = Some(reply.cookie());
        }
    }
    // One that is known to be no id.
    site.send(host, "/read", Some("__Host-session=nonsense")).await;
    assert_eq!(site.asked.take(), [1, 1, 0]);
}

#[tokio::test]
async fn a_hang_up_asks_nobody_again() {
    let site = Site::new(|builder| builder);
    let cookie = site.send("south.example", "/write", None).await.cookie();
    site.asked.take();
    site.take_calls();
    tokio::select! {
        _ = site.send("south.example", "/wait", Some(&cookie)) => panic!("it does not end"),
        () = site.waiting.notified() => {}
    }
    until("it is committed in the background", async || site.stores[1].has_seen(Call::Commit)).await;
    assert_eq!(site.asked.take(), [1, 1, 1]);
    site.send("south.example", "/read", Some(&cookie)).await.assert(200, "2");
    assert_eq!(site.stores[0].take_calls(), []);
}

#[tokio::test]
async fn a_callback_that_panics_is_an_error_of_its_request() {
    for throw_on_error in [true, false] {
        let site = Site::new(|builder| builder.throw_on_error(throw_on_error));
        let cookie = site.send("north.example", "/write", None).await.cookie();
        site.take_calls();
        for host in ["no.context", "no.connection", "no.key", "unknown.example"] {
            // The context is the layer's own, and there is no session without one.
            let served = !throw_on_error && host != "no.context";
            for path in ["/nothing", "/write"] {
                let reply = site.send(host, path, Some(&cookie)).await;
                let fine = served || path == "/nothing";
                assert_eq!(reply.status, if fine { 200 } else { 500 }, "{host}{path}");
                assert_eq!(reply.body.is_empty(), !fine, "{host}{path}: {}", reply.body);
                reply.assert_no_cookie();
            }
        }
        assert_eq!(site.take_calls(), [[], []], "no store is asked");
        site.send("north.example", "/read", Some(&cookie)).await.assert(200, "1");
    }
}

/// A layer for some routes only, below that for all.
#[tokio::test]
async fn some_routes_may_only_read() {
    let store = Store::new();
    let layer = SessionLayer::new(SessionManager::builder(Arc::clone(&store), Codec::default()).build().unwrap());
    let reports = Router::new()
        .route("/report", get(read))
        .route("/mistake", get(write))
        .layer(layer.clone().with_mode(ConcurrencyMode::ReadOnly));
    let app = Router::new().route("/write", get(write)).merge(reports).layer(layer);
    let cookie = common::send(&app, "/write", &[""; 0]).await.cookie();
    store.take_calls();
    let reply = common::send(&app, "/report", &[&cookie]).await;
    reply.assert(200, "1");
    reply.assert_no_cookie();
    let reply = common::send(&app, "/mistake", &[&cookie]).await;
    reply.assert(500, "");
    reply.assert_no_cookie();
    assert_eq!(store.take_calls(), [Call::Check, Call::Check]);
    common::send(&app, "/mistake", &[""; 0]).await.assert(500, "");
    assert_eq!(store.take_calls(), []);
    common::send(&app, "/write", &[&cookie]).await.assert(200, "2");
}
