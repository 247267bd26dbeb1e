//! A change of id, or a creation, that is interrupted or comes late.

use std::time::Duration;

use fault_catalogue::{App, Row, Scene, Way, everywhere};
use test_support::Direction;

const PATIENCE: Duration = Duration::from_millis(2500);

const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

/// A login takes this many requests to the store: a look whether the session is as it was known (and, since a fresh process
/// does not know it, its load), the copy under the new id, the end of the old one.
const MOST_STEPS: u64 = 4;

/// The network fails at a step of a login and comes back: it is done, whole and once.
#[test]
fn f46_a_rotation_that_is_interrupted() {
    everywhere("F46", &Way::ALL, async |way, throw| {
        let scene = Scene::wired(way);
        let other = App::new(scene.past(), true, Duration::ZERO);
        let mut cuts = 0;
        for (direction, step) in DIRECTIONS.into_iter().flat_map(|it| (1..=MOST_STEPS).map(move |step| (it, step))) {
            let app = App::new(scene.provider(), throw, PATIENCE);
            let old = app.start().await;
            scene.wire().cut_at_chunk(direction, step);
            let reply = app.get("/login", Some(&old)).await;
            cuts += u64::from(!scene.wire().cut_is_pending(direction));
            reply.assert_in_time(PATIENCE);
            reply.assert(200, "welcome");
            let new = reply.cookie();
            assert_eq!(other.stored(&old, "theme").await, None, "{direction:?} {step}");
            assert_eq!(other.stored(&new, "user").await.as_deref(), Some("ann"), "{direction:?} {step}");
            assert_eq!(other.stored(&new, "visits").await.as_deref(), Some("1"), "{direction:?} {step}");
            app.get("/read", Some(&new)).await.assert(200, "dark");
        }
        assert!(cuts >= 6, "only {cuts} were cut");
        scene.assert_all_expire();
    });
}

/// The network fails at a step of a login for good, and with it the program ends.
#[test]
fn f46_a_rotation_that_is_never_finished() {
    let row = Row::of("F46");
    everywhere("F46", &Way::ALL, async |way, throw| {
        let scene = Scene::wired(way);
        let other = App::new(scene.past(), true, Duration::ZERO);
        let (mut failed, mut still_old) = (0, 0);
        for (direction, step) in DIRECTIONS.into_iter().flat_map(|it| (1..=MOST_STEPS).map(move |step| (it, step))) {
            let app = App::new(scene.provider(), throw, Duration::ZERO);
            let old = app.start().await;
            drop(app.last_session());
            scene.wire().refuse(true);
            scene.wire().cut_at_chunk(direction, step);
            let reply = app.get("/login", Some(&old)).await;
            scene.wire().cut_at_chunk(direction, 0);
            scene.wire().cut_all();
            let error = app.last_session().and_then(|session| session.last_error()).or(app.manager.last_error());
            drop(app);
            scene.wire().refuse(false);
            let Some(error) = error else {
                // It was cut after all was done, or not at all.
                let new = reply.cookie();
                assert_eq!(other.stored(&old, "theme").await, None, "acknowledged: the old id is dead");
                assert_eq!(other.stored(&new, "user").await.as_deref(), Some("ann"));
                continue;
            };
            failed += 1;
            row.assert_kind(way, error.kind());
            reply.assert_no_cookie();
            // What was changed with the rotation is under the new id only, which nobody has.
            assert_eq!(other.stored(&old, "user").await, None, "{direction:?} {step}");
            // The old id works, unless it was the acknowledgement of its end that was lost.
            match other.stored(&old, "theme").await {
                Some(theme) => {
                    assert_eq!(theme, "dark");
                    still_old += 1;
                }
                None => assert_eq!(direction, Direction::ToClient, "step {step}"),
            }
        }
        assert!(failed >= 4 && still_old >= 4, "{failed} failed, {still_old} left the old id");
        // What is left of the new ones expires.
        scene.assert_all_expire();
    });
}

/// The first copy of a request is held back on the way until its repetition, and then a logout, are acknowledged.
async fn comes_late(way: Way, throw: bool, path: &str) {
    let scene = Scene::wired(way);
    let wire = scene.wire();
    let app = App::new(scene.provider(), throw, PATIENCE);
    let cookie = app.start().await;
    let other = App::new(scene.past(), true, Duration::ZERO);
    let before = scene.keys().len();

    let asking = if path == "/start" { None } else { Some(cookie.as_str()) };
    if asking.is_some() {
        // What is read first is to be answered: held is what comes then.
        let held = tokio::join!(app.get(path, asking), async {
            let reads = wire.bytes(Direction::ToClient);
            while wire.bytes(Direction::ToClient) == reads {
                tokio::task::yield_now().await;
            }
            wire.hold_existing(Direction::ToServer);
        });
        finish(&scene, &app, &other, held.0, before).await;
    } else {
        wire.hold_existing(Direction::ToServer);
        let reply = app.get(path, asking).await;
        finish(&scene, &app, &other, reply, before).await;
    }
}

async fn finish(scene: &Scene, app: &App, other: &App, reply: fault_catalogue::Reply, before: usize) {
    reply.assert_in_time(PATIENCE);
    assert_eq!(reply.status, 200, "{reply:?}");
    let new = reply.cookie();
    drop(app.last_session());
    assert_eq!(other.stored(&new, "theme").await.as_deref(), Some("dark"));
    let logout = app.get("/logout", Some(&new)).await;
    logout.assert(200, "bye");
    assert_eq!(other.stored(&new, "theme").await, None);

    let wire = scene.wire();
    let passed = wire.bytes(Direction::ToServer);
    wire.release(Direction::ToServer);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while wire.bytes(Direction::ToServer) == passed {
        assert!(std::time::Instant::now() < deadline, "nothing was held back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It is executed before what is asked now, on another connection, at the latest after a moment.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(other.stored(&new, "theme").await, None, "it came back to life");
    app.get("/read", Some(&new)).await.assert(200, "none");
    assert!(scene.keys().len() >= before);
    scene.assert_all_expire();
}

#[test]
fn f50_a_creation_that_comes_late() {
    everywhere("F50", &[Way::Direct, Way::ToTwemproxy], async |way, throw| comes_late(way, throw, "/start").await);
}

#[test]
fn f50_a_rotation_that_comes_late() {
    everywhere("F50", &[Way::Direct, Way::ToTwemproxy], async |way, throw| comes_late(way, throw, "/login").await);
}
