//! Connections that break in the midst of something.

use std::time::Duration;

use crate::harness::{App, Fault, Row, Scene, Way, everywhere};
use test_support::{Direction, Random, test_seed};

#[test]
fn f9a_half_closed() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        Fault::of("F9a").on_the_wire().raise(move |scene| scene.wire().half_close_all(direction)).run();
    }
}

#[test]
fn f9b_reset() {
    Fault::of("F9b").on_the_wire().raise(|scene| scene.wire().reset_all()).run();
}

#[test]
fn f9c_garbage() {
    for garbage in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\0\0\0\0", b":1\r\n:2\r\n"] {
        Fault::of("F9c")
            .on_the_wire()
            .raise(move |scene| scene.wire().garble(Direction::ToClient, Some(garbage)))
            .heal(|scene| scene.wire().garble(Direction::ToClient, None))
            .run();
    }
}

#[test]
fn f9d_single_bytes_slowly() {
    Fault::of("F9d")
        .on_the_wire()
        .raise(|scene| scene.wire().drip(Direction::ToClient, Some(Duration::from_millis(50))))
        .heal(|scene| scene.wire().drip(Direction::ToClient, None))
        .run();
}

#[test]
fn f9e_single_bytes() {
    let both = |scene: &mut Scene| {
        for direction in [Direction::ToServer, Direction::ToClient] {
            scene.wire().drip(direction, Some(Duration::from_micros(20)));
        }
    };
    Fault::of("F9e").on_the_wire().raise(both).run();
}

/// Connections that were open pass nothing any more, and nobody says so: the first request on each finds out, and the next
/// ones get another connection.
#[test]
fn f8_half_open() {
    let row = Row::of("F8");
    everywhere("F8", &Way::ALL, async |way, throw| {
        let scene = Scene::wired(way);
        let app = App::new(scene.provider(), throw, Duration::ZERO);
        let patient = App::new(scene.provider(), throw, Duration::from_millis(1500));
        let cookie = app.start().await;
        patient.get("/read", Some(&cookie)).await.assert(200, "dark");
        let before = scene.wire().accepted();
        scene.wire().swallow_existing();
        let (reply, outlasted) = tokio::join!(app.get("/read", Some(&cookie)), patient.get("/count", Some(&cookie)));
        row.assert_seen(way, throw, &app, &reply, "none");
        outlasted.assert_in_time(Duration::from_millis(1500));
        outlasted.assert(200, "2");
        app.get("/read", Some(&cookie)).await.assert(200, "dark");
        assert!(scene.wire().accepted() > before);
    });
}

/// Cuts the connection after a number of bytes of a commit, for many numbers; for every single one, beside these, a
/// provider's own tests do it.
#[test]
fn f3_cut_anywhere() {
    let seed = test_seed();
    let row = Row::of("F3");
    everywhere("F3", &Way::ALL, async |way, throw| {
        let scene = Scene::wired(way);
        let wire = scene.wire();
        let (hasty, patient) = {
            let provider = scene.provider();
            let app = |patience| App::new(provider.clone(), throw, Duration::from_millis(patience));
            (app(0), app(2500))
        };
        let other = App::new(scene.past(), true, Duration::ZERO);
        let cookie = hasty.start().await;
        let mut random = Random::new(seed);
        let mut counted = 1;
        for direction in [Direction::ToServer, Direction::ToClient] {
            let mut length = 0;
            for _ in 0..2 {
                // The first one may have to load what others wrote.
                let before = wire.bytes(direction);
                counted += 1;
                patient.get("/count", Some(&cookie)).await.assert(200, &counted.to_string());
                length = wire.bytes(direction) - before;
            }
            let steps = 12;
            for step in 0..steps.min(length) {
                let after = (length * step / steps + random.below(8) as u64).min(length - 1);
                // With patience it is answered, and done once.
                wire.cut_after(direction, after);
                let reply = patient.get("/count", Some(&cookie)).await;
                counted += 1;
                assert!(!wire.cut_is_pending(direction), "{direction:?} {after} of {length}");
                reply.assert_in_time(Duration::from_millis(2500));
                reply.assert(200, &counted.to_string());
                drop(patient.last_session());
            }
            // Without patience it may be answered that nobody knows, and be done or not.
            wire.cut_after(direction, random.below(length as usize) as u64);
            let reply = hasty.get("/count", Some(&cookie)).await;
            let error = hasty.last_session().and_then(|session| session.last_error());
            if reply.status != 200 || error.is_some() {
                row.assert_kind(way, hasty.last_error().kind());
                assert!(row.outcome(way).may_be_unseen || !throw || reply.status == 503);
            }
            let stored = other.stored(&cookie, "visits").await.unwrap().parse().unwrap();
            assert!((counted..=counted + 1).contains(&stored), "{stored} after {counted}");
            counted = stored;
        }
        assert_eq!(other.stored(&cookie, "visits").await, Some(counted.to_string()));
    });
}
