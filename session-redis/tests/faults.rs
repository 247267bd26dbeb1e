//! What goes wrong between us and the server, and what we promise then.

use secret_watch as _;

mod common;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use common::*;
use session_core::{
    Checked, Commit, Committed, Destroyed, Destruction, Effect, ErrorKind, Loaded, Renewal, Renewed, SessionProvider,
};
use session_redis::{RedisConfig, RedisProvider};

use test_support::{Direction, FaultProxy, Random, RedisServer, soak_factor, test_seed};

const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

fn behind_proxy() -> (RedisServer, FaultProxy, RedisProvider) {
    let server = RedisServer::spawn().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let provider = provider(&proxy.url());
    (server, proxy, provider)
}

fn patient(url: &str, operation_timeout: Duration) -> RedisProvider {
    RedisProvider::new(&RedisConfig::new().url(url).operation_timeout(operation_timeout)).unwrap()
}

async fn kind_of_load(provider: &RedisProvider) -> Option<ErrorKind> {
    let life = Life::new();
    provider.load(&life.key, life.writer).await.err().map(|error| error.kind())
}

#[test]
fn building_needs_neither_runtime_nor_server() {
    let provider = provider("redis://127.0.0.1:1");
    drop(provider);
}

#[test]
fn a_new_runtime_heals() {
    let (_server, provider) = server();
    let life = Life::new();
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { assert_eq!(life.load(&provider).await, Loaded::Absent) });
    };
    run();
    run();
    drop(provider);
}

#[tokio::test]
async fn nobody_there() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let provider = provider(&format!("redis://127.0.0.1:{port}"));
    let life = Life::new();
    let start = Instant::now();
    let error = provider.load(&life.key, life.writer).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.effect(), Effect::NotApplied);
    assert!(error.to_string().contains("connection refused"), "{error}");
    // Later calls wait for the next attempt, but not long.
    for _ in 0..10 {
        let start = Instant::now();
        assert_eq!(kind_of_load(&provider).await, Some(ErrorKind::Unavailable));
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    }
    let _server = RedisServer::builder().port(port).start().unwrap();
    let start = Instant::now();
    eventually("it heals", async || kind_of_load(&provider).await.is_none()).await;
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn killed_and_restarted() {
    let mut server =
        RedisServer::builder().arguments(["--appendonly", "yes", "--appendfsync", "always"]).start().unwrap();
    let provider = provider(&server.url());
    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    server.kill();
    // As soon as the loss was seen, which an idle connection does by itself.
    let check = async || provider.check(&life.key).await.err().map(|error| error.kind());
    eventually("the loss is seen", async || check().await == Some(ErrorKind::Unavailable)).await;
    let commit = life.change([increment("n", 1)]);
    let error = provider.commit(&life.key, &commit).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "nothing was sent: {error}");
    server.restart().unwrap();
    let mut committed = None;
    eventually("it heals", async || {
        committed = provider.commit(&life.key, &commit).await.ok();
        committed.is_some()
    })
    .await;
    assert!(matches!(committed, Some(Committed::Done { found: 1, .. })), "{committed:?}");
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "1");
}

#[tokio::test]
async fn restarted_without_data() {
    let (mut server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, []).await;
    server.restart().unwrap();
    assert_eq!(life.write(&provider, [set("a", "1")]).await, Committed::Gone);
    assert_eq!(life.load(&provider).await, Loaded::Absent);
}

#[tokio::test]
async fn idle_disconnect_is_not_noticed() {
    let (server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, []).await;
    for n in 1..=3 {
        // Not seen by the client before the next call.
        server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        assert!(matches!(life.write(&provider, [increment("n", 1)]).await, Committed::Done { .. }));
        assert_eq!(life.attribute(&provider, "n").await.unwrap(), n.to_string());
    }
    // The server's own time-out, which the client sees at once.
    server.cli(&["CONFIG", "SET", "timeout", "1"]);
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert!(matches!(life.write(&provider, [increment("n", 1)]).await, Committed::Done { .. }));
    }
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "5");
}

#[tokio::test]
async fn hung_server() {
    let (server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, []).await;
    server.pause();
    let commit = life.change([increment("n", 1)]);
    let start = Instant::now();
    let error = provider.commit(&life.key, &commit).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::OutcomeUnknown, Effect::PerhapsApplied), "{error}");
    let elapsed = start.elapsed();
    assert!((Duration::from_millis(990)..Duration::from_millis(1400)).contains(&elapsed), "{elapsed:?}");
    // The next attempt is on a new connection, which the kernel accepts and nobody answers.
    let error = provider.commit(&life.key, &commit).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    server.resume();
    let mut committed = None;
    eventually("it heals", async || {
        committed = provider.commit(&life.key, &Commit { repeated: true, ..commit.clone() }).await.ok();
        committed.is_some()
    })
    .await;
    assert!(matches!(committed, Some(Committed::Done { .. } | Committed::Already { .. })));
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "1", "the late execution does no harm");
}

#[tokio::test]
async fn slow_server() {
    let (server, proxy, _) = behind_proxy();
    let provider = patient(&proxy.url(), Duration::from_millis(300));
    let mut life = Life::new();
    life.create(&provider, []).await;
    server.cli(&["CLIENT", "PAUSE", "700", "WRITE"]);
    let commit = life.change([increment("n", 1)]);
    let error = provider.commit(&life.key, &commit).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    let mut committed = None;
    eventually("it heals", async || {
        committed = provider.commit(&life.key, &Commit { repeated: true, ..commit.clone() }).await.ok();
        committed.is_some()
    })
    .await;
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "1");
    assert!(proxy.accepted() >= 2, "the connection was not trusted after the timeout");
}

#[tokio::test]
async fn half_open() {
    let (_server, proxy, provider) = behind_proxy();
    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    proxy.swallow_existing();
    let start = Instant::now();
    let error = provider.load(&life.key, life.writer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert!(start.elapsed() < Duration::from_millis(1400));
    assert_eq!(life.attribute(&provider, "a").await.unwrap(), "1");
    assert_eq!(proxy.accepted(), 2);
}

/// Sends one commit through a connection that is cut after every number of bytes.
async fn cut_after_every_byte(direction: Direction) {
    let (server, proxy, _) = behind_proxy();
    let direct = provider(&server.url());
    let mut life = Life::new();
    life.sequence = 999;
    life.create(&direct, []).await;
    // Each time with a provider of its own, whose connection has just been made.
    let connected = async || {
        let provider = provider(&proxy.url());
        assert!(matches!(provider.check(&life.key).await.unwrap(), Checked::Present { .. }));
        provider
    };
    let (generation, writer) = (life.generation, life.writer);
    let batch =
        |sequence| Commit { sequence, ..Life { generation, writer, ..Life::new() }.change([increment("n", 1)]) };
    let provider = connected().await;
    let before = proxy.bytes(direction);
    assert!(matches!(provider.commit(&life.key, &batch(1001)).await.unwrap(), Committed::Done { .. }));
    let length = proxy.bytes(direction) - before;
    assert!(length > 10);
    for cut in 0..length {
        let provider = connected().await;
        proxy.cut_after(direction, cut);
        let commit = batch(1002 + cut);
        let expected = bytes((cut + 2).to_string());
        let committed = provider.commit(&life.key, &commit).await;
        assert!(!proxy.cut_is_pending(direction));
        match committed {
            Ok(Committed::Done { counters, .. }) => assert_eq!(counters, [expected]),
            Ok(Committed::Already { counters, .. }) => assert_eq!(counters, [Some(expected)]),
            other => panic!("{direction:?} {cut}: {other:?}"),
        }
        // And once more, as a caller would who got no answer.
        let again = provider.commit(&life.key, &Commit { repeated: true, ..commit }).await.unwrap();
        assert!(matches!(again, Committed::Already { .. }), "{direction:?} {cut}: {again:?}");
    }
    assert_eq!(life.attribute(&direct, "n").await.unwrap(), (length + 1).to_string());
}

#[tokio::test]
async fn a_request_cut_after_every_byte_is_applied_once() {
    cut_after_every_byte(Direction::ToServer).await;
}

#[tokio::test]
async fn a_reply_cut_after_every_byte_is_applied_once() {
    cut_after_every_byte(Direction::ToClient).await;
}

#[tokio::test]
async fn loads_and_checks_are_healed_too() {
    let (_server, proxy, provider) = behind_proxy();
    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    for direction in DIRECTIONS {
        for bytes in [0, 1, 5, 20, 40] {
            proxy.cut_after(direction, bytes);
            assert_eq!(life.attribute(&provider, "a").await.unwrap(), "1");
            proxy.cut_after(direction, bytes);
            assert!(matches!(provider.check(&life.key).await.unwrap(), Checked::Present { version: 1, .. }));
            assert!(!proxy.cut_is_pending(direction));
        }
    }
}

#[tokio::test]
async fn a_creation_that_is_sent_again_marks_the_session() {
    let (server, proxy, provider) = behind_proxy();
    Life::new().create(&provider, []).await;
    let mut life = Life::new();
    proxy.cut_after(Direction::ToClient, 0);
    let creation = life.creation([set("a", "1")]);
    let committed = provider.commit(&life.key, &creation).await.unwrap();
    assert!(matches!(committed, Committed::Already { .. } | Committed::Done { .. }));
    assert_eq!(server.cli(&["HEXISTS", life.key_text(), "@m"]), "1");
}

/// The last bytes of a creation are held back until its repetition was destroyed.
#[tokio::test]
async fn a_late_creation_stays_dead() {
    let (server, proxy, _) = behind_proxy();
    let provider = patient(&proxy.url(), Duration::from_millis(300));
    Life::new().create(&provider, []).await;
    let mut life = Life::new();
    proxy.hold_after(Direction::ToServer, 150);
    let creation = life.creation([set("a", "1")]);
    let error = provider.commit(&life.key, &creation).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    // The proxy holds everything back, so the repetition takes the direct way.
    let direct = common::provider(&server.url());
    let repeated = Commit { repeated: true, ..creation.clone() };
    assert!(matches!(direct.commit(&life.key, &repeated).await.unwrap(), Committed::Done { .. }));
    let destruction = Destruction { generation: life.generation, leave_tombstone: false };
    assert_eq!(direct.destroy(&life.key, &destruction).await.unwrap(), Destroyed::Done);
    proxy.release(Direction::ToServer);
    eventually("the provider is back", async || kind_of_load(&provider).await.is_none()).await;
    assert_eq!(life.load(&direct).await, Loaded::Tombstone);
    assert_eq!(direct.commit(&life.key, &creation).await.unwrap(), Committed::Gone);
}

#[tokio::test]
async fn only_one_healing_then_the_truth() {
    let (mut server, proxy, provider) = behind_proxy();
    let mut life = Life::new();
    life.create(&provider, []).await;
    // The reply is lost, and then the server is.
    proxy.hold_after(Direction::ToClient, 0);
    let commit = life.change([increment("n", 1)]);
    let proxy = Arc::new(proxy);
    let cutting = {
        let proxy = proxy.clone();
        async move {
            let before = proxy.bytes(Direction::ToServer);
            eventually("the request is on its way", async || proxy.bytes(Direction::ToServer) > before).await;
            server.kill();
            proxy.cut_all();
            proxy.release(Direction::ToClient);
        }
    };
    let (result, ()) = tokio::join!(provider.commit(&life.key, &commit), cutting);
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::OutcomeUnknown, Effect::PerhapsApplied), "{error}");
}

#[tokio::test]
async fn garbage() {
    let (_server, proxy, provider) = behind_proxy();
    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    for garbage in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "*-7\r\n",
        "$99999999999999999999\r\n",
        "\0\0\0\0",
        "+\r\n+\r\n",
        ":1\r\n:2\r\n",
    ] {
        proxy.replace_next(Direction::ToClient, garbage);
        match provider.load(&life.key, life.writer).await {
            Ok(Loaded::Session(_)) => {}
            Ok(other) => panic!("{garbage:?}: {other:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{garbage:?}: {error}"),
        }
        assert_eq!(life.attribute(&provider, "a").await.unwrap(), "1", "after {garbage:?}");
    }
    // Replies to something else are never taken for an answer to a write.
    for garbage in [":7\r\n", "*1\r\n:1\r\n", "+OK\r\n", "$-1\r\n"] {
        proxy.replace_next(Direction::ToClient, garbage);
        let commit = life.change([increment("n", 1)]);
        let error = provider.commit(&life.key, &commit).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::OutcomeUnknown, Effect::PerhapsApplied));
        let again = provider.commit(&life.key, &Commit { repeated: true, ..commit }).await.unwrap();
        assert!(matches!(again, Committed::Already { .. }));
    }
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "4");
}

#[tokio::test]
async fn a_reply_in_single_bytes() {
    let (_server, proxy, provider) = behind_proxy();
    let mut life = Life::new();
    life.create(&provider, [set("a", "x".repeat(100))]).await;
    proxy.drip(Direction::ToClient, Some(Duration::from_millis(1)));
    assert_eq!(life.attribute(&provider, "a").await.unwrap().len(), 100);
    proxy.drip(Direction::ToClient, Some(Duration::from_millis(50)));
    assert_eq!(kind_of_load(&provider).await, None, "a short reply is there in time");
    let error = provider.load(&life.key, life.writer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    proxy.drip(Direction::ToClient, None);
    eventually("it heals", async || kind_of_load(&provider).await.is_none()).await;
}

#[tokio::test]
async fn a_cancelled_call_leaves_its_reply_to_nobody() {
    let (_server, proxy, provider) = behind_proxy();
    let provider = Arc::new(provider);
    let mut lives: Vec<_> = (0..20).map(|_| Life::new()).collect();
    for (n, life) in lives.iter_mut().enumerate() {
        life.create(&provider, [set("own", n.to_string())]).await;
    }
    let lives = Arc::new(lives);
    proxy.delay(Direction::ToClient, Duration::from_millis(2));
    for round in 0..30 {
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let (provider, lives) = (provider.clone(), lives.clone());
                tokio::spawn(async move {
                    let life = &lives[n];
                    // Every second one gives up at some moment of its call.
                    let patience = match n % 2 {
                        0 => Duration::from_micros(100 * (round + n as u64)),
                        _ => Duration::from_secs(5),
                    };
                    let load = life.attribute(&provider, "own");
                    if let Ok(own) = tokio::time::timeout(patience, load).await {
                        assert_eq!(own.unwrap(), n.to_string());
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
    assert_eq!(proxy.accepted(), 1, "nothing was wrong with the connection");
}

#[tokio::test]
async fn out_of_memory() {
    let (server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    let mut rotated = Life::new();
    rotated.create(&provider, []).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let mut fresh = Life::new();
    for (key, commit) in [
        (&life.key.clone(), life.change([set("a", "2"), remove("b"), increment("n", 1)])),
        (&life.key.clone(), life.change([remove("a")])),
        (&fresh.key.clone(), fresh.creation([])),
    ] {
        let error = provider.commit(key, &commit).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Rejected, Effect::NotApplied), "{error}");
    }
    let session = life.session(&provider).await;
    assert_eq!((session.header.version, session.attributes), (1, vec![(name("a"), bytes("1"))]));
    // Refreshing, ending and retiring need no memory.
    let renewal = Renewal { generation: life.generation, time_to_live: 2 * MINUTE };
    assert_eq!(provider.renew(&life.key, &renewal).await.unwrap(), Renewed::Done { remaining: 2 * MINUTE });
    let destruction = Destruction { generation: life.generation, leave_tombstone: true };
    assert_eq!(provider.destroy(&life.key, &destruction).await.unwrap(), Destroyed::Done);
    assert_eq!(life.load(&provider).await, Loaded::Tombstone);
    let absent = Life::new();
    assert_eq!(provider.destroy(&absent.key, &destruction).await.unwrap(), Destroyed::NothingFound);
    assert_eq!(absent.load(&provider).await, Loaded::Tombstone);
    let retirement =
        session_core::Retirement { generation: rotated.generation, version: 1, successor: life.generation };
    assert_eq!(provider.retire(&rotated.key, &retirement).await.unwrap(), session_core::Retired::Done);
    assert_eq!(rotated.load(&provider).await, Loaded::Tombstone);
}

/// A commit to a server in a state in which it takes none.
async fn refused(provider: &RedisProvider, life: &mut Life) -> session_core::Error {
    let commit = life.change([set("a", "2")]);
    let error = provider.commit(&life.key, &commit).await.unwrap_err();
    assert_eq!(error.effect(), Effect::NotApplied, "{error}");
    let text = format!("{error} {error:?}");
    assert!(!text.contains(life.key_text()), "{text}");
    error
}

#[tokio::test]
async fn read_only_replica() {
    let (server, proxy, provider) = behind_proxy();
    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = refused(&provider, &mut life).await;
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("READONLY"));
    assert_eq!(life.attribute(&provider, "a").await.unwrap(), "1", "reading works");
    assert_eq!(proxy.accepted(), 2, "it looked for another server");
    server.cli(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    let error = provider.load(&life.key, life.writer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("MASTERDOWN"));
    server.cli(&["REPLICAOF", "NO", "ONE"]);
    assert!(matches!(life.write(&provider, [set("a", "2")]).await, Committed::Done { .. }));
}

#[tokio::test]
async fn too_few_replicas_and_no_disk() {
    let server = RedisServer::builder().arguments(["--enable-protected-configs", "yes"]).start().unwrap();
    let provider = provider(&server.url());
    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let error = refused(&provider, &mut life).await;
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("NOREPLICAS"));
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);

    server.cli(&["CONFIG", "SET", "save", "1 1"]);
    server.cli(&["CONFIG", "SET", "rdbcompression", "no"]);
    let folder = server.folder().join("gone");
    std::fs::create_dir(&folder).unwrap();
    server.cli(&["CONFIG", "SET", "dir", folder.to_str().unwrap()]);
    std::fs::remove_dir(&folder).unwrap();
    server.cli(&["BGSAVE"]);
    eventually("saving fails", async || server.cli(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err"))
        .await;
    let error = refused(&provider, &mut life).await;
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("MISCONF"), "{error}");
    assert_eq!(life.attribute(&provider, "a").await.unwrap(), "1", "reading works");
}

#[tokio::test]
async fn credentials() {
    let server = RedisServer::builder().arguments(["--requirepass", "open-sesame"]).start().unwrap();
    let port = server.port();
    for url in [
        format!("redis://127.0.0.1:{port}"),
        format!("redis://:open-door@127.0.0.1:{port}"),
        format!("redis://nobody:open-door@127.0.0.1:{port}"),
    ] {
        let provider = provider(&url);
        let mut life = Life::new();
        for _ in 0..2 {
            let error = refused(&provider, &mut life).await;
            assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
            assert!(!format!("{error} {error:?} {provider:?}").contains("open-door"));
        }
    }
    let provider = provider(&format!("redis://:open-sesame@127.0.0.1:{port}"));
    let mut life = Life::new();
    life.create(&provider, []).await;
    // A user without rights to write.
    let as_admin = |arguments: &[&str]| server.cli(&[&["--no-auth-warning", "-a", "open-sesame"], arguments].concat());
    as_admin(&["ACL", "SETUSER", "reader", "on", ">open-door", "~*", "+@all", "-hset"]);
    let reader = common::provider(&format!("redis://reader:open-door@127.0.0.1:{port}"));
    let error = refused(&reader, &mut life).await;
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    as_admin(&["ACL", "SETUSER", "reader", "-hgetall"]);
    assert_eq!(kind_of_load(&reader).await, Some(ErrorKind::Auth));
    // Without the right to set an expiry nothing is created, since it would never end.
    as_admin(&["ACL", "SETUSER", "reader", "+@all", "-pexpire"]);
    let mut fresh = Life::new();
    let creation = fresh.creation([]);
    assert_eq!(reader.commit(&fresh.key, &creation).await.unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(fresh.load(&provider).await, Loaded::Absent);
    as_admin(&["ACL", "SETUSER", "reader", "+@all"]);
    assert!(matches!(life.write(&reader, []).await, Committed::Done { .. }));
}

#[tokio::test]
async fn databases() {
    let server = RedisServer::spawn().unwrap();
    let zero = provider(&server.url());
    let three = provider(&format!("{}/3", server.url()));
    let mut life = Life::new();
    life.create(&three, []).await;
    assert_eq!(life.load(&zero).await, Loaded::Absent);
    assert_eq!(server.cli(&["-n", "3", "EXISTS", life.key_text()]), "1");
    let error = refused(&provider(&format!("{}/77", server.url())), &mut life).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`database`"), "{error}");
}

#[tokio::test]
async fn unix_socket() {
    let server = RedisServer::spawn().unwrap();
    let path = server.socket();
    for config in [
        RedisConfig::new().unix_socket(&path).database(2),
        RedisConfig::new().url(format!("redis+unix://{}?db=2", path.display())),
        RedisConfig::new().url(format!("unix://{}?db=2", path.display())),
    ] {
        let provider = RedisProvider::new(&config).unwrap();
        let mut life = Life::new();
        life.create(&provider, []).await;
        assert_eq!(server.cli(&["-n", "2", "EXISTS", life.key_text()]), "1");
    }
    let provider = RedisProvider::new(&RedisConfig::new().unix_socket(path.with_extension("other"))).unwrap();
    assert_eq!(kind_of_load(&provider).await, Some(ErrorKind::Unavailable));
}

#[tokio::test]
async fn too_many_clients() {
    let (server, provider) = server();
    server.cli(&["CONFIG", "SET", "maxclients", "1"]);
    let other = {
        let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
        stream.write_all(b"PING\r\n").unwrap();
        stream.read_exact(&mut [0; 7]).unwrap();
        stream
    };
    let mut life = Life::new();
    let error = refused(&provider, &mut life).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("too many clients"), "{error}");
    drop(other);
    eventually("there is room", async || kind_of_load(&provider).await.is_none()).await;
}

#[tokio::test]
async fn busy_with_a_script() {
    let (server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, []).await;
    server.cli(&["CONFIG", "SET", "busy-reply-threshold", "50"]);
    let mut endless = std::net::TcpStream::connect(server.address()).unwrap();
    endless.write_all(b"EVAL \"while true do end\" 0\r\n").unwrap();
    let mut error = None;
    eventually("it is busy", async || {
        let commit = life.change([]);
        error = provider.commit(&life.key, &commit).await.err();
        error.as_ref().is_some_and(|error| error.kind() == ErrorKind::Unavailable)
    })
    .await;
    assert!(error.unwrap().to_string().contains("BUSY"));
    server.cli(&["SCRIPT", "KILL"]);
    eventually("it is not busy", async || kind_of_load(&provider).await.is_none()).await;
}

#[tokio::test]
async fn loading() {
    let mut server = RedisServer::builder()
        .arguments([
            "--appendonly",
            "yes",
            "--key-load-delay",
            "1000",
            "--loading-process-events-interval-bytes",
            "1024",
        ])
        .start()
        .unwrap();
    let provider = provider(&server.url());
    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    server.cli(&["EVAL", "for i = 1, 2000 do redis.call('SET', 'key' .. i, i) end", "0"]);
    server.cli(&["BGREWRITEAOF"]);
    eventually("it is rewritten", async || server.cli(&["INFO", "persistence"]).contains("aof_rewrite_in_progress:0"))
        .await;
    server.restart().unwrap();
    let error = provider.load(&life.key, life.writer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert!(error.to_string().contains("LOADING"), "{error}");
    eventually("it is loaded", async || provider.load(&life.key, life.writer).await.is_ok()).await;
    assert_eq!(life.attribute(&provider, "a").await.unwrap(), "1");
}

#[tokio::test]
async fn a_cluster_node_is_told_as_such() {
    let server = RedisServer::builder().arguments(["--cluster-enabled", "yes"]).start().unwrap();
    let provider = provider(&server.url());
    let mut life = Life::new();
    let error = refused(&provider, &mut life).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("CLUSTERDOWN"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_of_a_dead_server() {
    let (mut server, provider) = server();
    let provider = Arc::new(provider);
    assert_eq!(kind_of_load(&provider).await, None);
    server.kill();
    let start = Instant::now();
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let provider = provider.clone();
            tokio::spawn(async move { kind_of_load(&provider).await })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap(), Some(ErrorKind::Unavailable | ErrorKind::OutcomeUnknown)));
    }
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    server.restart().unwrap();
    eventually("it heals", async || kind_of_load(&provider).await.is_none()).await;
}

/// Closes all connections of a server but its own again and again, a few milliseconds apart.
fn close_connections(server: SocketAddr, until: Instant) {
    let mut random = Random::new(test_seed());
    let mut stream = std::net::TcpStream::connect(server).unwrap();
    while Instant::now() < until {
        stream.write_all(b"CLIENT KILL TYPE normal SKIPME yes\r\n").unwrap();
        assert_ne!(stream.read(&mut [0; 64]).unwrap(), 0);
        std::thread::sleep(Duration::from_micros(500 + random.below(2500) as u64));
    }
}

/// A connection is closed at any moment of the requests that share it: before, while and after they are handed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_connection_that_is_closed() {
    let patience = Duration::from_secs(4);
    let server = RedisServer::spawn().unwrap();
    let provider = Arc::new(patient(&server.url(), patience));
    let mut lives: Vec<_> = (0..8).map(|_| Life::new()).collect();
    for life in &mut lives {
        life.create(&provider, []).await;
    }
    let end = Instant::now() + Duration::from_secs(2) * u32::try_from(soak_factor()).unwrap();
    let address = server.address();
    let closing = tokio::task::spawn_blocking(move || close_connections(address, end));
    let visitors: Vec<_> = lives
        .into_iter()
        .map(|mut life| {
            let provider = provider.clone();
            tokio::spawn(async move {
                let mut visits = 0;
                while Instant::now() < end {
                    let mut commit = life.change([increment("n", 1)]);
                    visits += 1;
                    loop {
                        let start = Instant::now();
                        let committed = provider.commit(&life.key, &commit).await;
                        assert!(start.elapsed() < patience / 2, "{:?} for {committed:?}", start.elapsed());
                        match committed {
                            Ok(Committed::Done { .. } | Committed::Already { .. }) => break,
                            // Lost twice.
                            Err(error) if error.kind().is_retryable() => commit.repeated = true,
                            other => panic!("{other:?}"),
                        }
                    }
                }
                (life, visits)
            })
        })
        .collect();
    closing.await.unwrap();
    for visitor in visitors {
        let (life, visits) = visitor.await.unwrap();
        assert_eq!(life.attribute(&provider, "n").await.unwrap(), visits.to_string());
    }
}

#[tokio::test]
async fn several_connections() {
    let (server, proxy, _) = behind_proxy();
    let provider = RedisProvider::new(&RedisConfig::new().url(proxy.url()).connections(3)).unwrap();
    for _ in 0..9 {
        assert_eq!(kind_of_load(&provider).await, None);
    }
    assert_eq!(proxy.accepted(), 3);
    drop(provider);
    let clients = || server.cli(&["CLIENT", "LIST", "TYPE", "normal"]).lines().count();
    eventually("the connections are closed", async || clients() == 1).await;
}

#[tokio::test]
async fn outside_of_a_runtime_is_an_error() {
    let (_server, provider) = server();
    let provider = Arc::new(provider);
    let outside = || {
        let provider = provider.clone();
        let poll = move || {
            let life = Life::new();
            let mut load = provider.load(&life.key, life.writer);
            match load.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => result.unwrap_err(),
                Poll::Pending => panic!("it waits"),
            }
        };
        std::thread::spawn(poll).join().unwrap()
    };
    assert_eq!(outside().kind(), ErrorKind::Unavailable);
    assert_eq!(kind_of_load(&provider).await, None);
    assert_eq!(outside().kind(), ErrorKind::Unavailable, "also when it is connected");
}
