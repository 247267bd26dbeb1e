//! Callbacks of the application that do what they should not, several connections, and hostile clients.

use std::sync::Arc;
use std::time::Duration;

use crate::harness::{App, ON_PURPOSE, Row, Scene, Way, everywhere};
use session_core::{
    Connection, Error, ErrorKind, KeyDerivation, Operation, RequestContext, SessionKey, SessionManager,
};
use session_serde::Codec;
use session_tower::SessionLayer;

#[test]
fn f43a_a_key_callback_that_fails() {
    let row = Row::of("F43a");
    everywhere("F43a", &Way::OF_A_SERVER, async |way, throw| {
        let scene = Scene::plain(way);
        let cookie = App::new(scene.provider(), throw, Duration::ZERO).start().await;
        let failing: [fn() -> session_core::Result<SessionKey>; 5] = [
            || panic!("{ON_PURPOSE}"),
            || Err(Error::new(ErrorKind::KeyCallback, Operation::Route, "no tenant")),
            || SessionKey::new(""),
            || SessionKey::new("k".repeat(1_000_000)),
            || SessionKey::new("key\r\nFLUSHALL"),
        ];
        for fails in failing {
            let keys = KeyDerivation::custom(move |_, _| fails());
            let app = App::with(scene.provider(), |builder| builder.throw_on_error(throw).key_derivation(keys));
            scene.redis.cli(&["CONFIG", "RESETSTAT"]);
            let reply = app.get("/read", Some(&cookie)).await;
            row.assert_seen(way, throw, &app, &reply, "none");
            let reply = app.get("/write", None).await;
            reply.assert_no_cookie();
            assert_eq!(reply.status, if throw { row.statuses[0] } else { 200 });
            row.assert_kind(way, app.last_error().kind());
            assert!(scene.redis.command_counts().is_empty(), "{:?}", scene.redis.command_counts());
        }
        App::new(scene.provider(), throw, Duration::ZERO).get("/read", Some(&cookie)).await.assert(200, "dark");
    });
}

#[test]
fn f43b_a_key_callback_that_maps_two_ids_to_one_key() {
    let row = Row::of("F43b");
    everywhere("F43b", &Way::OF_A_SERVER, async |way, throw| {
        let scene = Scene::plain(way);
        let provider = scene.provider();
        let process = || {
            let keys = KeyDerivation::custom(|_, _| SessionKey::new("the only key"));
            App::with(Arc::clone(&provider), |builder| builder.throw_on_error(throw).key_derivation(keys))
        };
        let app = process();
        let cookie = app.start().await;
        let stranger = App::new(Arc::clone(&provider), true, Duration::ZERO).start().await;
        // In the same process, and in one that has not seen the session yet.
        for app in [&app, &process()] {
            let reply = app.get("/read", Some(&stranger)).await;
            row.assert_seen(way, throw, app, &reply, "none");
            let reply = app.get("/write", None).await;
            reply.assert_no_cookie();
            assert_eq!(reply.status, if throw { row.statuses[0] } else { 200 });
            row.assert_kind(way, app.last_error().kind());
            app.get("/read", Some(&cookie)).await.assert(200, "dark");
        }
    });
}

/// Each request says on which connection its session is.
#[test]
fn f47_one_of_several_connections_is_down() {
    let row = Row::of("F47");
    everywhere("F47", &Way::ALL, async |way, throw| {
        struct Tenant(String);
        let (north, mut south) = (Scene::plain(way), Scene::plain(way));
        let manager = SessionManager::builder(north.provider(), Codec::default())
            .connection("south", south.provider())
            .connection_callback(|context, _| {
                Ok(Connection::named(context.get::<Tenant>().map_or("default", |tenant| tenant.0.as_str())))
            })
            .throw_on_error(throw)
            .build()
            .unwrap();
        let layer = SessionLayer::new(manager.clone()).with_context(|parts| {
            let host = parts.headers.get("host").and_then(|host| host.to_str().ok());
            host.map_or_else(RequestContext::default, |host| RequestContext::new(Tenant(host.to_owned())))
        });
        let app = App::below(layer, manager);
        let in_the_south = [("host", "south")];
        let northern = app.start().await;
        let southern = app.get_with("/start", None, &in_the_south).await.cookie();
        south.kill();
        for _ in 0..3 {
            let reply = app.get_with("/read", Some(&southern), &in_the_south).await;
            row.assert_seen(way, throw, &app, &reply, "none");
            assert_eq!(app.last_error().connection(), Some("south"));
            let reply = app.get("/read", Some(&northern)).await;
            reply.assert(200, "dark");
            assert!(reply.took < Duration::from_secs(1), "{reply:?}");
            app.get("/count", Some(&northern)).await;
        }
        app.get("/visits", Some(&northern)).await.assert(200, "4");
        south.restart();
        while app.get_with("/read", Some(&southern), &in_the_south).await.body != "dark" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        app.get_with("/count", Some(&southern), &in_the_south).await.assert(200, "2");
        assert_eq!((north.keys().len(), south.keys().len()), (1, 1));
    });
}

#[test]
fn f48_hostile_cookies() {
    everywhere("F48", &Way::OF_A_SERVER, async |way, throw| {
        let scene = Scene::plain(way);
        let app = App::new(scene.provider(), throw, Duration::ZERO);
        let cookie = app.start().await;
        scene.redis.cli(&["CONFIG", "RESETSTAT"]);
        let id = cookie.split_once('=').unwrap().1;
        let hostile = [
            format!("{cookie}x"),
            format!("__Host-session=\"{id}\""),
            format!("__Host-session={}", &id[1..]),
            format!("__Host-session={}", "A".repeat(8_000)),
            "__Host-session=%00{}".to_owned(),
            "__Host-session=ä".to_owned(),
            "__Host-session=".to_owned(),
            format!("__Host-session={}!", &id[1..]),
        ];
        for hostile in hostile {
            let reply = app.get("/read", Some(&hostile)).await;
            reply.assert(200, "none");
            reply.assert_no_cookie();
        }
        assert!(scene.redis.command_counts().is_empty(), "{:?}", scene.redis.command_counts());
        app.get("/read", Some(&cookie)).await.assert(200, "dark");
    });
}
