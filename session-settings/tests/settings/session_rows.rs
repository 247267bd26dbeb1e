//! One test for each setting that is the same for all connections, and for what is only set in code.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_core::{
    AttributeName, ErrorKind, KeyDerivation, Observer, RequestContext, SessionKey, SessionManager, SessionSerializer,
    SizeHandler, Subject,
};
use session_serde::Codec;
use session_settings::{ConnectionSettings, Provider, Settings, SizeHandling};
use session_tower::SameSite;

use crate::sources::{everywhere, manager, refusal};

fn new() -> Settings {
    Settings::new()
}

/// Sessions in memory.
fn in_memory() -> Settings {
    new().with_connection("default", ConnectionSettings::new().provider(Provider::Memory))
}

fn refused(settings: Settings, name: &str) {
    let error = refusal(&settings);
    assert!(error.to_string().contains(name), "{error} should name {name}");
}

async fn write(manager: &SessionManager<Codec>, context: &RequestContext) {
    let session = manager.open(context, None).await.unwrap();
    session.insert("theme", "dark").unwrap();
    session.close().await.result.unwrap();
}

#[tokio::test]
async fn connection_callback() {
    let memory = || ConnectionSettings::new().provider(Provider::Memory);
    let settings = new().with_connection("default", memory()).with_connection("eu", memory());
    let manager = settings
        .manager_builder()
        .unwrap()
        .connection_callback(|context, _| Ok((*context.get::<&str>().unwrap()).into()))
        .build()
        .unwrap();
    for name in ["default", "eu"] {
        write(&manager, &RequestContext::new(name)).await;
    }
    let error = manager.open(&RequestContext::new("us"), None).await.unwrap_err();
    assert_eq!((error.kind(), error.connection()), (ErrorKind::KeyCallback, Some("us")));
}

#[tokio::test]
async fn key_callback() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let keys = KeyDerivation::custom(move |_, id| {
        count.fetch_add(1, Ordering::SeqCst);
        SessionKey::new(format!("of a callback:{}", id.fingerprint()))
    });
    // It wins over the settings, like everything that is given to the builder.
    let builder = in_memory().key_prefix("shop:").manager_builder().unwrap();
    write(&builder.key_derivation(keys).build().unwrap(), &RequestContext::default()).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn key_prefix() {
    everywhere(new().key_prefix("shop:"), "key_prefix", "\"shop:\"");
    refused(new().key_prefix("a\nb"), "key_prefix");
    refused(new().key_prefix("x".repeat(1000)), "key_prefix");
}

#[test]
fn application_name() {
    everywhere(new().application_name("my shop:"), "application_name", "\"my shop:\"");
    refused(new().application_name("ß".repeat(200)), "application_name");
}

#[test]
fn idle_timeout() {
    let settings = everywhere(new().idle_timeout(Duration::from_secs(5400)), "idle_timeout", "\"1h 30m\"");
    assert!(manager(&settings).contains("idle_timeout: 5400s"));
    refused(new().idle_timeout(Duration::ZERO), "idle_timeout");
}

#[test]
fn expiry_slack() {
    assert!(manager(&everywhere(new().expiry_slack(25), "expiry_slack", "25")).contains("expiry_slack: 25"));
    refused(new().expiry_slack(101), "expiry_slack");
}

#[test]
fn absolute_timeout() {
    let settings = everywhere(new().absolute_timeout(Duration::from_secs(43_200)), "absolute_timeout", "\"12h\"");
    assert!(manager(&settings).contains("absolute_timeout: Some(43200s)"));
    let off = everywhere(new().absolute_timeout(None), "absolute_timeout", "\"off\"");
    assert!(manager(&settings.overlay(off)).contains("absolute_timeout: None"));
    refused(new().absolute_timeout(Duration::ZERO), "absolute_timeout");
}

#[test]
fn max_session_bytes() {
    let settings = everywhere(new().max_session_bytes(1000), "max_session_bytes", "1000");
    assert!(manager(&settings).contains("max_session_bytes: 1000"));
    refused(new().max_session_bytes(0), "max_session_bytes");
}

#[tokio::test]
async fn size_handler() {
    let clear = everywhere(new().size_handler(SizeHandling::Clear), "size_handler", "\"clear\"");
    let refuse = everywhere(new().size_handler(SizeHandling::Refuse), "size_handler", "\"refuse\"");
    for (settings, expected) in [(clear, Ok(())), (refuse.clone(), Err(ErrorKind::TooLarge))] {
        let manager = in_memory().max_session_bytes(100).overlay(settings).manager().unwrap();
        let session = manager.open(&RequestContext::default(), None).await.unwrap();
        session.insert("first", &"x".repeat(60)).unwrap();
        assert_eq!(session.insert("second", &"x".repeat(60)).map_err(|error| error.kind()), expected);
        assert_eq!(session.contains("first").unwrap(), expected.is_err());
    }
    // One's own is given to the builder, and wins over the settings.
    let builder = in_memory().max_session_bytes(100).overlay(refuse).manager_builder().unwrap();
    let manager = builder.size_handler(SizeHandler::clear()).build().unwrap();
    let session = manager.open(&RequestContext::default(), None).await.unwrap();
    session.insert("first", &"x".repeat(60)).unwrap();
    session.insert("second", &"x".repeat(60)).unwrap();
}

#[test]
fn cookie_name() {
    let settings = everywhere(new().cookie_name("__Host-shop"), "cookie_name", "\"__Host-shop\"");
    assert_eq!(settings.cookie().unwrap().name(), "__Host-shop");
    assert!(format!("{:?}", settings.layer().unwrap()).contains("__Host-shop"));
    assert_eq!(new().cookie().unwrap().name(), "__Host-session");
    refused(new().cookie_name("a;b"), "cookie_name");
}

/// What the cookie shows of itself.
fn cookie(settings: &Settings) -> String {
    format!("{:?}", settings.cookie().unwrap())
}

#[test]
fn cookie_attributes() {
    let named = || new().cookie_name("s");
    let domain = everywhere(new().cookie_domain("shop.example"), "cookie_domain", "\"shop.example\"");
    assert!(cookie(&named().overlay(domain.clone())).contains("Domain=shop.example"));
    refused(domain, "cookie_domain");
    let path = everywhere(new().cookie_path("/cart"), "cookie_path", "\"/cart\"");
    assert!(cookie(&named().overlay(path.clone())).contains("Path=/cart"));
    refused(path, "cookie_path");
    let scripts = everywhere(new().cookie_http_only(false), "cookie_http_only", "false");
    assert!(cookie(&new()).contains("HttpOnly") && !cookie(&scripts).contains("HttpOnly"));
    let plain = everywhere(new().cookie_secure(false), "cookie_secure", "false");
    assert!(cookie(&new()).contains("; Secure") && !cookie(&plain).contains("; Secure"));
    assert_eq!(plain.cookie().unwrap().name(), "session");
    refused(new().cookie_secure(false).cookie_same_site(SameSite::None), "cookie_secure");
    for (same_site, word) in [(SameSite::Lax, "lax"), (SameSite::Strict, "strict"), (SameSite::None, "none")] {
        let settings = everywhere(new().cookie_same_site(same_site), "cookie_same_site", &format!("{word:?}"));
        assert!(cookie(&settings).contains(&format!("SameSite={same_site:?}")), "{}", cookie(&settings));
    }
    let kept = everywhere(new().cookie_max_age(Duration::from_secs(86_400)), "cookie_max_age", "\"1d\"");
    assert!(cookie(&kept).contains("Max-Age=86400"));
    let off = everywhere(new().cookie_max_age(None), "cookie_max_age", "\"off\"");
    assert!(!cookie(&kept.overlay(off)).contains("Max-Age"));
    refused(new().cookie_max_age(Duration::ZERO), "cookie_max_age");
}

#[test]
fn signing_keys() {
    // The base64 of 64 and of 63 bytes.
    let (key, short) = ("c2VzYW1l".repeat(10) + "c2VzYQ==", "c2VzYW1l".repeat(10) + "c2Vz");
    let bytes = |length: usize| "sesame".repeat(11).into_bytes()[..length].to_vec();
    let code = new().signing_keys([bytes(64), bytes(64)]);
    let settings = everywhere(code, "signing_keys", &format!("[{key:?}, {key:?}]"));
    assert!(cookie(&settings).contains("signing_keys: Some(2)"));
    let shown = format!("{settings:?} {:?}", settings.layer().unwrap());
    assert!(!shown.contains("sesame") && !shown.contains("c2Vz") && !shown.contains("115"), "{shown}");
    refused(everywhere(new().signing_keys([bytes(63)]), "signing_keys", &format!("[{short:?}]")), "signing_keys");
    refused(new().signing_keys(Vec::<Vec<u8>>::new()), "signing_keys");
}

#[test]
fn keep_for() {
    let settings = everywhere(new().keep_for(Duration::from_secs(60)), "keep_for", "\"1m\"");
    assert!(manager(&settings).contains("keep_for: 60s"));
    assert!(manager(&everywhere(new().keep_for(Duration::ZERO), "keep_for", "0")).contains("keep_for: 0ns"));
    refused(new().keep_for(Duration::MAX), "keep_for");
}

#[test]
fn keep_bytes() {
    let settings = everywhere(new().keep_bytes(1_000_000), "keep_bytes", "1000000");
    assert!(manager(&settings).contains("keep_bytes: 1000000"));
}

#[test]
fn check_interval() {
    let settings = everywhere(new().check_interval(Duration::from_secs(1)), "check_interval", "\"1s\"");
    assert!(manager(&settings).contains("check_interval: 1s"));
    refused(new().check_interval(Duration::ZERO), "check_interval");
}

#[test]
fn shards() {
    assert!(manager(&everywhere(new().shards(7), "shards", "7")).contains("shards: 7"));
    refused(new().shards(0), "shards");
}

/// Nothing listens there.
fn nowhere() -> Settings {
    new().with_connection("default", ConnectionSettings::new().url("redis://127.0.0.1:1"))
}

#[tokio::test]
async fn throw_on_error_and_last_error() {
    for throw in [true, false] {
        let settings = everywhere(new().throw_on_error(throw), "throw_on_error", &throw.to_string());
        let manager = nowhere().overlay(settings).manager().unwrap();
        let id = session_core::SessionId::generate().unwrap();
        let opened = manager.open(&RequestContext::default(), Some(&id)).await;
        match opened {
            Err(error) => assert!(throw && error.kind() == ErrorKind::Unavailable, "{error}"),
            Ok(session) => {
                assert!(!throw && session.is_degraded());
                assert_eq!(session.last_error().unwrap().kind(), ErrorKind::Unavailable);
            }
        }
        assert_eq!(manager.last_error().unwrap().kind(), ErrorKind::Unavailable);
    }
}

#[test]
fn retry_timeout() {
    let settings = everywhere(new().retry_timeout(Duration::from_millis(500)), "retry_timeout", "\"500ms\"");
    assert!(manager(&settings).contains("retry_timeout: 500ms"));
    refused(new().retry_timeout(Duration::from_secs(301)), "retry_timeout");
}

#[test]
fn serializer() {
    for codec in Codec::ALL {
        let name = codec.name();
        let settings = everywhere(new().serializer(*codec), "serializer", &format!("{name:?}"));
        assert!(settings.manager().is_ok());
    }
}

#[tokio::test]
async fn observer() {
    #[derive(Default)]
    struct Counting(AtomicUsize);
    impl Observer for Counting {
        fn attributes_written(&self, _: &Subject, attributes: &[(AttributeName, usize)]) {
            self.0.fetch_add(attributes.len(), Ordering::SeqCst);
        }
    }
    let counting = Arc::new(Counting::default());
    let manager = in_memory().manager_builder().unwrap().observer(Arc::clone(&counting) as _).build().unwrap();
    write(&manager, &RequestContext::default()).await;
    manager.shutdown().await;
    assert_eq!(counting.0.load(Ordering::SeqCst), 1);
}

#[test]
fn figures_interval() {
    let settings = everywhere(new().figures_interval(Duration::from_secs(10)), "figures_interval", "\"10s\"");
    assert!(manager(&settings).contains("figures_interval: 10s"));
    assert!(
        manager(&everywhere(new().figures_interval(Duration::ZERO), "figures_interval", "\"0s\""))
            .contains("figures_interval: 0ns")
    );
}
