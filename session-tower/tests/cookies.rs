//! Which cookie comes, which cookie goes, and what it costs the store.

use secret_watch as _;

mod common;

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use common::{Call, NO_COOKIES, Reply, Store, id_of, manager, send, stored};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, VARY};
use session_core::{KeyDerivation, RequestContext, SessionId, SessionKey, SessionManager};
use session_serde::Codec;
use session_tower::{Session, SessionCookie, SessionLayer, SessionRejection};

async fn read(session: Session) -> Result<String, SessionRejection> {
    Ok(session.get("theme")?.unwrap_or_else(|| "none".to_owned()))
}

async fn write(Path(theme): Path<String>, session: Session) -> Result<String, SessionRejection> {
    session.insert("theme", &theme)?;
    Ok(theme)
}

async fn login(session: Session) -> Result<&'static str, SessionRejection> {
    session.insert("user", "ann")?;
    session.rotate_id()?;
    Ok("welcome")
}

async fn logout(session: Session) -> Result<&'static str, SessionRejection> {
    session.destroy()?;
    Ok("bye")
}

fn app_of(layer: SessionLayer) -> Router {
    Router::new()
        .route("/plain", get(async || "plain"))
        .route("/read", get(read))
        .route(
            "/twice",
            get(async |first: Session, second: Session| {
                assert_eq!(first.len().unwrap(), second.len().unwrap());
            }),
        )
        .route("/write/{theme}", get(write))
        .route("/login", get(login))
        .route("/logout", get(logout))
        .layer(layer)
}

fn app(store: &Arc<Store>) -> Router {
    app_of(SessionLayer::new(manager(store)))
}

async fn write_first(store: &Arc<Store>) -> Reply {
    let reply = send(&app(store), "/write/dark", NO_COOKIES).await;
    reply.assert(200, "dark");
    store.take_calls();
    reply
}

#[tokio::test]
async fn a_handler_without_session_costs_nothing() {
    let store = Store::new();
    let cookie = write_first(&store).await.cookie();
    let app = app(&store);
    for cookies in [&[][..], &[cookie], &["__Host-session=nonsense".to_owned()]] {
        let reply = send(&app, "/plain", cookies).await;
        reply.assert(200, "plain");
        reply.assert_no_cookie();
        assert!(!reply.headers.contains_key(VARY) && !reply.headers.contains_key(CACHE_CONTROL));
    }
    // Nor in the background.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.take_calls(), []);
}

#[tokio::test]
async fn a_reader_gets_no_cookie() {
    let store = Store::new();
    let cookie = write_first(&store).await.cookie();
    let app = app(&store);
    let stranger = send(&app, "/read", NO_COOKIES).await;
    stranger.assert(200, "none");
    stranger.assert_no_cookie();
    assert_eq!(store.take_calls(), [], "there is no id to ask for");
    let known = send(&app, "/read", &[&cookie]).await;
    known.assert(200, "dark");
    known.assert_no_cookie();
    assert_eq!(store.take_calls(), [Call::Load]);
}

#[tokio::test]
async fn two_extractors_open_once() {
    let store = Store::new();
    let cookie = write_first(&store).await.cookie();
    send(&app(&store), "/twice", &[cookie]).await.assert(200, "");
    assert_eq!(store.take_calls(), [Call::Load]);
}

#[tokio::test]
async fn the_first_write_sets_the_cookie_and_later_ones_do_not() {
    let store = Store::new();
    let app = app(&store);
    let first = send(&app, "/write/dark", NO_COOKIES).await;
    let expected = format!("__Host-session={}; HttpOnly; SameSite=Lax; Secure; Path=/", first.id().expose());
    assert_eq!(first.set_cookies(), [expected]);
    assert_eq!(first.headers[CACHE_CONTROL], "no-store");
    assert_eq!(first.headers[VARY], "Cookie");
    assert_eq!(store.take_calls(), [Call::Commit]);

    let second = send(&app, "/write/light", &[first.cookie()]).await;
    second.assert(200, "light");
    second.assert_no_cookie();
    assert!(!second.headers.contains_key(CACHE_CONTROL));
    assert_eq!(stored::<String>(&store, &first.id(), "theme").await.unwrap(), "light");
}

#[tokio::test]
async fn development_cookie() {
    let store = Store::new();
    let app = app_of(SessionLayer::new(manager(&store)).with_insecure_development_cookie());
    let reply = send(&app, "/write/dark", NO_COOKIES).await;
    let expected = format!("session={}; HttpOnly; SameSite=Lax; Path=/", reply.id().expose());
    assert_eq!(reply.set_cookies(), [expected]);
    send(&app, "/read", &[reply.cookie()]).await.assert(200, "dark");
}

#[tokio::test]
async fn an_unknown_id_is_never_adopted() {
    let store = Store::new();
    let app = app(&store);
    let planted = SessionId::generate().unwrap();
    let cookie = format!("__Host-session={}", planted.expose());
    let reader = send(&app, "/read", &[&cookie]).await;
    reader.assert(200, "none");
    reader.assert_no_cookie();
    assert_eq!(store.take_calls(), [Call::Load], "one question, nothing created");

    let writer = send(&app, "/write/dark", &[&cookie]).await;
    writer.assert(200, "dark");
    assert_ne!(writer.id(), planted);
    assert_eq!(stored::<String>(&store, &planted, "theme").await, None);
    assert_eq!(stored::<String>(&store, &writer.id(), "theme").await.unwrap(), "dark");
}

#[tokio::test]
async fn login_changes_the_id_and_keeps_the_content() {
    let store = Store::new();
    let old = write_first(&store).await.cookie();
    let app = app(&store);
    let reply = send(&app, "/login", &[&old]).await;
    reply.assert(200, "welcome");
    assert_ne!(reply.cookie(), old);
    send(&app, "/read", &[reply.cookie()]).await.assert(200, "dark");
    let late = send(&app, "/read", &[&old]).await;
    late.assert(200, "none");
    late.assert_no_cookie();
    assert_eq!(stored::<String>(&store, &reply.id(), "user").await.unwrap(), "ann");
}

#[tokio::test]
async fn logout_removes_the_cookie() {
    let store = Store::new();
    let first = write_first(&store).await;
    let reply = send(&app(&store), "/logout", &[first.cookie()]).await;
    reply.assert(200, "bye");
    let [removal] = reply.set_cookies()[..] else { panic!("{reply:?}") };
    let same = "__Host-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0; Expires=";
    assert!(removal.starts_with(same), "{removal}");
    assert_eq!(reply.headers[CACHE_CONTROL], "no-store");
    assert_eq!(stored::<String>(&store, &first.id(), "theme").await, None);
}

/// Cookie headers that carry no usable id, some of them beside a real one.
fn hostile(real: &str) -> Vec<Vec<Vec<u8>>> {
    let id = real.split_once('=').unwrap().1;
    let one = |value: &[u8]| vec![[b"__Host-session=", value].concat()];
    vec![
        vec![format!("{real}; {real}").into_bytes()],
        vec![real.into(), real.into()],
        vec![format!("{real}; __Host-session=").into_bytes()],
        one(&[b'A'; 8192]),
        one(&id.repeat(190).into_bytes()),
        one(b""),
        one(b" "),
        one(&id.as_bytes()[..42]),
        one(format!("{id}A").as_bytes()),
        one(format!("{id}=").as_bytes()),
        one(format!("\"{id}\"").as_bytes()),
        one(format!("\"{id}").as_bytes()),
        one(format!("%{id}").as_bytes()),
        one(&[b'/'; 43]),
        one(&[b'+'; 43]),
        // The two last bits of an id's text are zero.
        one(&[b'_'; 43]),
        one("é".repeat(21).as_bytes()),
        one(&[0xFF; 43]),
        one(format!("{}\t{}", &id[..21], &id[21..42]).as_bytes()),
        one(format!("{},{}", &id[..21], &id[21..42]).as_bytes()),
        // A signature where none is asked for.
        one(format!("{}{id}", "A".repeat(44)).as_bytes()),
        vec![format!("__host-session={id}").into_bytes()],
        vec![format!("__Host-session {id}").into_bytes()],
        vec![format!("\u{2000}__Host-session={id}").into_bytes()],
        vec![format!("\u{a0}__Host-session={id}").into_bytes()],
        vec![format!("a=__Host-session={id}").into_bytes()],
        vec![b"__Host-session".to_vec()],
        vec![b"=".repeat(1000)],
        vec![b";".repeat(1000)],
    ]
}

#[tokio::test]
async fn hostile_cookies_are_absent() {
    let store = Store::new();
    let real = write_first(&store).await.cookie();
    let app = app(&store);
    for cookies in hostile(&real) {
        let shown: Vec<_> = cookies.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        let reply = send(&app, "/read", &cookies).await;
        reply.assert(200, "none");
        reply.assert_no_cookie();
        assert_eq!(store.take_calls(), [], "{shown:?}");
        let reply = send(&app, "/write/dark", &cookies).await;
        reply.assert(200, "dark");
        assert_ne!(reply.cookie(), real);
        assert_eq!(store.take_calls(), [Call::Commit], "{shown:?}");
    }
    // These cannot even be put in a header.
    for control in ["\r\n", "\n", "\r", "\0"] {
        let value = format!("__Host-session={control}{}", real.split_once('=').unwrap().1);
        assert!(HeaderValue::from_bytes(value.as_bytes()).is_err());
    }
}

/// A small generator (splitmix64), so that a failure can be repeated from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A byte that a header may contain and an id may not; no semicolon, which would end the value.
    fn foreign_byte(&mut self) -> u8 {
        loop {
            let byte = self.next() as u8;
            let in_header = byte == b'\t' || (byte >= b' ' && byte != 0x7F);
            if in_header && byte != b';' && !byte.is_ascii_alphanumeric() && byte != b'-' && byte != b'_' {
                return byte;
            }
        }
    }

    /// Something that is nearly an id, or not at all.
    fn hostile_value(&mut self, id: &str) -> Vec<u8> {
        let mut value = id.as_bytes().to_vec();
        match self.below(5) {
            0 => value = (0..self.below(200)).map(|_| self.foreign_byte()).collect(),
            1 => {
                // In the middle, because spaces at the ends are trimmed and leave a value of another length.
                let at = 1 + self.below(41);
                value[at] = self.foreign_byte();
            }
            2 => value.truncate(self.below(43)),
            3 => value.extend((0..=self.below(100)).map(|_| b'A')),
            _ => {
                let quote = self.foreign_byte();
                value.insert(0, b'"');
                value.push(quote);
            }
        }
        value
    }
}

#[tokio::test]
async fn ten_thousand_random_hostile_cookies_are_absent() {
    let store = Store::new();
    let real = write_first(&store).await.cookie();
    let app = app(&store);
    let seed = 0x5E55_1014;
    let mut random = Random(seed);
    for round in 0..10_000 {
        let value = random.hostile_value(real.split_once('=').unwrap().1);
        let cookie = [b"__Host-session=", &value[..]].concat();
        let reply = send(&app, "/read", &[&cookie]).await;
        assert!(
            reply.status == 200 && reply.body == "none" && reply.set_cookies().is_empty(),
            "seed {seed:#x}, round {round}, value {value:?}: {reply:?}"
        );
        assert_eq!(store.take_calls(), [], "seed {seed:#x}, round {round}, value {value:?}");
    }
}

#[tokio::test]
async fn signed_cookies() {
    let store = Store::new();
    let app = |keys: &[u8]| {
        let keys = keys.iter().map(|key| vec![*key; 64]);
        app_of(
            SessionLayer::new(manager(&store))
                .with_cookie(SessionCookie::builder().signing_keys(keys).build().unwrap()),
        )
    };
    let by_old = send(&app(&[1]), "/write/dark", NO_COOKIES).await.cookie();
    assert_eq!(by_old.len(), "__Host-session=".len() + 44 + 43);
    let rotated = app(&[2, 1]);
    send(&rotated, "/read", &[&by_old]).await.assert(200, "dark");
    let by_new = send(&rotated, "/write/dark", NO_COOKIES).await.cookie();
    send(&app(&[2]), "/read", &[&by_new]).await.assert(200, "dark");

    store.take_calls();
    let mut tampered = by_old.clone().into_bytes();
    *tampered.last_mut().unwrap() ^= 0x04;
    let unsigned = format!("__Host-session={}", &by_old[by_old.len() - 43..]);
    assert!(id_of(&unsigned) != id_of(&format!("x={}", &by_new[by_new.len() - 43..])));
    for (app, cookie) in [
        (&app(&[1]), by_new.as_bytes()),
        (&app(&[2]), by_old.as_bytes()),
        (&app(&[1]), &tampered),
        (&app(&[1]), unsigned.as_bytes()),
    ] {
        let reply = send(app, "/read", &[cookie]).await;
        reply.assert(200, "none");
        reply.assert_no_cookie();
    }
    assert_eq!(store.take_calls(), []);
}

#[tokio::test]
async fn the_context_reaches_the_key() {
    struct Tenant(String);
    let store = Store::new();
    let keys = KeyDerivation::custom(|context, id| {
        let tenant = context.get::<Tenant>().map_or("", |tenant| &tenant.0);
        SessionKey::new(format!("{tenant}:{}", id.fingerprint()))
    });
    let manager = SessionManager::builder(Arc::clone(&store), Codec::default()).key_derivation(keys).build().unwrap();
    let app = app_of(
        SessionLayer::new(manager)
            .with_context(|parts| RequestContext::new(Tenant(parts.uri.query().unwrap_or_default().to_owned()))),
    );
    let cookie = send(&app, "/write/dark?north", NO_COOKIES).await.cookie();
    send(&app, "/read?north", &[&cookie]).await.assert(200, "dark");
    send(&app, "/read?south", &[&cookie]).await.assert(200, "none");
}
