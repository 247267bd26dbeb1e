//! Clocks that jump, here and at the server.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{App, Scene, Way};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(test);
}

/// A day passes here and none at the server, which alone knows how long a session lives.
#[test]
fn f33_a_day_passes_here_alone() {
    for (way, throw) in Way::OF_A_SERVER.into_iter().flat_map(|way| [(way, true), (way, false)]) {
        on_one_thread(async move {
            let scene = Scene::plain(way);
            let app = App::with(scene.provider(), |builder| {
                builder.throw_on_error(throw).absolute_timeout(Duration::from_secs(60 * 60))
            });
            let cookie = app.start().await;
            for visits in 2..5 {
                tokio::time::pause();
                tokio::time::advance(DAY).await;
                tokio::time::resume();
                app.get("/read", Some(&cookie)).await.assert(200, "dark");
                app.get("/count", Some(&cookie)).await.assert(200, &visits.to_string());
            }
            let login = app.get("/login", Some(&cookie)).await;
            login.assert(200, "welcome");
            app.get("/read", Some(&login.cookie())).await.assert(200, "dark");
            scene.assert_all_expire();
        });
    }
}

/// The times in the header are those of a server whose clock is an hour behind, or ahead: they are kept, and no expiry is
/// computed from them.
#[test]
fn f33_the_servers_clock_differs_by_an_hour() {
    const HOUR: i64 = 60 * 60 * 1000;
    for (way, throw) in Way::OF_A_SERVER.into_iter().flat_map(|way| [(way, true), (way, false)]) {
        for jump in [-HOUR, HOUR] {
            on_one_thread(async move {
                let scene = Scene::plain(way);
                let app = App::new(scene.provider(), throw, Duration::ZERO);
                let cookie = app.start().await;
                let key = scene.keys().remove(0);
                let created: i64 = scene.redis.cli(&["HGET", &key, "@c"]).parse().unwrap();
                scene.redis.cli(&["HSET", &key, "@c", &(created + jump).to_string()]);
                assert_eq!(scene.redis.cli(&["EVAL", AGE_OF_WRITERS, "1", &key, &jump.to_string()]), "1");
                // Once as this process knows it, once in one that does not know it yet.
                for app in [&app, &App::new(scene.provider(), throw, Duration::ZERO)] {
                    app.get("/read", Some(&cookie)).await.assert(200, "dark");
                    assert_eq!(app.get("/count", Some(&cookie)).await.status, 200);
                    let left: i64 = scene.redis.cli(&["PTTL", &key]).parse().unwrap();
                    assert!((20 * 60_000..=22 * 60_000).contains(&left), "{left}");
                }
                app.get("/visits", Some(&cookie)).await.assert(200, "3");
                let new = app.get("/login", Some(&cookie)).await.cookie();
                app.get("/read", Some(&new)).await.assert(200, "dark");
                app.get("/read", Some(&cookie)).await.assert(200, "none");
            });
        }
    }
}

/// Moves the times of the writers' numbers, which are in seconds.
const AGE_OF_WRITERS: &str = "
    local moved, count = string.gsub(redis.call('HGET', KEYS[1], '@w'), ':(%d+):(%d+)', function(sequence, time)
        return ':' .. sequence .. ':' .. string.format('%d', tonumber(time) + ARGV[1] / 1000)
    end)
    redis.call('HSET', KEYS[1], '@w', moved)
    return count
";

/// Whatever happens to the clock on the wall here, no library looks at it; only the store in memory has to have one.
#[test]
fn f33_nobody_reads_the_wall_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = 0;
    let crates = ["session-core", "session-redis", "session-serde", "session-tower", "session-twemproxy"];
    let mut folders: Vec<PathBuf> = crates.map(|name| root.join(name).join("src")).to_vec();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                // The suite for other stores is a test.
                if !path.ends_with("conformance") {
                    folders.push(path);
                }
                continue;
            }
            files += 1;
            let reads_it = fs::read_to_string(&path).unwrap().contains("SystemTime::now");
            assert!(!reads_it || path.ends_with("memory/clock.rs"), "{}", path.display());
        }
    }
    assert!(files > 50);
}
