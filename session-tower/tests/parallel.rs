//! Parallel requests of one session: none waits for another's handler, and around a login or a logout none disturbs the
//! cookie of the one.

use secret_watch as _;

mod common;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use common::{Call, NO_COOKIES, Reply, Store, id_of, manager, send, stored, until};
use session_tower::{Session, SessionLayer, SessionRejection};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

const PARALLEL: usize = 20;

/// Where requests wait, after they opened their session, until they may go on.
struct Park {
    waiting: Semaphore,
    open: watch::Sender<bool>,
}

impl Park {
    fn new() -> Arc<Self> {
        Arc::new(Self { waiting: Semaphore::new(0), open: watch::Sender::new(false) })
    }

    async fn wait(&self) {
        let mut open = self.open.subscribe();
        self.waiting.add_permits(1);
        let _ = open.wait_for(|open| *open).await;
    }
}

type Answer = Result<String, SessionRejection>;

async fn read(session: Session) -> Answer {
    Ok(session.get("user")?.unwrap_or_else(|| "nobody".to_owned()))
}

async fn count(session: Session) -> Answer {
    Ok(session.increment("visits", 1)?.to_string())
}

async fn parked_read(State(park): State<Arc<Park>>, session: Session) -> Answer {
    park.wait().await;
    read(session).await
}

async fn parked_count(State(park): State<Arc<Park>>, session: Session) -> Answer {
    session.increment("visits", 1)?;
    park.wait().await;
    Ok("counted".to_owned())
}

async fn login(session: Session) -> Answer {
    session.insert("user", "ann")?;
    session.rotate_id()?;
    Ok("welcome".to_owned())
}

async fn logout(session: Session) -> Answer {
    session.destroy()?;
    Ok("bye".to_owned())
}

fn app(store: &Arc<Store>, park: &Arc<Park>) -> Router {
    Router::new()
        .route("/read", get(read))
        .route("/count", get(count))
        .route("/parked/read", get(parked_read))
        .route("/parked/count", get(parked_count))
        .route("/login", get(login))
        .route("/logout", get(logout))
        .layer(SessionLayer::new(manager(store)))
        .with_state(Arc::clone(park))
}

fn start(app: &Router, path: &'static str, cookie: &str) -> JoinHandle<Reply> {
    let (app, cookie) = (app.clone(), cookie.to_owned());
    tokio::spawn(async move { send(&app, path, &[cookie]).await })
}

/// Starts requests that read or count and are in the middle of it when this returns.
async fn park(app: &Router, park: &Arc<Park>, cookie: &str) -> Vec<JoinHandle<Reply>> {
    let requests =
        (0..PARALLEL).map(|n| start(app, ["/parked/read", "/parked/count"][n % 2], cookie)).collect::<Vec<_>>();
    until("all requests are parked", async || park.waiting.available_permits() == PARALLEL).await;
    requests
}

/// One process, or one for the parked requests and another for the one that matters.
fn processes(store: &Arc<Store>, park: &Arc<Park>, same: bool) -> (Router, Router) {
    let first = app(store, park);
    let second = if same { first.clone() } else { app(store, park) };
    (first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_among_requests_in_flight() {
    for same_process in [true, false] {
        let (store, place) = (Store::new(), Park::new());
        let (first, second) = processes(&store, &place, same_process);
        let old = send(&first, "/count", NO_COOKIES).await.cookie();
        let in_flight = park(&first, &place, &old).await;

        let login = send(&second, "/login", &[&old]).await;
        login.assert(200, "welcome");
        let new = login.cookie();
        assert_ne!(new, old);

        place.open.send_replace(true);
        for request in in_flight {
            request.await.unwrap().assert_no_cookie();
        }
        // Requests that a browser had sent before it learned of the new cookie.
        for n in 0..PARALLEL {
            for app in [&first, &second] {
                send(app, ["/read", "/count"][n % 2], &[&old]).await.assert_no_cookie();
            }
        }
        for app in [&first, &second] {
            send(app, "/read", &[&new]).await.assert(200, "ann");
        }
        if same_process {
            let visits: i64 = stored(&store, &id_of(&new), "visits").await.unwrap();
            assert_eq!(visits, 1 + PARALLEL as i64 / 2, "all that were counted before the login are kept");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logout_among_requests_in_flight() {
    for same_process in [true, false] {
        let (store, place) = (Store::new(), Park::new());
        let (first, second) = processes(&store, &place, same_process);
        let old = send(&first, "/login", NO_COOKIES).await.cookie();
        let in_flight = park(&first, &place, &old).await;

        let logout = send(&second, "/logout", &[&old]).await;
        logout.assert(200, "bye");
        assert!(logout.cookie().ends_with('='), "{logout:?}");

        place.open.send_replace(true);
        for request in in_flight {
            request.await.unwrap().assert_no_cookie();
        }
        assert_eq!(stored::<String>(&store, &id_of(&old), "user").await, None);
        assert_eq!(stored::<i64>(&store, &id_of(&old), "visits").await, None, "nothing of it comes back");
        for app in [&first, &second] {
            let late = send(app, "/read", &[&old]).await;
            late.assert(200, "nobody");
            late.assert_no_cookie();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logout_and_login_again_among_requests_in_flight() {
    let (store, place) = (Store::new(), Park::new());
    let (first, second) = processes(&store, &place, false);
    let old = send(&first, "/login", NO_COOKIES).await.cookie();
    let in_flight = park(&first, &place, &old).await;
    send(&second, "/logout", &[&old]).await.assert(200, "bye");
    let new = send(&second, "/login", NO_COOKIES).await.cookie();
    place.open.send_replace(true);
    for request in in_flight {
        request.await.unwrap().assert_no_cookie();
    }
    send(&first, "/read", &[&new]).await.assert(200, "ann");
}

/// No request is held up while the handler of another one of its session runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_pass_one_whose_handler_takes_its_time() {
    for same_process in [true, false] {
        let (store, place) = (Store::new(), Park::new());
        let (first, second) = processes(&store, &place, same_process);
        let cookie = send(&first, "/login", NO_COOKIES).await.cookie();
        let in_flight = park(&first, &place, &cookie).await;

        let parked_counts = PARALLEL as i64 / 2;
        // In the same process they see what the parked ones have changed and not written yet.
        let seen = if same_process { parked_counts } else { 0 };
        for n in 1..=PARALLEL as i64 {
            let passing = async {
                send(&second, "/count", &[&cookie]).await.assert(200, &(seen + n).to_string());
                send(&second, "/read", &[&cookie]).await.assert(200, "ann");
            };
            tokio::time::timeout(Duration::from_secs(10), passing).await.expect("they need not wait");
        }
        assert!(in_flight.iter().all(|request| !request.is_finished()), "the others are still parked");

        place.open.send_replace(true);
        for request in in_flight {
            assert_eq!(request.await.unwrap().status, 200);
        }
        let visits: i64 = stored(&store, &id_of(&cookie), "visits").await.unwrap();
        assert_eq!(visits, parked_counts + PARALLEL as i64);
    }
}

/// What a validation finds newer may be what this process has just written: then nothing is loaded again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_under_way_makes_nobody_load_again() {
    let (store, place) = (Store::new(), Park::new());
    let app = app(&store, &place);
    let cookie = send(&app, "/count", NO_COOKIES).await.cookie();
    send(&app, "/read", &[&cookie]).await.assert(200, "nobody");

    store.acknowledge(false);
    let counting = start(&app, "/count", &cookie);
    until("the commit is done", async || stored::<i64>(&store, &id_of(&cookie), "visits").await == Some(2)).await;
    store.take_calls();
    let reading = start(&app, "/read", &cookie);
    until("the reading one has asked", async || store.has_seen(Call::Check)).await;
    store.acknowledge(true);
    counting.await.unwrap().assert(200, "2");
    reading.await.unwrap().assert(200, "nobody");
    assert_eq!(store.take_calls(), [Call::Check]);
}

/// All at once, as it happens to come out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_requests_around_a_login() {
    for round in 0..50 {
        let (store, place) = (Store::new(), Park::new());
        store.yield_times(round % 4);
        let (first, second) = processes(&store, &place, round % 2 == 0);
        let old = send(&first, "/count", NO_COOKIES).await.cookie();
        let before: Vec<_> = (0..PARALLEL / 2).map(|n| start(&first, ["/read", "/count"][n % 2], &old)).collect();
        let login = start(&second, "/login", &old);
        let after: Vec<_> = (0..PARALLEL / 2).map(|n| start(&first, ["/read", "/count"][n % 2], &old)).collect();
        for request in before.into_iter().chain(after) {
            request.await.unwrap().assert_no_cookie();
        }
        let login = login.await.unwrap();
        login.assert(200, "welcome");
        send(&second, "/read", &[login.cookie()]).await.assert(200, "ann");
    }
}
