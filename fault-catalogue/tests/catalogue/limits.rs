//! What is too large, and what cannot be read.

use std::time::Duration;

use crate::harness::{App, Row, Scene, Setup, Way, everywhere};
use session_core::{KeyDerivation, SessionKey};

/// The only key on the server.
fn key(scene: &Scene) -> String {
    let [key] = &scene.keys()[..] else { panic!("one session") };
    key.clone()
}

#[test]
fn f30_bytes_that_are_no_value() {
    let row = Row::of("F30");
    everywhere("F30", &Way::OF_A_SERVER, async |way, throw| {
        let scene = Scene::plain(way);
        let cookie = App::new(scene.provider(), throw, Duration::ZERO).start().await;
        let key = key(&scene);
        scene.redis.cli(&["HSET", &key, "theme", "\"dar"]);
        let app = App::new(scene.provider(), throw, Duration::ZERO);
        let reply = app.get("/read", Some(&cookie)).await;
        let error = app.last_error();
        assert_eq!(error.attribute(), Some("theme"));
        row.assert_seen(way, throw, &app, &reply, "");
        // The others can be read and written, and it stays as it is until somebody overwrites it.
        app.get("/visits", Some(&cookie)).await.assert(200, "1");
        app.get("/count", Some(&cookie)).await.assert(200, "2");
        assert_eq!(scene.redis.cli(&["HGET", &key, "theme"]), "\"dar");
        app.get("/write", Some(&cookie)).await.assert(200, "written");
        app.get("/read", Some(&cookie)).await.assert(200, "bright");
    });
}

#[test]
fn f31a_a_value_over_the_limit() {
    let row = Row::of("F31a");
    everywhere("F31a", &Way::OF_A_SERVER, async |way, throw| {
        let scene = Scene::plain(way);
        let app = App::new(scene.provider(), throw, Duration::ZERO);
        let cookie = app.start().await;
        let before = scene.redis.cli(&["HGETALL", &key(&scene)]);
        let reply = app.get("/fill/30000", Some(&cookie)).await;
        assert_eq!((reply.status, row.statuses[0], reply.body.as_str()), (500, 500, ""));
        reply.assert_no_cookie();
        assert_eq!(scene.redis.cli(&["HGETALL", &key(&scene)]), before, "it was not sent");
        app.get("/fill/29000", Some(&cookie)).await.assert(200, "filled");
        app.get("/read", Some(&cookie)).await.assert(200, "dark");
    });
}

/// A session that grew without us to more than ten times the limit.
fn outgrown(name: &str, grow: &'static str) {
    let row = Row::of(name);
    // Reading it takes time, above all in a program that was not optimised.
    let patient = Setup { operation_timeout: Some(Duration::from_secs(20)), ..Setup::default() };
    everywhere(name, &Way::OF_A_SERVER, async |way, throw| {
        let scene = Scene::start(way, &patient);
        let cookie = App::new(scene.provider(), throw, Duration::ZERO).start().await;
        let key = key(&scene);
        scene.redis.cli(&["EVAL", grow, "1", &key]);
        let app = App::new(scene.provider(), throw, Duration::ZERO);
        let reply = app.get("/count", Some(&cookie)).await;
        reply.assert_no_cookie();
        if way == Way::BehindTwemproxy && row.outcome(way) != &row.outcome {
            // So much may take the proxy longer than its pool's `timeout`.
            return assert!(row.outcome(way).statuses().contains(&reply.status) || !throw, "{reply:?}");
        }
        assert_eq!((vec![reply.status], reply.body.as_str()), (row.statuses.clone(), ""));
        assert_eq!(app.last_session().unwrap().contains("theme").unwrap_err().kind(), row.outcome.kinds[0]);
        // It can be ended all the same.
        let reply = app.get("/logout", Some(&cookie)).await;
        reply.assert(200, "bye");
        assert!(reply.cookie().ends_with('='));
        assert_eq!(scene.redis.cli(&["EXISTS", &key]), "0");
    });
}

#[test]
fn f31b_a_hundred_thousand_attributes() {
    outgrown("F31b", "for i = 1, 100000 do redis.call('HSET', KEYS[1], 'attribute ' .. i, i) end");
}

#[test]
fn f31c_ten_megabytes() {
    outgrown("F31c", "redis.call('HSET', KEYS[1], 'filling', '\"' .. string.rep('x', 10000000) .. '\"')");
}

#[test]
fn f31d_a_key_of_twenty_kilobytes() {
    let row = Row::of("F31d");
    everywhere("F31d", &Way::OF_A_SERVER, async |way, throw| {
        let scene = Scene::plain(way);
        let long =
            KeyDerivation::custom(|_, id| SessionKey::new(format!("{}{}", "k".repeat(20_000), id.fingerprint())));
        let app = App::with(scene.provider(), |builder| builder.throw_on_error(throw).key_derivation(long));
        let cookie = App::new(scene.provider(), throw, Duration::ZERO).start().await;
        let before = scene.redis.command_counts();
        let reply = app.get("/read", Some(&cookie)).await;
        row.assert_seen(way, throw, &app, &reply, "none");
        let reply = app.get("/write", None).await;
        reply.assert_no_cookie();
        row.assert_kind(way, app.last_error().kind());
        assert_eq!(scene.redis.command_counts(), before, "nothing was sent");
    });
}

/// What the server would not take is not sent to it.
#[test]
fn f23_a_value_over_the_servers_limit() {
    let row = Row::of("F23");
    everywhere("F23", &Way::OF_A_SERVER, async |way, throw| {
        const LIMIT: usize = 1 << 20;
        let scene = Scene::start(way, &Setup { max_value_bytes: Some(LIMIT), ..Setup::default() });
        scene.redis.cli(&["CONFIG", "SET", "proto-max-bulk-len", &LIMIT.to_string()]);
        let app = App::with(scene.provider(), |builder| builder.throw_on_error(throw).max_session_bytes(20 << 20));
        let cookie = app.start().await;
        let before = scene.redis.cli(&["HGETALL", &key(&scene)]);
        let reply = app.get("/fill/5000000", Some(&cookie)).await;
        assert_eq!((vec![reply.status], reply.body.as_str()), (row.statuses.clone(), ""));
        assert_eq!(scene.redis.cli(&["HGETALL", &key(&scene)]), before);
        app.get("/fill/1000000", Some(&cookie)).await.assert(200, "filled");
        app.get("/read", Some(&cookie)).await.assert(200, "dark");
    });
}
