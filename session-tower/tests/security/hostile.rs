//! Cookies from hostile clients: as if there were none, and Redis hears nothing of them.

use std::net::Ipv4Addr;

use axum::Router;
use axum::routing::get;
use http::HeaderValue;
use session_core::{KeyDerivation, SessionId, SessionManager};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Codec;
use session_tower::{Session, SessionCookie, SessionLayer, SessionRejection};
use test_support::{RedisServer, test_seed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{NO_COOKIES, Reply, send};
use crate::inputs::Inputs;

/// Of each sort of cookie, signed and unsigned.
const HEADERS: usize = 5_000;

async fn read(session: Session) -> Result<String, SessionRejection> {
    Ok(session.get("theme")?.unwrap_or_else(|| "none".to_owned()))
}

async fn write(session: Session) -> Result<(), SessionRejection> {
    Ok(session.insert("theme", "dark")?)
}

/// An application that has not connected to Redis yet. Keys are the ids themselves, so that none that gets through would
/// go unseen.
fn app(redis: &RedisServer, cookie: SessionCookie) -> Router {
    let provider = RedisProvider::new(&RedisConfig::new().url(redis.url())).unwrap();
    let manager = SessionManager::builder(provider, Codec::default()).key_derivation(KeyDerivation::plain("session:"));
    let layer = SessionLayer::new(manager.build().unwrap()).with_cookie(cookie);
    Router::new().route("/read", get(read)).route("/write", get(write)).layer(layer)
}

fn unsigned() -> SessionCookie {
    SessionCookie::default()
}

fn signed(key: u8) -> SessionCookie {
    SessionCookie::builder().signing_keys([vec![key; 64]]).build().unwrap()
}

/// The value of a genuine cookie with a session behind it.
async fn genuine(redis: &RedisServer, cookie: &SessionCookie) -> String {
    let app = app(redis, cookie.clone());
    let pair = send(&app, "/write", NO_COOKIES).await.cookie();
    send(&app, "/read", &[&pair]).await.assert(200, "dark");
    pair.split_once('=').unwrap().1.to_owned()
}

fn assert_same(reply: &Reply, without: &Reply, input: &[Vec<u8>]) {
    let shown: Vec<_> = input.iter().map(|line| line.escape_ascii().to_string()).collect();
    let what = |reply: &Reply| (reply.status, reply.headers.clone(), reply.body.clone());
    assert_eq!(what(reply), what(without), "{shown:?}");
}

/// Sends the inputs that a header can hold, and more until there are enough; of all others no id can be made either.
async fn send_all(redis: &RedisServer, cookie: SessionCookie, forged: &str) {
    let seed = test_seed();
    let genuine = genuine(redis, &cookie).await;
    let app = app(redis, cookie);
    let without = send(&app, "/read", NO_COOKIES).await;
    without.assert(200, "none");
    redis.cli(&["CONFIG", "RESETSTAT"]);
    let mut inputs = Inputs::new(seed, &genuine, forged);
    let (mut sent, mut impossible) = (0, 0);
    let mut listed = inputs.listed().into_iter();
    while sent < HEADERS || impossible < HEADERS / 50 {
        let input = listed.next().unwrap_or_else(|| inputs.next());
        if input.iter().all(|line| HeaderValue::from_bytes(line).is_ok()) {
            assert_same(&send(&app, "/read", &input).await, &without, &input);
            sent += 1;
        } else {
            for line in &input {
                let value = line.splitn(2, |byte| *byte == b'=').last().unwrap_or_default();
                let line_holds = HeaderValue::from_bytes(line).is_ok();
                assert!(line_holds || SessionId::parse(&String::from_utf8_lossy(value)).is_err());
            }
            impossible += 1;
        }
    }
    // Not even a connection was opened.
    assert_eq!(redis.command_counts(), [].into(), "seed {seed}");
}

#[tokio::test]
async fn redis_hears_nothing_of_them() {
    let redis = RedisServer::spawn().unwrap();
    let with_signature = genuine(&redis, &signed(1)).await;
    send_all(&redis, unsigned(), &with_signature).await;
}

#[tokio::test]
async fn redis_hears_nothing_of_wrong_signatures() {
    let redis = RedisServer::spawn().unwrap();
    let by_other_key = genuine(&redis, &signed(2)).await;
    send_all(&redis, signed(1), &by_other_key).await;
}

/// Over a real connection, since what a header cannot hold can be sent all the same.
#[tokio::test]
async fn nor_of_what_is_no_http() {
    let redis = RedisServer::spawn().unwrap();
    let genuine = genuine(&redis, &unsigned()).await;
    let app = app(&redis, unsigned());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    redis.cli(&["CONFIG", "RESETSTAT"]);
    let seed = test_seed();
    let mut inputs = Inputs::new(seed, &genuine, "forged");
    let random: Vec<_> = (0..300).map(|_| inputs.next()).collect();
    // A line that ends behind the genuine cookie, whatever follows, has that cookie.
    let end = format!("__Host-session={genuine}");
    let is_genuine = |line: &Vec<u8>| line.split(|byte| b"\r\n".contains(byte)).next() == Some(end.as_bytes());
    let (mut as_without, mut refused) = (0, 0);
    for input in inputs.listed().into_iter().filter(|input| input.len() > 1 || !is_genuine(&input[0])).chain(random) {
        let mut request = b"GET /read HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n".to_vec();
        for line in &input {
            request.extend([b"Cookie: ", &line[..], b"\r\n"].concat());
        }
        request.extend(b"\r\n");
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may have seen enough before all was sent.
        let _ = stream.write_all(&request).await;
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply).await;
        let reply = String::from_utf8_lossy(&reply);
        let shown: Vec<_> = input.iter().map(|line| line.escape_ascii().to_string()).collect();
        assert!(!reply.to_ascii_lowercase().contains("set-cookie"), "seed {seed}, {shown:?}: {reply}");
        match reply.split(' ').nth(1) {
            Some("200") if reply.ends_with("\r\n\r\nnone") => as_without += 1,
            // The server's own, before any layer; a reset may have taken it.
            Some("400" | "431") | None => refused += 1,
            _ => panic!("seed {seed}, {shown:?}: {reply}"),
        }
    }
    assert!(as_without > 100 && refused > 10, "{as_without} as without a cookie, {refused} refused");
    assert_eq!(redis.command_counts(), [].into(), "seed {seed}");
}

#[tokio::test]
async fn an_unknown_id_costs_one_load_and_creates_nothing() {
    let redis = RedisServer::spawn().unwrap();
    let app = app(&redis, unsigned());
    send(&app, "/write", NO_COOKIES).await.assert(200, "");
    let without = send(&app, "/read", NO_COOKIES).await;
    redis.cli(&["CONFIG", "RESETSTAT"]);
    for count in 1..=100_u64 {
        let unknown = vec![format!("__Host-session={}", SessionId::generate().unwrap().expose()).into_bytes()];
        assert_same(&send(&app, "/read", &unknown).await, &without, &unknown);
        if count == 1 || count == 100 {
            let load = [("hgetall".to_owned(), count), ("pttl".to_owned(), count)];
            assert_eq!(redis.command_counts(), load.into());
        }
    }
    assert_eq!(redis.cli(&["DBSIZE"]), "1");
    // Nor is it taken for what is then written.
    let planted = SessionId::generate().unwrap().expose();
    let reply = send(&app, "/write", &[format!("__Host-session={planted}")]).await;
    reply.assert(200, "");
    assert_ne!(reply.id().expose(), planted);
    assert_eq!(redis.cli(&["EXISTS", &format!("session:{planted}")]), "0");
    assert_eq!(redis.cli(&["DBSIZE"]), "2");
}
