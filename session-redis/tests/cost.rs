//! What a step costs: bytes and commands.

use secret_watch as _;

mod common;

use std::collections::BTreeMap;

use common::*;
use session_core::{Checked, Renewal, SessionProvider, Traffic};
use test_support::{Direction, FaultProxy, RedisServer};

/// A session of twenty attributes under a key of 51 bytes, and a provider whose writer's time is fresh.
async fn twenty_attributes(size: usize) -> (RedisServer, FaultProxy, session_redis::RedisProvider, Life) {
    let server = RedisServer::spawn().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let provider = provider(&proxy.url());
    let mut life = Life::new();
    assert_eq!(life.key.as_bytes().len(), 51);
    life.sequence = 100_000;
    life.create(&provider, (0..20).map(|n| set(&format!("attribute{n:02}"), "x".repeat(size)))).await;
    (server, proxy, provider, life)
}

#[tokio::test]
async fn one_changed_attribute_costs_itself_and_a_constant() {
    for size in [8, 64, 1024] {
        let (_server, proxy, provider, mut life) = twenty_attributes(size).await;
        let value = "y".repeat(size);
        let attribute = "attribute07".len() + size;
        for (what, change, most) in [
            ("set", set("attribute07", &value), attribute + 400),
            ("update", replace("attribute07", Some(&value), Some(&value)), attribute + 400),
            ("increment", increment("n", 1), 400),
            ("remove", remove("attribute08"), 400),
        ] {
            let (before, back) = (proxy.bytes(Direction::ToServer), proxy.bytes(Direction::ToClient));
            let done = life.write(&provider, [change]).await;
            assert!(matches!(done, session_core::Committed::Done { .. }), "{what}: {done:?}");
            let sent = proxy.bytes(Direction::ToServer) - before;
            let received = proxy.bytes(Direction::ToClient) - back;
            println!("{what} of {size} bytes: {sent} bytes sent, {received} received");
            assert!(sent <= most as u64, "{what} of {size} bytes: {sent} bytes");
            assert!(received < 64, "{what} of {size} bytes: {received} bytes back");
        }
        let (before, back) = (proxy.bytes(Direction::ToServer), proxy.bytes(Direction::ToClient));
        assert!(matches!(provider.check(&life.key).await.unwrap(), Checked::Present { .. }));
        let (sent, received) = (proxy.bytes(Direction::ToServer) - before, proxy.bytes(Direction::ToClient) - back);
        println!("check: {sent} bytes sent, {received} received");
        assert!(sent < 200 && received < 64);
    }
}

/// What was sent before and is refused now has to be remembered.
#[tokio::test]
async fn a_refused_repetition_costs_a_number_and_one_write() {
    let (server, proxy, provider, mut life) = twenty_attributes(8).await;
    let header = |server: &RedisServer, life: &Life| server.cli(&["HGET", life.key_text(), "@w"]).len();
    life.done(&provider, [set("a", "1")]).await;
    let before = header(&server, &life);
    let refused = life.change([replace("a", Some("2"), Some("3"))]);
    let mut sent = Vec::new();
    for repeated in [false, true] {
        server.cli(&["CONFIG", "RESETSTAT"]);
        let bytes = proxy.bytes(Direction::ToServer);
        let commit = session_core::Commit { repeated, ..refused.clone() };
        let answer = provider.commit(&life.key, &commit).await.unwrap();
        assert!(matches!(answer, session_core::Committed::Conflict(_)), "{answer:?}");
        sent.push(proxy.bytes(Direction::ToServer) - bytes);
        let expected = counts(&[("evalsha", 1), ("hmget", 1)]);
        let expected =
            if repeated { [expected, counts(&[("hset", 1)])].into_iter().flatten().collect() } else { expected };
        assert_eq!(server.command_counts(), expected, "repeated: {repeated}");
    }
    println!("sent: {sent:?} bytes, remembered with {} bytes", header(&server, &life) - before);
    assert!(sent[1] <= sent[0] + 3, "{sent:?}");
    assert_eq!(header(&server, &life), before + ":".len() + refused.sequence.to_string().len());
    life.done(&provider, [set("a", "2")]).await;
    assert_eq!(header(&server, &life), before, "a newer number is enough");
}

#[tokio::test]
async fn commands() {
    let (server, _proxy, provider, mut life) = twenty_attributes(64).await;
    let renewal = Renewal { generation: life.generation, time_to_live: MINUTE };
    assert!(provider.renew(&life.key, &renewal).await.is_ok());

    server.cli(&["CONFIG", "RESETSTAT"]);
    life.session(&provider).await;
    assert_eq!(server.command_counts(), counts(&[("hgetall", 1), ("pttl", 1)]));

    server.cli(&["CONFIG", "RESETSTAT"]);
    assert!(matches!(provider.check(&life.key).await.unwrap(), Checked::Present { .. }));
    assert_eq!(server.command_counts(), counts(&[("hmget", 1), ("pttl", 1)]));

    server.cli(&["CONFIG", "RESETSTAT"]);
    life.done(&provider, [set("attribute07", "y"), increment("n", 1), replace("new", None, Some("z"))]).await;
    let one_write = counts(&[("evalsha", 1), ("hmget", 1), ("hset", 1), ("pexpire", 1)]);
    assert_eq!(server.command_counts(), one_write);

    server.cli(&["CONFIG", "RESETSTAT"]);
    life.done(&provider, [remove("attribute07")]).await;
    let with_removal = counts(&[("evalsha", 1), ("hdel", 1), ("hmget", 1), ("hset", 1), ("pexpire", 1)]);
    assert_eq!(server.command_counts(), with_removal);

    server.cli(&["CONFIG", "RESETSTAT"]);
    assert!(provider.renew(&life.key, &renewal).await.is_ok());
    assert_eq!(server.command_counts(), counts(&[("evalsha", 1), ("hmget", 1), ("pexpire", 1)]));
}

#[tokio::test]
async fn a_connection_says_only_what_it_must() {
    let (server, _proxy, _provider, life) = twenty_attributes(8).await;
    server.cli(&["CONFIG", "RESETSTAT"]);
    let fresh = provider(&server.url());
    assert!(matches!(fresh.check(&life.key).await.unwrap(), Checked::Present { .. }));
    assert_eq!(server.command_counts(), counts(&[("hmget", 1), ("ping", 1), ("pttl", 1)]));
    assert!(server.cli(&["CLIENT", "LIST"]).lines().all(|client| client.contains("resp=2")));
}

fn counts(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// As the server itself counts it, over several connections: those that are gone are not forgotten.
#[test]
fn traffic_is_what_the_server_saw() {
    let server = RedisServer::spawn().unwrap();
    server.cli(&["ACL", "SETUSER", "shop", "on", ">sesame", "~*", "+@all"]);
    let bytes_in = || {
        let stats = server.cli(&["INFO", "stats"]);
        let bytes = stats.lines().find_map(|line| line.trim().strip_prefix("total_net_input_bytes:"));
        bytes.unwrap().parse::<u64>().unwrap()
    };
    let foreign = Life::new();
    server.cli(&["-n", "3", "SET", foreign.key_text(), "x"]);
    let before = bytes_in();
    // What asking and resetting costs.
    server.cli(&["CONFIG", "RESETSTAT"]);
    let asked = bytes_in();
    assert!(asked < before, "the sum was reset");

    let proxy = FaultProxy::start(server.address()).unwrap();
    let provider = provider(&format!("redis://shop:sesame@{}/3", proxy.address()));
    assert_eq!(provider.traffic(), Traffic::default());
    let mut life = Life::new();
    for n in 0..4 {
        // A connection ends with its runtime, when nothing is under way.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            if n == 0 {
                life.create(&provider, [set("a", "x".repeat(10_000))]).await;
            }
            life.done(&provider, [increment("n", n)]).await;
            life.session(&provider).await;
            // An error is a reply, too.
            assert!(provider.load(&foreign.key, foreign.writer).await.is_err());
        });
    }

    let traffic = provider.traffic();
    let of_proxy = (proxy.bytes(Direction::ToServer), proxy.bytes(Direction::ToClient));
    assert_eq!((traffic.bytes_sent, traffic.bytes_received), of_proxy);
    let counts = server.command_counts();
    // No script calls one of these.
    let commands: u64 = ["auth", "select", "ping", "eval", "evalsha", "hgetall", "pttl"]
        .iter()
        .map(|name| counts.get(*name).copied().unwrap_or_default())
        .sum();
    assert_eq!((traffic.commands_sent, traffic.replies_received), (commands, commands), "{counts:?}");
    assert!(counts["auth"] == 4 && counts["select"] == 4 && counts["ping"] == 4, "{counts:?}");
    let inquiry = "*2\r\n$4\r\nINFO\r\n$12\r\ncommandstats\r\n*2\r\n$4\r\nINFO\r\n$5\r\nstats\r\n".len() as u64;
    assert_eq!(traffic.bytes_sent, bytes_in() - asked - inquiry);
}

#[test]
fn a_server_can_speak_unasked() {
    assert!(provider("redis://127.0.0.1").capabilities().server_push);
}
