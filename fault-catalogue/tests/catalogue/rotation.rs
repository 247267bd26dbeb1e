//! A change of id, or a creation, that is interrupted or comes late.

use std::time::Duration;

use crate::harness::{App, Row, Scene, Way, eventually, everywhere};
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
            scene.wire().cancel_cut(direction);
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

/// The first copy of what a request writes is held back on the way until its repetition, and then a logout, are
/// acknowledged.
async fn comes_late(way: Way, throw: bool, creates: bool) {
    let scene = Scene::wired(way);
    let wire = scene.wire();
    let other = App::new(scene.past(), true, Duration::ZERO);
    let cookie = other.start().await;
    let app = App::new(scene.provider(), throw, PATIENCE);
    app.get("/read", Some(&cookie)).await.assert(200, "dark");

    let reply = if creates {
        wire.hold_existing(Direction::ToServer);
        app.get("/start", None).await
    } else {
        let (reply, ()) = tokio::join!(app.get("/wait/login", Some(&cookie)), async {
            app.gate().wait_for(1).await;
            wire.hold_existing(Direction::ToServer);
            app.gate().open();
        });
        reply
    };
    reply.assert_in_time(PATIENCE);
    assert_eq!(reply.status, 200, "{reply:?}");
    let new = reply.cookie();
    drop(app.last_session());
    assert_eq!(other.stored(&new, "theme").await.as_deref(), Some("dark"));
    app.get("/logout", Some(&new)).await.assert(200, "bye");
    assert_eq!(other.stored(&new, "theme").await, None);

    let passed = wire.bytes(Direction::ToServer);
    wire.release(Direction::ToServer);
    // More than anything that only reads.
    eventually("it arrives", || wire.bytes(Direction::ToServer) - passed > LONGER_THAN_A_READ);
    // Time enough to be executed; should it not be, this finds less and nothing wrong.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(other.stored(&new, "theme").await, None, "it came back to life");
    app.get("/read", Some(&new)).await.assert(200, "none");
    scene.assert_all_expire();
}

/// In bytes.
const LONGER_THAN_A_READ: u64 = 250;

#[test]
fn f50_a_creation_that_comes_late() {
    everywhere("F50", &[Way::Direct, Way::ToTwemproxy], async |way, throw| comes_late(way, throw, true).await);
}

#[test]
fn f50_a_rotation_that_comes_late() {
    everywhere("F50", &[Way::Direct, Way::ToTwemproxy], async |way, throw| comes_late(way, throw, false).await);
}
