//! What is particular about sessions behind a TwemProxy.

use secret_watch as _;

mod common;

use std::time::Duration;

use common::*;
use session_core::{
    Checked, ClientId, Committed, Connection, Destroyed, Destruction, ErrorKind, KeyDerivation, Loaded, Renewal,
    Renewed, RequestContext, Retirement, SessionKey, SessionManager, SessionProvider, Traffic,
};
use session_serde::Codec;
use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};
use test_support::{Direction, FaultProxy, Nutcracker, Recorder};

fn manager(provider: impl SessionProvider) -> SessionManager<Codec> {
    SessionManager::builder(provider, Codec::default()).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_spread_over_the_servers() {
    let proxied = Proxied::start();
    let manager = manager(proxied.provider());
    for number in 0..300 {
        let session = manager.open(&RequestContext::default(), None).await.unwrap();
        session.insert("number", &number).unwrap();
        assert!(session.close().await.result.is_ok());
    }
    let counts: Vec<_> = proxied.nutcracker.keys(PATTERN).iter().map(Vec::len).collect();
    println!("300 sessions lie on the servers as {counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), 300);
    assert!(counts.len() == 3 && counts.iter().all(|count| *count >= 50), "{counts:?}");
    proxied.assert_sound();
}

#[tokio::test]
async fn a_session_is_the_same_through_the_proxy_and_directly() {
    let proxied = Proxied::start();
    let through = proxied.provider();
    for _ in 0..10 {
        let mut life = Life::new();
        life.create(&through, [set("a", "1"), increment("n", 1)]).await;
        let direct = proxied.direct(proxied.nutcracker.shard_of(life.key_text()).unwrap());
        // To and fro: what one wrote the other reads, and a repetition on the other way is recognised.
        for round in 2..6 {
            let commit = life.change([set("a", round.to_string()), increment("n", 1)]);
            let (first, second): (&dyn SessionProvider, &dyn SessionProvider) =
                if round % 2 == 0 { (&direct, &through) } else { (&through, &direct) };
            assert!(matches!(first.commit(&life.key, &commit).await.unwrap(), Committed::Done { .. }));
            assert!(matches!(second.commit(&life.key, &commit).await.unwrap(), Committed::Already { .. }));
            let (mut one, mut other) = (life.session(&direct).await, life.session(&through).await);
            assert!(one.remaining.abs_diff(other.remaining) < Duration::from_secs(1));
            for session in [&mut one, &mut other] {
                session.remaining = MINUTE;
                session.attributes.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
            }
            assert_eq!(one, other);
            assert_eq!(life.attribute(&through, "n").await.unwrap(), round.to_string());
        }
        let destruction = Destruction { generation: life.generation, leave_tombstone: false };
        assert_eq!(direct.destroy(&life.key, &destruction).await.unwrap(), Destroyed::Done);
        assert_eq!(through.load(&life.key, life.writer).await.unwrap(), Loaded::Absent);
    }
}

#[tokio::test]
async fn a_destroy_that_found_nothing_is_told() {
    let proxied = Proxied::start();
    let (first, second) = (manager(proxied.provider()), manager(proxied.provider()));
    let context = RequestContext::default();
    let session = first.open(&context, None).await.unwrap();
    session.insert("user", "Ada").unwrap();
    let client = session.close().await.client;
    let ClientId::Issue(id) = client else { panic!("{client:?}") };
    let [one, other] =
        [first.open(&context, Some(&id)).await.unwrap(), second.open(&context, Some(&id)).await.unwrap()];
    one.destroy().unwrap();
    other.destroy().unwrap();
    assert_eq!(one.close().await.destroyed, Some(Destroyed::Done));
    let closed = other.close().await;
    assert!(closed.result.is_ok());
    assert_eq!(closed.destroyed, Some(Destroyed::NothingFound));
}

#[tokio::test]
async fn over_a_unix_socket() {
    let nutcracker = Nutcracker::spawn().unwrap();
    let by_socket = provider(&TwemproxyConfig::new().unix_socket(nutcracker.socket()));
    let by_tcp = provider(&TwemproxyConfig::new().url(nutcracker.url()));
    for _ in 0..10 {
        let mut life = Life::new();
        life.create(&by_socket, [set("a", "1")]).await;
        assert_eq!(life.attribute(&by_tcp, "a").await.unwrap(), "1");
        life.done(&by_tcp, [set("a", "2")]).await;
        assert_eq!(life.attribute(&by_socket, "a").await.unwrap(), "2");
    }
}

#[tokio::test]
async fn a_password_for_all() {
    let proxied = Proxied::with(Nutcracker::builder().password("sesame"));
    let url = || TwemproxyConfig::new().url(proxied.recorder.url().replace("//", "//:sesame@"));
    let mut life = Life::new();
    life.create(&provider(&url()), [set("a", "1")]).await;
    assert_eq!(life.attribute(&provider(&url()), "a").await.unwrap(), "1");
    let host = || TwemproxyConfig::new().host("127.0.0.1").port(proxied.recorder.address().port());
    for wrong in [host(), host().access_key("hunter2")] {
        let error = provider(&wrong).load(&life.key, life.writer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    // A password that nobody asks for is refused, too: it is not sent to a stranger every time.
    let open = Proxied::start();
    let config = TwemproxyConfig::new().host("127.0.0.1").port(open.recorder.address().port()).access_key("sesame");
    let error = provider(&config).load(&life.key, life.writer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
}

/// With the smallest buffers that the proxy can have: everything is split over many of them.
#[tokio::test]
async fn small_buffers() {
    let proxied = Proxied::with(Nutcracker::builder().arguments(["-m", "512"]));
    let provider = provider(&TwemproxyConfig::new().url(proxied.recorder.url()).mbuf_size(512));
    let longest = provider.capabilities().max_key_bytes;
    let key = |length: usize| SessionKey::new("k".repeat(length)).unwrap();
    let mut life = Life { key: key(longest), ..Life::new() };
    let large = "x".repeat(100_000);
    life.create(&provider, [set("large", &large)]).await;
    life.done(&provider, (0..200).map(|n| set(&format!("attribute {n}"), "y".repeat(50)))).await;
    assert!(matches!(provider.check(&life.key).await.unwrap(), Checked::Present { version: 2, .. }));
    assert_eq!(life.attribute(&provider, "large").await.unwrap(), large);
    assert_eq!(life.session(&provider).await.attributes.len(), 201);

    // One byte more, and the proxy would close the connection; nothing is sent.
    let sent = proxied.recorder.commands();
    let mut life = Life { key: key(longest + 1), ..Life::new() };
    let (creation, generation) = (life.creation([]), life.generation);
    let renewal = Renewal { generation, time_to_live: MINUTE };
    let destruction = Destruction { generation, leave_tombstone: false };
    let retirement = Retirement { generation, version: 1, successor: Life::new().generation };
    for error in [
        provider.load(&life.key, life.writer).await.err(),
        provider.check(&life.key).await.err(),
        provider.commit(&life.key, &creation).await.err(),
        provider.renew(&life.key, &renewal).await.err(),
        provider.destroy(&life.key, &destruction).await.err(),
        provider.retire(&life.key, &retirement).await.err(),
    ] {
        let error = error.expect("the key is too long");
        assert_eq!(error.kind(), ErrorKind::KeyCallback, "{error}");
        assert!(error.to_string().contains("`mbuf_size`"), "{error}");
    }
    let long_keys = KeyDerivation::custom(move |_, _| Ok(key(longest + 1)));
    let manager = SessionManager::builder(provider, Codec::default()).key_derivation(long_keys).build().unwrap();
    let session = manager.open(&RequestContext::default(), None).await.unwrap();
    session.insert("a", &1).unwrap();
    assert_eq!(session.close().await.result.unwrap_err().kind(), ErrorKind::KeyCallback);
    assert_eq!(proxied.recorder.commands(), sent);
}

/// What the limit is for: this is what the proxy does to all on the connection.
#[tokio::test]
async fn a_key_that_the_proxy_does_not_take_costs_the_connection() {
    let nutcracker = Nutcracker::builder().arguments(["-m", "512"]).start().unwrap();
    let provider = provider(&TwemproxyConfig::new().url(nutcracker.url()).connections(1));
    let life = Life { key: SessionKey::new("k".repeat(464)).unwrap(), ..Life::new() };
    let error = provider.load(&life.key, life.writer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
}

#[tokio::test]
async fn scripts_are_made_known_by_their_text() {
    let proxied = Proxied::start();
    let provider = proxied.provider();
    let mut life = Life::new();
    life.create(&provider, []).await;
    for _ in 0..5 {
        proxied.nutcracker.servers().iter().for_each(|server| drop(server.cli(&["SCRIPT", "FLUSH"])));
        life.done(&provider, [increment("n", 1)]).await;
        let renewal = Renewal { generation: life.generation, time_to_live: MINUTE };
        assert!(matches!(provider.renew(&life.key, &renewal).await.unwrap(), Renewed::Done { .. }));
    }
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "5");
    let by_text = proxied.recorder.commands().iter().filter(|(it, _)| it.name == "EVAL").map(|(_, n)| n).sum::<u64>();
    assert!(by_text >= 10, "{by_text}");
}

#[tokio::test]
async fn several_proxies() {
    let (north, south, east) = (Proxied::start(), Proxied::start(), Proxied::start());
    struct Region(&'static str);
    let opened = Connection::named("east").with_options(TwemproxyConfig::new().url(east.recorder.url()));
    let manager = SessionManager::builder(north.provider(), Codec::default())
        .connection("south", south.provider())
        .connection_callback(move |context, _| {
            let region = context.get::<Region>().map_or("default", |region| region.0);
            Ok(if region == "east" { opened.clone() } else { region.into() })
        })
        .build()
        .unwrap();
    for region in ["default", "south", "east", "east", "south", "east"] {
        let session = manager.open(&RequestContext::new(Region(region)), None).await.unwrap();
        session.insert("region", region).unwrap();
        assert!(session.close().await.result.is_ok());
    }
    let count = |proxied: &Proxied| proxied.nutcracker.keys(PATTERN).concat().len();
    assert_eq!((count(&north), count(&south), count(&east)), (1, 2, 3));
    assert!(!manager.capabilities(&RequestContext::new(Region("east")), None).unwrap().server_push);
}

#[tokio::test]
async fn a_connection_says_only_what_it_must() {
    let proxied = Proxied::start();
    let recorder = Recorder::start(proxied.recorder.address()).unwrap();
    let provider = provider(&TwemproxyConfig::new().url(recorder.url()).connections(1));
    let life = Life::new();
    assert_eq!(provider.check(&life.key).await.unwrap(), Checked::Missing);
    let said: Vec<_> = recorder.commands().into_iter().map(|(it, count)| (it.name, it.arguments, count)).collect();
    assert_eq!(said, [("HMGET".into(), 3, 1), ("PING".into(), 0, 1), ("PTTL".into(), 1, 1)]);
}

#[test]
fn traffic_is_what_went_through() {
    let nutcracker = Nutcracker::spawn().unwrap();
    let counting = FaultProxy::start(nutcracker.address()).unwrap();
    let recorder = Recorder::start(counting.address()).unwrap();
    let provider = provider(&TwemproxyConfig::new().url(recorder.url()).connections(2));
    assert_eq!(provider.traffic(), Traffic::default());
    assert!(!provider.capabilities().server_push, "the proxy passes answers only");
    for _ in 0..3 {
        // Connections end with their runtime, when nothing is under way.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for _ in 0..3 {
                let mut life = Life::new();
                life.create(&provider, [set("a", "x".repeat(1000))]).await;
                assert_eq!(life.attribute(&provider, "a").await.unwrap().len(), 1000);
            }
        });
    }
    let traffic = provider.traffic();
    let commands: u64 = recorder.commands().values().sum();
    assert_eq!((traffic.commands_sent, traffic.replies_received), (commands, commands));
    let bytes = [Direction::ToServer, Direction::ToClient].map(|direction| counting.bytes(direction));
    assert_eq!([traffic.bytes_sent, traffic.bytes_received], bytes);
}

#[test]
fn building_needs_neither_runtime_nor_proxy() {
    let config = TwemproxyConfig::new().url("redis://:sesame@127.0.0.1:1");
    let provider = TwemproxyProvider::new(&config).unwrap();
    assert!(!format!("{provider:?} {config:?}").contains("sesame"));
}
