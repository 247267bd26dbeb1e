//! The shop's sessions in a real store: login, logout, expiry and outage, as browsers see them. Expanded by the tests of
//! each store with [`flow_tests!`].

mod store;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use reqwest::{Response, StatusCode};
use serde_json::json;
use session_core::SessionManager;
use session_serde::Codec;
use session_tower::{Session, SessionLayer, SessionRejection};
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub(crate) use self::store::Store;
use crate::common::{Browser, empty, serve, set_cookie, shop_with};

/// Every flow as a test of its own, in stores made by this function.
#[macro_export]
macro_rules! flow_tests {
    ($store:path) => {
        $crate::flow_tests! { $store:
            twenty_requests_around_a_login_leave_the_user_logged_in
            a_logout_leaves_nothing
            a_request_in_flight_does_not_bring_back_what_was_logged_out
            sessions_expire_after_the_idle_timeout_and_not_before
            an_outage_logs_nobody_out
        }
    };
    ($store:path: $($flow:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $flow() {
                flow::$flow($store()).await;
            }
        )*
    };
}

/// A manager stands for a process: it has live sessions of its own.
fn manager(store: &Store, idle_timeout: Duration) -> SessionManager<Codec> {
    SessionManager::builder(store.provider(), Codec::default()).idle_timeout(idle_timeout).build().unwrap()
}

async fn shop_on(store: &Store) -> String {
    serve(shop_with(manager(store, Duration::from_secs(1200)))).await
}

/// The sessions that are no tombstones.
fn living(store: &Store) -> Vec<String> {
    store.keys().into_iter().filter(|key| store.cli(&["HEXISTS", key, "@g"]) == "1").collect()
}

pub(crate) async fn twenty_requests_around_a_login_leave_the_user_logged_in(store: Store) {
    let shops = [shop_on(&store).await, shop_on(&store).await];
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
    assert_eq!(living(&store).len(), 10);
}

pub(crate) async fn a_logout_leaves_nothing(store: Store) {
    let browser = Browser::at(&shop_on(&store).await);
    browser.fill_in("/theme", &[("theme", "dark")]).await;
    let cookie = browser.cookies().unwrap();
    assert_eq!(store.keys().len(), 1);
    browser.fill_in("/logout", &[]).await;
    assert_eq!(store.keys(), Vec::<String>::new());
    assert_eq!(browser.cookies(), None);
    assert_eq!(browser.session_of(&cookie).await, empty());
    assert_eq!(store.keys(), Vec::<String>::new(), "the old id is not adopted");
}

/// Meets the flow while it has the session.
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

pub(crate) async fn a_request_in_flight_does_not_bring_back_what_was_logged_out(store: Store) {
    // In the process of the logout, and in another one.
    for same_process in [true, false] {
        let meeting = Arc::new(Meeting::default());
        let first = manager(&store, Duration::from_secs(1200));
        let second = if same_process { first.clone() } else { manager(&store, Duration::from_secs(1200)) };
        let slow = Router::new()
            .route("/slow", get(slow))
            .layer(SessionLayer::new(second).with_insecure_development_cookie())
            .with_state(Arc::clone(&meeting));
        let browser = Browser::at(&serve(shop_with(first)).await);
        let slow = browser.also_at(&serve(slow).await);
        browser.fill_in("/theme", &[("theme", "dark")]).await;
        let cookie = browser.cookies().unwrap();
        let in_flight = tokio::spawn(async move { slow.get("/slow").await });
        meeting.opened.notified().await;
        browser.fill_in("/logout", &[]).await;
        assert_eq!(store.keys(), Vec::<String>::new());
        meeting.go_on.notify_one();
        let late: Response = in_flight.await.unwrap();
        assert_eq!(late.status(), StatusCode::CONFLICT, "same process: {same_process}");
        assert_eq!(set_cookie(&late), None, "the late answer harms no cookie");
        assert_eq!(store.keys(), Vec::<String>::new());
        assert_eq!(browser.session_of(&cookie).await, empty());
    }
}

pub(crate) async fn sessions_expire_after_the_idle_timeout_and_not_before(store: Store) {
    let idle = Duration::from_millis(1500);
    let browser = Browser::at(&serve(shop_with(manager(&store, idle))).await);
    browser.fill_in("/theme", &[("theme", "dark")]).await;
    let [key] = store.keys().try_into().unwrap();
    // Requests that only read keep it alive, for longer than the timeout.
    let start = Instant::now();
    let mut last = start;
    while start.elapsed() < 2 * idle {
        assert_eq!(browser.session().await["theme"], "dark");
        last = Instant::now();
        tokio::time::sleep(idle / 10).await;
    }
    while store.cli(&["EXISTS", &key]) == "1" {
        assert!(last.elapsed() < 4 * idle, "it never expires");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(last.elapsed() >= idle, "it expired {:?} after the last request", last.elapsed());
    assert_eq!(browser.session().await, empty());
    let cookie = browser.cookies().unwrap();
    let new = browser.fill_in("/theme", &[("theme", "dark")]).await.unwrap();
    assert_ne!(new, cookie, "a dead id is not used again");
}

pub(crate) async fn an_outage_logs_nobody_out(mut store: Store) {
    let browser = Browser::at(&shop_on(&store).await);
    browser.fill_in("/cart", &[("sku", "tea"), ("qty", "2")]).await;
    browser.fill_in("/login", &[("name", "Ada")]).await;
    let cookie = browser.cookies().unwrap();
    for round in 0..3 {
        store.fail(round);
        for path in ["/session", "/visits", "/"] {
            let response = browser.get(path).await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert_eq!(set_cookie(&response), None, "{path}");
        }
        assert_eq!(browser.get("/about").await.status(), StatusCode::OK, "what needs no session goes on");
        assert_eq!(browser.post("/logout", &[]).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(browser.cookies().as_ref(), Some(&cookie));
        store.restore();
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
