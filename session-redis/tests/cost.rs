//! What a step costs: bytes and commands.

mod common;

use std::collections::BTreeMap;

use common::*;
use session_core::{Checked, Renewal, SessionProvider};
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
