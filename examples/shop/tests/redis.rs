//! The shop's sessions in a real Redis: login, logout, expiry and outage, as browsers see them.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use common::{Browser, empty, serve, set_cookie};
use reqwest::{Response, StatusCode};
use serde_json::json;
use session_core::SessionManager;
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Codec;
use session_tower::{Session, SessionLayer, SessionRejection};
use test_support::RedisServer;
use tokio::sync::Notify;
use tokio::task::JoinSet;

const PREFIX: &str = "session:";

/// A manager stands for a process: it has live sessions of its own.
fn manager(redis: &RedisServer, idle_timeout: Duration) -> SessionManager<Codec> {
    let provider = RedisProvider::new(&RedisConfig::new().url(redis.url())).unwrap();
    SessionManager::builder(provider, Codec::default()).idle_timeout(idle_timeout).build().unwrap()
}

async fn shop_on(redis: &RedisServer) -> String {
    serve(shop::router(manager(redis, Duration::from_secs(1200)))).await
}

fn keys(redis: &RedisServer) -> Vec<String> {
    let keys = redis.cli(&["KEYS", &format!("{PREFIX}*")]);
    keys.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The sessions that are no tombstones.
fn living(redis: &RedisServer) -> Vec<String> {
    keys(redis).into_iter().filter(|key| redis.cli(&["HEXISTS", key, "@g"]) == "1").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_requests_around_a_login_leave_the_user_logged_in() {
    let redis = RedisServer::spawn().unwrap();
    let shops = [shop_on(&redis).await, shop_on(&redis).await];
    for round in 0..10 {
        let browser = Browser::at(&shops[0]);
        browser.fill_in("/cart", &[("sku", "tea"), ("qty", "1")]).await;
        let before = browser.cookies().unwrap();
        let mut requests = JoinSet::new();
        for number in 0..20 {
            let browser = browser.also_at(&shops[number % 2]);
            requests.spawn(async move {
                let status = match number {
                    10 => browser.post("/login", &[("name", "Ada")]).await.status(),
                    even if even % 2 == 0 => browser.get("/visits").await.status(),
                    _ => browser.get("/session").await.status(),
                };
                (number, status)
            });
        }
        while let Some(request) = requests.join_next().await {
            let (number, status) = request.unwrap();
            // A count that meets the end of the old id is refused; everything else is answered.
            let refused = status == StatusCode::CONFLICT && number % 2 == 0 && number != 10;
            assert!(refused || status.is_success() || status.is_redirection(), "request {number}: {status}");
        }
        let after = browser.cookies().unwrap();
        assert_ne!(before, after, "round {round}");
        let session = browser.session().await;
        assert_eq!((&session["user"], &session["cart"]), (&json!("Ada"), &json!({ "tea": 1 })), "round {round}");
        for shop in &shops {
            assert_eq!(browser.also_at(shop).session_of(&before).await, empty(), "the old id is dead");
        }
    }
    assert_eq!(living(&redis).len(), 10);
}

#[tokio::test]
async fn a_logout_leaves_nothing() {
    let redis = RedisServer::spawn().unwrap();
    let browser = Browser::at(&shop_on(&redis).await);
    browser.fill_in("/theme", &[("theme", "dark")]).await;
    let cookie = browser.cookies().unwrap();
    assert_eq!(keys(&redis).len(), 1);
    browser.fill_in("/logout", &[]).await;
    assert_eq!(keys(&redis), Vec::<String>::new());
    assert_eq!(browser.cookies(), None);
    assert_eq!(browser.session_of(&cookie).await, empty());
    assert_eq!(keys(&redis), Vec::<String>::new(), "the old id is not adopted");
}

/// Meets the test while it has the session.
#[derive(Default)]
struct Meeting {
    opened: Notify,
    go_on: Notify,
}

async fn slow(State(meeting): State<Arc<Meeting>>, session: Session) -> Result<&'static str, SessionRejection> {
    let _: Option<String> = session.get("theme")?;
    meeting.opened.notify_one();
    meeting.go_on.notified().await;
    session.insert("late", "change")?;
    session.increment("visits", 1)?;
    Ok("changed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_flight_does_not_bring_back_what_was_logged_out() {
    let redis = RedisServer::spawn().unwrap();
    // In the process of the logout, and in another one.
    for same_process in [true, false] {
        let meeting = Arc::new(Meeting::default());
        let first = manager(&redis, Duration::from_secs(1200));
        let second = if same_process { first.clone() } else { manager(&redis, Duration::from_secs(1200)) };
        let slow = Router::new()
            .route("/slow", get(slow))
            .layer(SessionLayer::new(second).with_insecure_development_cookie())
            .with_state(Arc::clone(&meeting));
        let browser = Browser::at(&serve(shop::router(first)).await);
        let slow = browser.also_at(&serve(slow).await);
        browser.fill_in("/theme", &[("theme", "dark")]).await;
        let cookie = browser.cookies().unwrap();
        let in_flight = tokio::spawn(async move { slow.get("/slow").await });
        meeting.opened.notified().await;
        browser.fill_in("/logout", &[]).await;
        assert_eq!(keys(&redis), Vec::<String>::new());
        meeting.go_on.notify_one();
        let late: Response = in_flight.await.unwrap();
        assert_eq!(late.status(), StatusCode::CONFLICT, "same process: {same_process}");
        assert_eq!(set_cookie(&late), None, "the late answer harms no cookie");
        assert_eq!(keys(&redis), Vec::<String>::new());
        assert_eq!(browser.session_of(&cookie).await, empty());
    }
}

#[tokio::test]
async fn sessions_expire_after_the_idle_timeout_and_not_before() {
    let redis = RedisServer::spawn().unwrap();
    let idle = Duration::from_millis(1500);
    let browser = Browser::at(&serve(shop::router(manager(&redis, idle))).await);
    browser.fill_in("/theme", &[("theme", "dark")]).await;
    let [key] = keys(&redis).try_into().unwrap();
    // Requests that only read keep it alive, for longer than the timeout.
    let start = Instant::now();
    let mut last = start;
    while start.elapsed() < 2 * idle {
        assert_eq!(browser.session().await["theme"], "dark");
        last = Instant::now();
        tokio::time::sleep(idle / 10).await;
    }
    while redis.cli(&["EXISTS", &key]) == "1" {
        assert!(last.elapsed() < 4 * idle, "it never expires");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(last.elapsed() >= idle, "it expired {:?} after the last request", last.elapsed());
    assert_eq!(browser.session().await, empty());
    let cookie = browser.cookies().unwrap();
    let new = browser.fill_in("/theme", &[("theme", "dark")]).await.unwrap();
    assert_ne!(new, cookie, "a dead id is not used again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_logs_nobody_out() {
    let mut redis =
        RedisServer::builder().arguments(["--appendonly", "yes", "--appendfsync", "always"]).start().unwrap();
    let browser = Browser::at(&shop_on(&redis).await);
    browser.fill_in("/cart", &[("sku", "tea"), ("qty", "2")]).await;
    browser.fill_in("/login", &[("name", "Ada")]).await;
    let cookie = browser.cookies().unwrap();
    for _ in 0..3 {
        redis.kill();
        for path in ["/session", "/visits", "/"] {
            let response = browser.get(path).await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert_eq!(set_cookie(&response), None, "{path}");
        }
        assert_eq!(browser.get("/about").await.status(), StatusCode::OK, "what needs no session goes on");
        assert_eq!(browser.post("/logout", &[]).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(browser.cookies().as_ref(), Some(&cookie));
        redis.restart().unwrap();
        let back = Instant::now();
        let session = loop {
            let response = browser.get("/session").await;
            if response.status() == StatusCode::OK {
                break response.json::<serde_json::Value>().await.unwrap();
            }
            assert!(back.elapsed() < Duration::from_secs(10), "it does not heal");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!((&session["user"], &session["cart"]), (&json!("Ada"), &json!({ "tea": 2 })));
    }
}
