//! Sessions whose ids, values and passwords are known, through success and failure: nothing of them is logged, told by an
//! error or answered to the client. That they are looked for in all that is logged is what `watch` does.

use std::error::Error as StdError;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use secret_watch::{Recording, assert_clean, record, watch};
use session_core::{Error, KeyDerivation, RequestContext, SessionManager, SessionProvider};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Codec;
use session_tower::{Session, SessionCookie, SessionLayer, SessionRejection};
use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};
use test_support::{Nutcracker, RedisServer};

use crate::common::{Reply, send, until};

const VALUE: &str = "canary of a value";
const PASSWORD: &str = "canary-of-a-password";
const WRONG_PASSWORD: &str = "canary-of-a-wrong-password";
const SIGNING_KEY: &[u8] = b"canary of a signing key, which has to be as long as this one is.";

/// Starts to look for all of them; what is logged meanwhile is kept.
fn watched() -> Recording {
    for secret in [VALUE.as_bytes(), PASSWORD.as_bytes(), WRONG_PASSWORD.as_bytes(), SIGNING_KEY] {
        watch(secret);
    }
    record()
}

/// A number in no other text here.
const COUNT: i64 = 770_077_007_700_770;

async fn write(session: Session) -> Result<(), SessionRejection> {
    watch(COUNT.to_string());
    session.insert("name", VALUE)?;
    session.insert("names", &vec![VALUE; 3])?;
    session.increment("count", COUNT)?;
    Ok(session.update("list", |list: &mut Vec<String>| list.push(VALUE.to_owned()))?)
}

async fn change(session: Session) -> Result<(), SessionRejection> {
    session.update("list", |list: &mut Vec<String>| list.push(VALUE.to_owned()))?;
    session.remove("names")?;
    session.increment("count", 1)?;
    Ok(())
}

async fn read(session: Session) -> Result<String, SessionRejection> {
    let name: Option<String> = session.get("name")?;
    Ok(name.map_or("nobody", |name| if name == VALUE { "known" } else { "other" }).to_owned())
}

/// Everything that is an error at the call.
async fn misuse(Path(attribute): Path<String>, session: Session) -> Result<(), SessionRejection> {
    let errors = [
        session.get::<u64>(&attribute).err(),
        session.get::<Vec<u8>>(&attribute).err(),
        session.update(&attribute, |number: &mut u64| *number += 1).err(),
        session.increment(&attribute, 1).err(),
        session.insert(&attribute, &VALUE.repeat(3_000)).err(),
        session.insert("@reserved", VALUE).err(),
        session.increment("count", i64::MAX).err(),
    ];
    for error in errors.into_iter().flatten() {
        tells_nothing(&error);
    }
    // The client hears no more of the last one.
    Err(session.get::<u64>(&attribute).unwrap_err().into())
}

async fn login(session: Session) -> Result<(), SessionRejection> {
    session.insert("user", VALUE)?;
    Ok(session.rotate_id()?)
}

async fn logout(session: Session) -> Result<(), SessionRejection> {
    Ok(session.destroy()?)
}

/// An application and its manager. Keys are the ids themselves, so that who shows a key shows an id.
fn app(provider: impl SessionProvider, codec: Codec, throw_on_error: bool) -> (Router, SessionManager<Codec>) {
    let manager = SessionManager::builder(provider, codec)
        .key_derivation(KeyDerivation::plain("canary:"))
        .throw_on_error(throw_on_error)
        .build()
        .unwrap();
    let layer = SessionLayer::new(manager.clone())
        .with_cookie(SessionCookie::builder().signing_keys([SIGNING_KEY]).build().unwrap());
    assert_clean("a layer", &format!("{layer:?} {manager:?}"));
    let app = Router::new()
        .route("/write", get(write))
        .route("/change", get(change))
        .route("/read", get(read))
        .route("/misuse/{attribute}", get(misuse))
        .route("/login", get(login))
        .route("/logout", get(logout));
    (app.layer(layer), manager)
}

fn redis(url: String) -> RedisProvider {
    RedisProvider::new(&RedisConfig::new().url(url)).unwrap()
}

fn twemproxy(url: String) -> TwemproxyProvider {
    TwemproxyProvider::new(&TwemproxyConfig::new().url(url)).unwrap()
}

/// A visitor with one cookie.
struct Visitor<'a> {
    app: &'a Router,
    cookie: Option<String>,
}

impl<'a> Visitor<'a> {
    fn of(app: &'a Router) -> Self {
        Self { app, cookie: None }
    }

    async fn get(&mut self, path: &str) -> Reply {
        let cookies: Vec<_> = self.cookie.iter().collect();
        let reply = send(self.app, path, &cookies).await;
        assert_clean("a body", &reply.body);
        for (name, value) in &reply.headers {
            // Of all headers only the cookie is for one to see; for `Debug`, not even that.
            if name != "set-cookie" {
                assert_clean("a header", &String::from_utf8_lossy(value.as_bytes()));
            }
        }
        assert_clean("a response", &format!("{:?}", reply.headers));
        if !reply.set_cookies().is_empty() {
            let pair = reply.cookie();
            // The id alone, and as it is signed.
            let (_, value) = pair.split_once('=').unwrap();
            if !value.is_empty() {
                watch(value);
                watch(&value[value.len() - 43..]);
            }
            self.cookie = Some(pair);
        }
        reply
    }

    /// The key of its session.
    fn key(&self) -> String {
        let cookie = self.cookie.as_ref().unwrap();
        format!("canary:{}", &cookie[cookie.len() - 43..])
    }
}

/// Nor do its causes.
fn tells_nothing(error: &Error) {
    let mut next: Option<&dyn StdError> = Some(error);
    while let Some(error) = next {
        assert_clean("an error", &format!("{error} {error:?} {error:#?}"));
        next = error.source();
    }
}

/// That there was an error at all, and it tells nothing.
fn last_error_tells_nothing(manager: &SessionManager<Codec>) {
    tells_nothing(&manager.last_error().expect("something failed"));
}

#[track_caller]
fn assert_logged(recording: &Recording, expected: &[&str]) {
    let text = recording.text();
    for expected in expected {
        assert!(text.contains(expected), "{expected:?} was not logged in: {text}");
    }
    assert_clean("a log", &text);
}

/// A session's whole life.
async fn visit(app: &Router) {
    let mut visitor = Visitor::of(app);
    visitor.get("/write").await.assert(200, "");
    visitor.get("/read").await.assert(200, "known");
    visitor.get("/change").await.assert(200, "");
    visitor.get("/login").await.assert(200, "");
    visitor.get("/misuse/name").await.assert(500, "");
    visitor.get("/read").await.assert(200, "known");
    let old = visitor.cookie.clone();
    visitor.get("/logout").await.assert(200, "");
    visitor.cookie = old;
    visitor.get("/read").await.assert(200, "nobody");
}

#[tokio::test]
async fn a_whole_life() {
    let recording = watched();
    let server = RedisServer::spawn().unwrap();
    server.cli(&["ACL", "SETUSER", "shop", "on", &format!(">{PASSWORD}"), "~*", "+@all"]);
    for codec in Codec::ALL {
        let provider = redis(format!("redis://shop:{PASSWORD}@{}", server.address()));
        assert_clean("a provider", &format!("{provider:?}"));
        visit(&app(provider, *codec, true).0).await;
    }
    assert_logged(&recording, &["connected to the session store", "session error", "a request failed for its session"]);
}

#[tokio::test]
async fn a_whole_life_behind_a_proxy() {
    let recording = watched();
    let proxy = Nutcracker::builder().password(PASSWORD).start().unwrap();
    for codec in Codec::ALL {
        let provider = twemproxy(format!("redis://:{PASSWORD}@{}", proxy.address()));
        assert_clean("a provider", &format!("{provider:?}"));
        visit(&app(provider, *codec, true).0).await;
    }
    assert_logged(&recording, &["connected to the session store", "session error"]);
}

#[tokio::test]
async fn wrong_passwords() {
    let recording = watched();
    let server = RedisServer::builder().arguments(["--requirepass", PASSWORD]).start().unwrap();
    let proxy = Nutcracker::builder().password(PASSWORD).start().unwrap();
    let (server, proxy) = (server.address(), proxy.address());
    let apps = |throw| {
        [
            app(redis(format!("redis://:{WRONG_PASSWORD}@{server}")), Codec::default(), throw),
            app(redis(format!("redis://{WRONG_PASSWORD}:{WRONG_PASSWORD}@{server}")), Codec::default(), throw),
            app(redis(format!("redis://{server}")), Codec::default(), throw),
            app(twemproxy(format!("redis://:{WRONG_PASSWORD}@{proxy}")), Codec::default(), throw),
            app(twemproxy(format!("redis://{proxy}")), Codec::default(), throw),
        ]
    };
    for (app, manager) in apps(true) {
        for path in ["/write", "/login"] {
            Visitor::of(&app).get(path).await.assert(500, "");
            last_error_tells_nothing(&manager);
        }
    }
    for (app, manager) in apps(false) {
        Visitor::of(&app).get("/write").await.assert(200, "");
        last_error_tells_nothing(&manager);
    }
    assert_logged(&recording, &["no connection to the session store", "a session could not be committed"]);
}

#[tokio::test]
async fn corrupt_attributes() {
    let recording = watched();
    let server = RedisServer::spawn().unwrap();
    for codec in Codec::ALL {
        let (app, manager) = app(redis(server.url()), *codec, true);
        let mut visitor = Visitor::of(&app);
        visitor.get("/write").await.assert(200, "");
        // The attribute, cut; text in the place of a structure; bytes of nobody.
        for corrupt in [format!("\"{VALUE}"), format!("{{\"{VALUE}\":"), VALUE.to_owned(), format!("\u{1}{VALUE}")] {
            server.cli(&["HSET", &visitor.key(), "name", &corrupt, "other", &corrupt]);
            server.cli(&["HINCRBY", &visitor.key(), "@v", "1"]);
            for path in ["/read", "/misuse/name", "/misuse/list", "/misuse/other"] {
                assert_eq!(visitor.get(path).await.status, 500, "{path}");
                last_error_tells_nothing(&manager);
            }
        }
    }
    assert_logged(&recording, &["session error", "\"name\"", "\"other\""]);
}

/// Servers that repeat in their refusals what they were asked.
#[tokio::test]
async fn refusals_that_repeat_the_question() {
    let recording = watched();
    for (hidden, path) in [("EVALSHA", "/write"), ("HGETALL", "/read"), ("EVAL", "/write")] {
        let server = RedisServer::builder().arguments(["--rename-command", hidden, ""]).start().unwrap();
        let repeated = server.cli(&[hidden, "canary:abc", VALUE]);
        assert!(repeated.contains("canary:abc"), "it does not repeat: {repeated}");
        for throw in [true, false] {
            let (app, manager) = app(redis(server.url()), Codec::default(), throw);
            let mut visitor = Visitor::of(&app);
            let unknown = session_core::SessionId::generate().unwrap().expose();
            watch(&unknown);
            let cookie = SessionCookie::builder().signing_keys([SIGNING_KEY]).build().unwrap();
            let id = session_core::SessionId::parse(&unknown).unwrap();
            let set = cookie.set_cookie(session_core::ClientId::Issue(id)).unwrap();
            visitor.cookie = set.to_str().unwrap().split(';').next().map(str::to_owned);
            let reply = visitor.get(path).await;
            assert_eq!(reply.status.is_success(), !throw, "{hidden}: {reply:?}");
            last_error_tells_nothing(&manager);
        }
    }
    // A key of another type, and a user who may not write.
    let server = RedisServer::spawn().unwrap();
    let (app, manager) = app(redis(server.url()), Codec::default(), true);
    let mut visitor = Visitor::of(&app);
    visitor.get("/write").await.assert(200, "");
    server.cli(&["SET", &visitor.key(), VALUE]);
    assert_eq!(visitor.get("/change").await.status, 500);
    last_error_tells_nothing(&manager);
    server.cli(&["ACL", "SETUSER", "default", "-hset", "-hgetall"]);
    assert_eq!(Visitor::of(&app).get("/write").await.status, 500);
    last_error_tells_nothing(&manager);
    assert_logged(&recording, &["a session could not be opened", "a session could not be committed"]);
}

/// What fails when nobody waits for it is logged, and only that.
#[tokio::test]
async fn failures_in_the_background() {
    let recording = watched();
    let mut server = RedisServer::spawn().unwrap();
    let (_, manager) = app(redis(server.url()), Codec::default(), true);
    let session = manager.open(&RequestContext::default(), None).await.unwrap();
    session.insert("name", VALUE).unwrap();
    session.commit().await.unwrap();
    session.insert("name", &[VALUE, VALUE]).unwrap();
    server.kill();
    drop(session);
    until("it was given up", async || recording.text().contains("that no request was told")).await;
    tokio::time::timeout(Duration::from_secs(20), manager.shutdown()).await.unwrap();
    last_error_tells_nothing(&manager);
    assert_logged(&recording, &["session error that no request was told", "connection to the session store"]);
}
