//! The shop with each serializer, and a running shop that changes it.

use secret_watch as _;

mod common;
mod copies;

use common::Browser;
use copies::Shop;
use reqwest::StatusCode;
use serde_json::{Value, json};
use session_core::SessionSerializer as _;
use session_serde::Codec;
use test_support::RedisServer;

fn shop(redis: &RedisServer, serializer: &str) -> (Shop, String) {
    Shop::open(&redis.url(), &[("SESSION_SERIALIZER", serializer)])
}

/// The attributes of the only session that lives, as the server has them: not every value is text.
fn stored(redis: &RedisServer, attribute: &str) -> String {
    let keys = redis.cli(&["KEYS", "shop:*"]);
    let living = keys.lines().find(|key| redis.cli(&["HEXISTS", key, "@g"]) == "1").expect("a session");
    // Bytes that are no text come as escapes, also through a pipe.
    redis.cli(&["--no-raw", "HGET", living, attribute])
}

async fn shop_around(browser: &Browser) {
    for (sku, qty) in [("tea", "2"), ("milk", "1")] {
        browser.fill_in("/cart", &[("sku", sku), ("qty", qty)]).await;
    }
    browser.fill_in("/theme", &[("theme", "dark")]).await;
    browser.fill_in("/login", &[("name", "Ada")]).await;
    assert_eq!(browser.get("/visits").await.text().await.unwrap(), "1");
}

fn shopped() -> Value {
    json!({ "cart": { "milk": 1, "tea": 2 }, "theme": "dark", "user": "Ada", "visits": 1 })
}

#[tokio::test]
async fn the_shop_runs_with_each() {
    for codec in Codec::ALL {
        let redis = RedisServer::spawn().unwrap();
        let (mut shop, address) = shop(&redis, codec.name());
        let browser = Browser::at(&address);
        shop_around(&browser).await;
        assert_eq!(browser.session().await, shopped());
        let page = browser.get("/").await;
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.text().await.unwrap().contains("<td>tea</td><td>2</td>"));
        let [cart, theme, user, visits] = ["cart", "theme", "user", "visits"].map(|name| stored(&redis, name));
        assert_eq!(visits, r#""1""#, "a counter is text whatever the serializer");
        let expected = match codec.name() {
            "json" => [r#""{\"milk\":1,\"tea\":2}""#, r#""\"dark\"""#, r#""\"Ada\"""#],
            "msgpack" => [r#""\x01\x82\xa4milk\x01\xa3tea\x02""#, r#""\x01\xa4dark""#, r#""\x01\xa3Ada""#],
            _ => [r#""\x02\x02\x04milk\x01\x03tea\x02""#, r#""\x02\x01""#, r#""\x02\x03Ada""#],
        };
        assert_eq!([&*cart, &*theme, &*user], expected);
        assert!(shop.stop().success());
    }
}

#[tokio::test]
async fn sessions_survive_a_restart_with_another_serializer() {
    let redis = RedisServer::spawn().unwrap();
    let (mut before, address) = shop(&redis, "json");
    let browser = Browser::at(&address);
    shop_around(&browser).await;
    assert!(before.stop().success());

    let (mut after, address) = shop(&redis, "msgpack");
    let browser = browser.also_at(&address);
    assert_eq!(browser.session().await, shopped(), "nobody is logged out, no cart is lost");
    assert_eq!(stored(&redis, "cart"), r#""{\"milk\":1,\"tea\":2}""#, "reading rewrites nothing");

    // Each attribute is rewritten when it changes, and only then.
    browser.fill_in("/cart", &[("sku", "tea"), ("qty", "1")]).await;
    assert_eq!(stored(&redis, "cart"), r#""\x01\x82\xa4milk\x01\xa3tea\x03""#);
    assert_eq!(stored(&redis, "user"), r#""\"Ada\"""#);
    browser.fill_in("/theme", &[("theme", "light")]).await;
    assert_eq!(stored(&redis, "theme"), r#""\x01\xa5light""#);
    assert_eq!(browser.get("/visits").await.text().await.unwrap(), "2");
    assert_eq!(stored(&redis, "visits"), r#""2""#);

    // The shop of before, still running somewhere, reads what the new one wrote; and back is as easy.
    let (mut old, address) = shop(&redis, "json");
    let expected = json!({ "cart": { "milk": 1, "tea": 3 }, "theme": "light", "user": "Ada", "visits": 2 });
    assert_eq!(browser.also_at(&address).session().await, expected);
    assert!(after.stop().success());
    let browser = browser.also_at(&address);
    browser.fill_in("/cart", &[("sku", "milk"), ("qty", "1")]).await;
    assert_eq!(stored(&redis, "cart"), r#""{\"milk\":2,\"tea\":3}""#);
    assert_eq!(stored(&redis, "theme"), r#""\x01\xa5light""#);
    assert!(old.stop().success());
}
