//! The shop through real HTTP, with browsers that keep cookies.

use secret_watch as _;

mod common;

use common::{Browser, empty, serve, set_cookie, shop_with};
use reqwest::StatusCode;
use serde_json::{Value, json};
use session_core::{MemoryProvider, SessionManager};
use session_serde::Codec;
use tokio::task::JoinSet;

async fn browser_in_new_shop() -> Browser {
    let manager = SessionManager::builder(MemoryProvider::new(), Codec::default()).build().unwrap();
    Browser::at(&serve(shop_with(manager)).await)
}

#[tokio::test]
async fn looking_leaves_nothing_behind() {
    let browser = browser_in_new_shop().await;
    for path in ["/", "/about", "/cart", "/session"] {
        let response = browser.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(set_cookie(&response).is_none(), "{path}");
    }
    assert_eq!(browser.session().await, empty());
}

#[tokio::test]
async fn shopping() {
    let browser = browser_in_new_shop().await;
    assert_eq!(browser.get("/visits").await.text().await.unwrap(), "1");
    assert_eq!(browser.get("/visits").await.text().await.unwrap(), "2");
    for (sku, qty) in [("apple", "2"), ("pear", "1"), ("apple", "1")] {
        browser.fill_in("/cart", &[("sku", sku), ("qty", qty)]).await;
    }
    browser.fill_in("/theme", &[("theme", "dark")]).await;
    let cart = json!({ "apple": 3, "pear": 1 });
    assert_eq!(browser.get("/cart").await.json::<Value>().await.unwrap(), cart);
    assert_eq!(browser.session().await, json!({ "cart": cart, "theme": "dark", "user": null, "visits": 2 }));
    let page = browser.get("/").await.text().await.unwrap();
    for part in ["<td>apple</td><td>3</td>", "2 so far", r#"class="dark""#] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[tokio::test]
async fn a_login_changes_the_id_and_a_logout_ends_it() {
    let browser = browser_in_new_shop().await;
    let before = browser.fill_in("/cart", &[("sku", "apple"), ("qty", "1")]).await.unwrap();
    let after = browser.fill_in("/login", &[("name", "Ada")]).await.unwrap();
    assert_ne!(before, after);
    let session = json!({ "cart": { "apple": 1 }, "theme": "light", "user": "Ada", "visits": 0 });
    assert_eq!(browser.session().await, session);
    assert_eq!(browser.session_of(&after).await, session);
    assert_eq!(browser.session_of(&before).await, empty());

    browser.fill_in("/logout", &[]).await;
    assert_eq!(browser.session().await, empty());
    assert_eq!(browser.session_of(&after).await, empty());
}

#[tokio::test]
async fn nothing_is_lost_when_many_buy_at_once() {
    let browser = browser_in_new_shop().await;
    browser.get("/visits").await;
    let mut requests = JoinSet::new();
    for number in 0..40 {
        let sku = if number % 2 == 0 { "apple" } else { "pear" };
        let request = browser.client.post(format!("{}/cart", browser.shop)).form(&[("sku", sku), ("qty", "1")]);
        requests.spawn(request.send());
    }
    for response in requests.join_all().await {
        assert_eq!(response.unwrap().status(), StatusCode::SEE_OTHER);
    }
    assert_eq!(browser.session().await["cart"], json!({ "apple": 20, "pear": 20 }));
}

#[tokio::test]
async fn wrong_forms_change_nothing_and_are_told_what_is_wrong() {
    let browser = browser_in_new_shop().await;
    browser.fill_in("/cart", &[("sku", "apple"), ("qty", "999")]).await;
    let before = browser.session().await;
    let long = "x".repeat(65);
    type Form<'a> = &'a [(&'a str, &'a str)];
    let wrong: [(&str, Form<'_>, &str); 8] = [
        ("/cart", &[("sku", ""), ("qty", "1")], "(sku)"),
        ("/cart", &[("sku", &long), ("qty", "1")], "(sku)"),
        ("/cart", &[("sku", "apple"), ("qty", "1000")], "(qty)"),
        ("/cart", &[("sku", "apple"), ("qty", "many")], "(qty)"),
        ("/cart", &[("sku", "apple")], "qty"),
        ("/theme", &[("theme", "<b>")], "light or dark"),
        ("/login", &[("name", " ")], "name"),
        ("/login", &[], "name"),
    ];
    for (path, form, told) in wrong {
        let response = browser.post(path, form).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{path} {form:?}");
        assert!(set_cookie(&response).is_none(), "{path} {form:?}");
        let text = response.text().await.unwrap();
        assert!(text.contains(told), "{path} {form:?}: {text}");
    }
    assert_eq!(browser.session().await, before);
}
