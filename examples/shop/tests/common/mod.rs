//! What the tests of the shop share: browsers that keep cookies, and real HTTP.
#![allow(dead_code, reason = "each test has this as a module of its own, and none uses all of it")]

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use reqwest::cookie::Jar;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use session_core::SessionManager;
use session_serde::Codec;
use session_tower::SessionLayer;
use tokio::net::TcpListener;

/// The shop with sessions from this manager, for browsers that speak plain http.
pub(crate) fn shop_with(manager: SessionManager<Codec>) -> Router {
    shop::router(SessionLayer::new(manager).with_insecure_development_cookie())
}

/// Serves an application; the answer is its address.
pub(crate) async fn serve(app: Router) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A browser of one person.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) client: Client,
    jar: Arc<Jar>,
    pub(crate) shop: String,
}

impl Browser {
    /// A browser that knows no cookie yet, at a shop at this address.
    pub(crate) fn at(shop: &str) -> Self {
        let jar = Arc::new(Jar::default());
        let client = Client::builder().cookie_provider(Arc::clone(&jar)).redirect(Policy::none());
        Self { client: client.build().unwrap(), jar, shop: shop.to_owned() }
    }

    /// The same browser, at another address of the shop.
    pub(crate) fn also_at(&self, shop: &str) -> Self {
        Self { shop: shop.to_owned(), ..self.clone() }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.shop)).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.client.post(format!("{}{path}", self.shop)).form(form).send().await.unwrap()
    }

    /// Fills in a form that is accepted; returns the cookie that was set.
    pub(crate) async fn fill_in(&self, path: &str, form: &[(&str, &str)]) -> Option<String> {
        let response = self.post(path, form).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
        assert_eq!(response.headers()[LOCATION], "/");
        set_cookie(&response)
    }

    /// The cookies it would send.
    pub(crate) fn cookies(&self) -> Option<String> {
        use reqwest::cookie::CookieStore as _;
        let cookies = self.jar.cookies(&self.shop.parse().unwrap())?;
        Some(cookies.to_str().unwrap().to_owned())
    }

    pub(crate) async fn session(&self) -> Value {
        self.get("/session").await.json().await.unwrap()
    }

    /// What somebody sees who has this cookie.
    pub(crate) async fn session_of(&self, cookie: &str) -> Value {
        let request = Client::new().get(format!("{}/session", self.shop)).header(COOKIE, cookie);
        request.send().await.unwrap().json().await.unwrap()
    }
}

/// Name and value of the cookie that a response sets.
pub(crate) fn set_cookie(response: &Response) -> Option<String> {
    let cookie = response.headers().get(SET_COOKIE)?.to_str().unwrap();
    Some(cookie.split_once(';').map_or(cookie, |(pair, _)| pair).to_owned())
}

pub(crate) fn empty() -> Value {
    json!({ "cart": {}, "theme": "light", "user": null, "visits": 0 })
}
