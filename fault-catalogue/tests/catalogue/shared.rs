//! Sessions that several requests have at the same time.

use std::time::Duration;

use crate::harness::{App, Row, Scene, Way, everywhere};
use session_core::Effect;
use tokio::task::JoinHandle;

fn start(app: &App, path: &'static str, cookie: &str) -> JoinHandle<crate::harness::Reply> {
    let (app, cookie) = (app.clone(), cookie.to_owned());
    tokio::spawn(async move { app.get(path, Some(&cookie)).await })
}

#[test]
fn f39_a_thousand_requests_of_one_session() {
    everywhere("F39", &Way::OF_A_SERVER, async |way, throw| {
        let scene = Scene::plain(way);
        let cookie = App::new(scene.provider(), throw, Duration::ZERO).start().await;
        let app = App::new(scene.provider(), throw, Duration::ZERO);
        scene.redis.cli(&["CONFIG", "RESETSTAT"]);
        let requests: Vec<_> = (0..1000).map(|_| start(&app, "/count/wait", &cookie)).collect();
        app.gate().wait_for(1000).await;
        app.gate().open();
        for request in requests {
            request.await.unwrap().assert(200, "counted");
        }
        let counts = scene.redis.command_counts();
        let loads = counts.get("hgetall").copied().unwrap_or_default();
        let scripts: u64 = ["eval", "evalsha"].iter().filter_map(|name| counts.get(*name)).sum();
        assert_eq!(loads, 1, "{counts:?}");
        assert!(scripts < 100, "{counts:?}");
        let other = App::new(scene.past(), true, Duration::ZERO);
        assert_eq!(other.stored(&cookie, "visits").await.as_deref(), Some("1001"));
    });
}

/// One request has the session; another cannot open it; the first goes on when the server is back.
#[test]
fn f40_a_load_fails_while_others_have_the_session() {
    let row = Row::of("F40");
    everywhere("F40", &Way::ALL, async |way, throw| {
        let mut scene = Scene::plain(way);
        let app = App::new(scene.provider(), throw, Duration::ZERO);
        let cookie = app.start().await;
        let holding = start(&app, "/wait/count", &cookie);
        app.gate().wait_for(1).await;
        drop(app.last_session());
        scene.kill();
        let reply = app.get("/read", Some(&cookie)).await;
        row.assert_seen(way, throw, &app, &reply, "none");
        scene.restart();
        // It has found its connection again.
        while app.get("/read", Some(&cookie)).await.body != "dark" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        app.gate().open();
        holding.await.unwrap().assert(200, "2");
        let other = App::new(scene.past(), true, Duration::ZERO);
        assert_eq!(other.stored(&cookie, "visits").await.as_deref(), Some("2"));
    });
}

#[test]
fn f41_a_commit_fails_while_others_have_the_session() {
    let row = Row::of("F41");
    everywhere("F41", &Way::OF_A_SERVER, async |way, throw| {
        let scene = Scene::plain(way);
        let app = App::new(scene.provider(), throw, Duration::ZERO);
        let cookie = app.start().await;
        let refuse = |refuse| drop(scene.redis.cli(&["CONFIG", "SET", "min-replicas-to-write", refuse]));
        let other = App::new(scene.past(), true, Duration::ZERO);

        // Nobody else has it: what was changed is dropped, and that is said.
        refuse("1");
        let reply = app.get("/count", Some(&cookie)).await;
        row.assert_seen(way, throw, &app, &reply, "2");
        assert_eq!(app.last_error().effect(), Effect::NotApplied);
        refuse("0");
        app.get("/write", Some(&cookie)).await.assert(200, "written");
        assert_eq!(other.stored(&cookie, "visits").await.as_deref(), Some("1"));

        // Another request has it: what was changed travels with its commit, and that is said.
        let holding = start(&app, "/wait/count", &cookie);
        app.gate().wait_for(1).await;
        drop(app.last_session());
        refuse("1");
        let reply = app.get("/count", Some(&cookie)).await;
        row.assert_seen(way, throw, &app, &reply, "2");
        assert_eq!(app.last_error().effect(), Effect::PerhapsApplied);
        assert!(app.last_error().to_string().contains("may still be applied"), "{}", app.last_error());
        refuse("0");
        app.gate().open();
        holding.await.unwrap().assert(200, "3");
        assert_eq!(other.stored(&cookie, "visits").await.as_deref(), Some("3"));
    });
}

const PARALLEL: usize = 20;

/// Parked requests of one process around what another one does.
async fn around(way: Way, throw: bool, path: &str) {
    let scene = Scene::plain(way);
    let provider = scene.provider();
    let [one, two] = [(); 2].map(|()| App::new(provider.clone(), throw, Duration::ZERO));
    for (here, there) in [(&one, &one), (&one, &two)] {
        here.gate().close();
        let old = here.start().await;
        let parked: Vec<_> =
            (0..PARALLEL).map(|n| start(here, if n % 2 == 0 { "/read/wait" } else { "/count/wait" }, &old)).collect();
        here.gate().wait_for(PARALLEL).await;
        let reply = there.get(path, Some(&old)).await;
        assert_eq!(reply.status, 200);
        let set = reply.cookie();
        assert_ne!(set, old);
        here.gate().open();
        for request in parked {
            // A change that came too late is refused, if errors are told; no cookie is touched.
            let reply = request.await.unwrap();
            assert!(reply.status == 200 || (throw && reply.status == 409), "{reply:?}");
            reply.assert_no_cookie();
        }
        let late: Vec<_> = (0..PARALLEL)
            .map(|n| start([here, there][n / 2 % 2], if n % 2 == 0 { "/read" } else { "/user" }, &old))
            .collect();
        for request in late {
            let reply = request.await.unwrap();
            assert!(["none", "nobody"].contains(&reply.body.as_str()), "{reply:?}");
            reply.assert_no_cookie();
        }
        if path == "/login" {
            here.get("/user", Some(&set)).await.assert(200, "ann");
            there.get("/read", Some(&set)).await.assert(200, "dark");
        } else {
            assert!(set.ends_with('='), "it is removed: {set}");
        }
    }
}

#[test]
fn f49_parallel_requests_around_a_login() {
    everywhere("F49", &Way::OF_A_SERVER, async |way, throw| around(way, throw, "/login").await);
}

#[test]
fn f49_parallel_requests_around_a_logout() {
    everywhere("F49", &Way::OF_A_SERVER, async |way, throw| around(way, throw, "/logout").await);
}
