//! Several servers and databases behind one manager: each session lies where the callback said, and a server that is
//! down is nobody else's trouble.

use secret_watch as _;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use session_core::conformance::Random;
use session_core::{
    Connection, Error, ErrorKind, KeyDerivation, RequestContext, SessionId, SessionKey, SessionManager,
};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Json;
use test_support::{RedisServer, soak_factor, test_seed};

type Manager = SessionManager<Json>;

/// A manager whose callback finds its answer in the context.
fn manager() -> Manager {
    let provider = RedisProvider::new(&RedisConfig::new().port(1)).unwrap();
    SessionManager::builder(provider, Json)
        .connection_callback(|context, _| Ok(context.get::<Connection>().cloned().unwrap_or_default()))
        .key_derivation(KeyDerivation::plain("s:"))
        .build()
        .unwrap()
}

fn to(connection: &Connection) -> RequestContext {
    RequestContext::new(connection.clone())
}

async fn visit(manager: &Manager, connection: &Connection, id: Option<&SessionId>) -> Result<(SessionId, i64), Error> {
    let session = manager.open(&to(connection), id).await?;
    let visits = session.increment("visits", 1)?;
    session.close().await.result?;
    Ok((session.id().expect("it is stored"), visits))
}

fn key(id: &SessionId) -> String {
    format!("s:{}", id.expose())
}

#[tokio::test]
async fn sessions_lie_in_the_database_that_was_chosen() {
    let (first, second) = (RedisServer::spawn().unwrap(), RedisServer::spawn().unwrap());
    let options = |server: &RedisServer, path: &str| RedisConfig::new().url(format!("{}{path}", server.url()));
    let one = Connection::named("one").with_options(options(&first, ""));
    let two = Connection::named("two").with_options(options(&second, "/3"));
    let places = [
        (&first, "0", one.clone()),
        (&first, "1", one.clone().with_database(1)),
        (&first, "15", one.with_database(15)),
        (&second, "3", two.clone()),
        (&second, "0", two.with_database(0)),
    ];
    let manager = manager();
    let mut random = Random::new(test_seed());
    let mut all = Vec::new();
    for _ in 0..20 {
        let place = random.below(places.len());
        let (id, visits) = visit(&manager, &places[place].2, None).await.unwrap();
        assert_eq!(visits, 1);
        all.push((place, id, 1));
    }
    // The same ids in other databases of the same server: sessions of their own.
    for database in ["1", "15"] {
        let copied: Vec<_> = all.iter().filter(|(place, ..)| *place == 0).cloned().collect();
        for (_, id, visits) in copied {
            let place = places.iter().position(|(_, it, _)| *it == database).unwrap();
            assert_eq!(first.cli(&["COPY", &key(&id), &key(&id), "DB", database]), "1");
            all.push((place, id, visits));
        }
    }
    for _ in 0..300 * soak_factor() {
        let number = random.below(all.len());
        let (place, id, visits) = &mut all[number];
        if random.percent(20) {
            // Where it is not known, it is not adopted.
            let elsewhere = random.below(places.len());
            let id = *id;
            if all.iter().all(|known| (known.0, known.1) != (elsewhere, id)) {
                let (new, visits) = visit(&manager, &places[elsewhere].2, Some(&id)).await.unwrap();
                assert!(visits == 1 && new != id);
                all.push((elsewhere, new, 1));
            }
            continue;
        }
        *visits += 1;
        assert_eq!(visit(&manager, &places[*place].2, Some(id)).await.unwrap(), (*id, *visits));
    }
    assert_eq!(manager.live_sessions(), all.len(), "all are kept, each where it belongs");
    for (number, (server, database, _)) in places.iter().enumerate() {
        let here: Vec<_> = all.iter().filter(|(place, ..)| *place == number).collect();
        assert_eq!(server.cli(&["-n", database, "DBSIZE"]), here.len().to_string(), "{number}");
        for (_, id, visits) in here {
            assert_eq!(server.cli(&["-n", database, "HGET", &key(id), "visits"]), visits.to_string(), "{number}");
        }
    }
    let names: Vec<_> = manager.connections().iter().skip(1).map(ToString::to_string).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    // Each has one connection, however many requests it had; the last is that of `redis-cli`.
    assert_eq!(first.cli(&["CLIENT", "LIST"]).lines().count(), 3 + 1);
    assert_eq!(second.cli(&["CLIENT", "LIST"]).lines().count(), 2 + 1);
}

/// Visitors of one connection, who go on until they are told to stop.
struct Visitors {
    connection: Connection,
    manager: Manager,
    stop: Arc<AtomicBool>,
}

/// What they saw.
#[derive(Default)]
struct Seen {
    id: Option<SessionId>,
    acknowledged: i64,
    perhaps: i64,
    failures: Vec<(Instant, Error)>,
    successes: Vec<Instant>,
    slowest: Duration,
}

impl Visitors {
    async fn run(self) -> Seen {
        let mut seen = Seen::default();
        while !self.stop.load(Ordering::SeqCst) {
            let start = Instant::now();
            match visit(&self.manager, &self.connection, seen.id.as_ref()).await {
                Ok((id, _)) => {
                    assert_eq!(*seen.id.get_or_insert(id), id, "nobody loses the session");
                    seen.acknowledged += 1;
                    seen.successes.push(Instant::now());
                }
                Err(error) => {
                    seen.perhaps += i64::from(error.effect() == session_core::Effect::PerhapsApplied);
                    seen.failures.push((Instant::now(), error));
                }
            }
            seen.slowest = seen.slowest.max(start.elapsed());
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        seen
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Killed,
    Hung,
}

async fn one_of_three_in(trouble: Trouble) {
    let durable = || RedisServer::builder().arguments(["--appendonly", "yes", "--appendfsync", "always"]).start();
    let mut servers = [durable().unwrap(), durable().unwrap(), durable().unwrap()];
    let connections: Vec<_> = ["one", "two", "two", "three"]
        .into_iter()
        .zip([0, 1, 1, 2])
        .enumerate()
        .map(|(number, (name, server))| {
            let config = RedisConfig::new().url(servers[server].url());
            Connection::named(name).with_options(config).with_database(number as u32 % 2)
        })
        .collect();
    let manager = manager();
    let stop = Arc::new(AtomicBool::new(false));
    let visitors: Vec<_> = connections
        .iter()
        .map(|connection| {
            let visitors =
                Visitors { connection: connection.clone(), manager: manager.clone(), stop: Arc::clone(&stop) };
            tokio::spawn(visitors.run())
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let ill = Instant::now();
    match trouble {
        Trouble::Killed => servers[1].kill(),
        Trouble::Hung => servers[1].pause(),
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    match trouble {
        Trouble::Killed => servers[1].restart().unwrap(),
        Trouble::Hung => servers[1].resume(),
    }
    let well = Instant::now();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stop.store(true, Ordering::SeqCst);
    for (number, visitors) in visitors.into_iter().enumerate() {
        let seen = visitors.await.unwrap();
        let server = &servers[[0, 1, 1, 2][number]];
        let database = (number % 2).to_string();
        let stored = server.cli(&["-n", &database, "HGET", &key(&seen.id.unwrap()), "visits"]).parse::<i64>().unwrap();
        let promised = seen.acknowledged..=seen.acknowledged + seen.perhaps;
        assert!(promised.contains(&stored), "{number}: {stored} visits, {promised:?} promised");
        if [1, 2].contains(&number) {
            assert!(!seen.failures.is_empty());
            for (at, error) in &seen.failures {
                let kinds = [ErrorKind::Unavailable, ErrorKind::OutcomeUnknown];
                assert!(kinds.contains(&error.kind()), "{number}: {error}");
                assert_eq!(error.connection(), Some(["", "two/1", "two"][number]));
                assert!(*at > ill && *at < well + Duration::from_secs(1), "{number}: {error}");
            }
            let back = seen.successes.iter().find(|at| **at > well).expect("it heals").duration_since(well);
            assert!(back < Duration::from_secs(1), "{number}: back after {back:?}");
        } else {
            assert!(seen.failures.is_empty(), "{number}: {:?}", seen.failures[0]);
            // Nobody waited for the one that does not answer, which takes the operation timeout of a second.
            assert!(seen.slowest < Duration::from_millis(900), "{number}: {:?}", seen.slowest);
            assert!(seen.acknowledged > 50, "{number}: {} visits", seen.acknowledged);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_is_nobody_elses_trouble() {
    one_of_three_in(Trouble::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_nobody_elses_trouble() {
    one_of_three_in(Trouble::Hung).await;
}

#[tokio::test]
async fn options_are_compared_and_checked() {
    let manager = manager();
    let refused = async |connection: Connection| {
        let error = manager.open(&to(&connection), None).await.unwrap_err();
        assert!(!format!("{error} {error:?} {connection:?}").contains("sesame"), "{error:?} {connection:?}");
        (error.kind(), error.connection().map(str::to_owned), error.to_string())
    };
    let config = || RedisConfig::new().host("127.0.0.1").port(1).access_key("sesame");
    let right = Connection::named("right").with_options(config());
    assert!(manager.open(&to(&right), None).await.is_ok(), "nothing is connected yet");
    let again = Connection::named("right").with_options(config());
    assert!(manager.open(&to(&again), None).await.is_ok());
    for other in [config().port(2), config().access_key("sesame 2"), config().database(1), RedisConfig::new()] {
        let (kind, connection, text) = refused(Connection::named("right").with_options(other)).await;
        assert_eq!((kind, connection.as_deref()), (ErrorKind::Config, Some("right")), "{text}");
    }
    for (wrong, setting) in [
        (config().connections(0), "`connections`"),
        (config().url("redis://:sesame@127.0.0.1"), "`host`"),
        (RedisConfig::new().ca_file("/nowhere"), "`ca_file`"),
    ] {
        let (kind, connection, text) = refused(Connection::named("wrong").with_options(wrong)).await;
        assert_eq!((kind, connection.as_deref()), (ErrorKind::Config, Some("wrong")), "{text}");
        assert!(text.contains(setting), "{text}");
    }
    assert_eq!(manager.connections().len(), 2, "{:?}", manager.connections());
}

#[tokio::test]
async fn two_ids_on_one_key_share_nothing() {
    let server = RedisServer::spawn().unwrap();
    let process = || {
        let provider = RedisProvider::new(&RedisConfig::new().url(server.url())).unwrap();
        let keys = KeyDerivation::custom(|_, _| SessionKey::new("the only key"));
        SessionManager::builder(provider, Json).key_derivation(keys).build().unwrap()
    };
    let here = process();
    let session = here.open(&RequestContext::default(), None).await.unwrap();
    session.insert("user", "Ada").unwrap();
    session.commit().await.unwrap();
    let stored = server.cli(&["HGETALL", "the only key"]);
    let stranger = SessionId::generate().unwrap();
    // Live in this process, and in Redis only.
    for manager in [&here, &process()] {
        let error = manager.open(&RequestContext::default(), Some(&stranger)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ForeignKey);
        let new = manager.open(&RequestContext::default(), None).await.unwrap();
        new.insert("user", "Eve").unwrap();
        assert_eq!(new.close().await.result.unwrap_err().kind(), ErrorKind::ForeignKey);
        new.destroy().unwrap();
        let _ = new.close().await;
        drop(new);
        manager.shutdown().await;
    }
    assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("Ada"));
    assert_eq!(server.cli(&["HGETALL", "the only key"]), stored);
}
