//! Sessions that are lost, and requests that do not come to their end.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use crate::harness::{App, Reply, Row, Scene, Way, eventually, everywhere};

/// A request that has read its session waits; then the session is lost; then the request writes.
fn lost_in_the_midst(name: &str, lose: impl Fn(&mut Scene) + Sync) {
    let row = Row::of(name);
    everywhere(name, &Way::OF_A_SERVER, async |way, throw| {
        let mut scene = Scene::plain(way);
        let provider = scene.provider();
        let app = App::new(Arc::clone(&provider), throw, Duration::ZERO);
        let cookie = app.start().await;
        let under_way = {
            let (app, cookie) = (app.clone(), cookie.clone());
            tokio::spawn(async move { app.get("/wait/count", Some(&cookie)).await })
        };
        app.gate().wait_for(1).await;
        lose(&mut scene);
        // The connection that was lost with it, if it was, is another matter.
        let witness = App::new(Arc::clone(&provider), true, Duration::ZERO);
        while witness.get("/start", None).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        app.gate().open();
        // It has waited for the test.
        let reply = Reply { took: Duration::ZERO, ..under_way.await.unwrap() };
        row.assert_seen(way, throw, &app, &reply, "2");

        // Whoever comes later gets nothing of it, and a fresh id if he writes.
        let later = App::new(scene.provider(), throw, Duration::ZERO);
        let reply = later.get("/read", Some(&cookie)).await;
        reply.assert(200, "none");
        reply.assert_no_cookie();
        let reply = later.get("/count", Some(&cookie)).await;
        reply.assert(200, "1");
        assert_ne!(reply.cookie(), cookie);
        scene.assert_all_expire();
    });
}

#[test]
fn f5_restarted_without_its_data() {
    lost_in_the_midst("F5", |scene| {
        scene.redis.kill();
        fs::remove_dir_all(scene.redis.folder().join("appendonlydir")).unwrap();
        scene.redis.restart().unwrap();
    });
}

#[test]
fn f44_evicted_in_the_midst() {
    lost_in_the_midst("F44", |scene| {
        scene.redis.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
        scene.redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
        eventually("it is evicted", || scene.keys().is_empty());
        scene.redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    });
}

#[test]
fn f35_the_handler_panics() {
    everywhere("F35", &Way::OF_A_SERVER, async |way, throw| {
        let scene = Scene::plain(way);
        let app = App::with(scene.provider(), |it| it.throw_on_error(throw).keep_for(Duration::ZERO));
        let cookie = app.start().await;
        drop(app.last_session());
        for _ in 0..10 {
            let (app, cookie) = (app.clone(), cookie.clone());
            let panicked = tokio::spawn(async move { app.get("/panic", Some(&cookie)).await }).await;
            assert!(panicked.unwrap_err().is_panic());
        }
        app.manager.shutdown().await;
        assert_eq!(app.manager.live_sessions(), 0, "nobody holds it any more");
        let other = App::new(scene.past(), true, Duration::ZERO);
        assert_eq!(other.stored(&cookie, "visits").await.as_deref(), Some("11"));
        app.get("/read", Some(&cookie)).await.assert(200, "dark");
    });
}

#[test]
fn f36_the_client_hangs_up() {
    everywhere("F36", &Way::OF_A_SERVER, async |way, throw| {
        let scene = Scene::plain(way);
        let app = App::with(scene.provider(), |it| it.throw_on_error(throw).keep_for(Duration::ZERO));
        let cookie = app.start().await;
        for _ in 0..10 {
            let (here, cookie) = (app.clone(), cookie.clone());
            let request = tokio::spawn(async move { here.get("/count/wait", Some(&cookie)).await });
            app.gate().wait_for(1).await;
            request.abort();
            assert!(request.await.unwrap_err().is_cancelled());
            drop(app.last_session());
        }
        app.manager.shutdown().await;
        assert_eq!(app.manager.live_sessions(), 0, "nobody holds it any more");
        let other = App::new(scene.past(), true, Duration::ZERO);
        assert_eq!(other.stored(&cookie, "visits").await.as_deref(), Some("11"));
    });
}

/// The request is gone, its commit waits for a slow server, and the program ends.
#[test]
fn f37_the_program_ends() {
    everywhere("F37", &Way::OF_A_SERVER, async |way, throw| {
        let scene = Scene::wired(way);
        let app = App::new(scene.provider(), throw, Duration::from_secs(2));
        let cookie = app.start().await;
        let request = {
            let (app, cookie) = (app.clone(), cookie.clone());
            tokio::spawn(async move { app.get("/count/wait", Some(&cookie)).await })
        };
        app.gate().wait_for(1).await;
        scene.wire().delay(test_support::Direction::ToServer, Duration::from_millis(200));
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        drop(app.last_session());
        let other = App::new(scene.past(), true, Duration::ZERO);
        assert_eq!(other.stored(&cookie, "visits").await.as_deref(), Some("1"), "it is under way");
        app.manager.shutdown().await;
        assert_eq!(other.stored(&cookie, "visits").await.as_deref(), Some("2"));
    });
}
