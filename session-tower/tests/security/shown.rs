//! `Debug` and `Display` of everything public that holds a secret.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use secret_watch::{assert_clean, watch};
use session_core::{
    Action, AttributeName, Change, ClientId, Commit, Committed, Error, ErrorKind, Generation, KeyDerivation, Loaded,
    MemoryProvider, Operation, RequestContext, SessionId, SessionManager, SessionProvider, SessionSerializer, WriterId,
};
use session_redis::transport::{Address, Command, Credentials, Endpoint, Reply, ServerError};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::{Codec, Json, MessagePack, Postcard};
use session_tower::{SessionCookie, SessionLayer, SessionRejection};
use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};

const VALUE: &str = "canary of a shown value";
const PASSWORD: &str = "canary-of-a-shown-password";
const SIGNING_KEY: &[u8] = b"canary of a signing key that is shown, and as long as it has to be";

/// In both forms, alone and in others.
#[track_caller]
fn assert_hidden(what: &str, value: &impl Debug) {
    let shown = format!("{value:?} {value:#?} {:?}", Some(value));
    assert!(!shown.is_empty());
    assert_clean(what, &shown);
}

fn watch_all() {
    watch(VALUE);
    watch(PASSWORD);
    watch(SIGNING_KEY);
}

#[test]
fn ids_and_keys() {
    for _ in 0..100 {
        let id = SessionId::generate().unwrap();
        // Its bytes, too, in every encoding.
        watch(id.expose());
        assert_hidden("an id", &id);
        for client in [ClientId::Issue(id), ClientId::Refresh(id), ClientId::Keep, ClientId::Forget] {
            assert_hidden("what the client is told", &client);
        }
        for keys in [KeyDerivation::plain("shop:"), KeyDerivation::hashed("shop:")] {
            let key = keys.derive(&RequestContext::default(), &id).unwrap();
            watch(key.as_bytes());
            assert_hidden("a key", &key);
            assert_hidden("a rule for keys", &keys);
        }
        assert_hidden("a context", &RequestContext::new(id.expose()));
        // And what is shown in its place.
        assert_clean("a fingerprint", &format!("{} {:?}", id.fingerprint(), id.fingerprint()));
        for wrong in [id.expose() + "=", id.expose().replace(|_: char| true, "+") + &id.expose(), format!("\"{id:?}")] {
            let error = SessionId::parse(&wrong).unwrap_err();
            assert_clean("an error", &format!("{error} {error:?}"));
        }
    }
}

fn commit() -> Commit {
    let name = || AttributeName::new("name").unwrap();
    let value = || Bytes::from_static(VALUE.as_bytes());
    let actions = [
        Action::Set(value()),
        Action::Remove,
        Action::Increment(770_077_007_700_771),
        Action::Replace { seen: Some(value()), value: Some(value()) },
    ];
    Commit {
        generation: Generation::generate().unwrap(),
        writer: WriterId::generate().unwrap(),
        sequence: 1,
        repeated: false,
        creation: None,
        changes: actions.map(|action| Change { name: name(), action }).into(),
        idle_timeout: None,
        time_to_live: Duration::from_secs(60),
    }
}

#[tokio::test]
async fn what_crosses_the_provider() {
    watch_all();
    watch("770077007700771");
    assert_hidden("a batch", &commit());
    let value = || Bytes::from_static(VALUE.as_bytes());
    for committed in [
        Committed::Done { found: 1, counters: vec![value()], remaining: Duration::ZERO },
        Committed::Already { counters: vec![Some(value()), None], remaining: Duration::ZERO },
        Committed::Gone,
        Committed::Conflict(vec![(0, Some(value()))]),
        Committed::NotACounter(vec![(0, Some(value()))]),
    ] {
        assert_hidden("an outcome", &committed);
    }
    let (provider, context) = (Arc::new(MemoryProvider::new()), RequestContext::default());
    let manager = SessionManager::builder(Arc::clone(&provider), Codec::default());
    assert_hidden("a manager in the making", &manager);
    let manager = manager.build().unwrap();
    let session = manager.open(&context, None).await.unwrap();
    session.insert("name", VALUE).unwrap();
    session.update("list", |list: &mut Vec<String>| list.push(VALUE.to_owned())).unwrap();
    assert_hidden("a session", &session);
    let closed = session.close().await;
    assert!(matches!(closed.client, ClientId::Issue(_)));
    assert_hidden("the end of a session", &closed);
    let id = session.id().unwrap();
    let key = KeyDerivation::default().derive(&context, &id).unwrap();
    let loaded = provider.load(&key, WriterId::generate().unwrap()).await.unwrap();
    assert!(matches!(&loaded, Loaded::Session(stored) if !stored.attributes.is_empty()));
    assert_hidden("a stored session", &loaded);
    assert_hidden("a session", &session);
    assert_hidden("a manager", &manager);
    assert_hidden("a store", &provider);
    let corrupt = session.get::<u64>("name").unwrap_err();
    assert_hidden("an error", &corrupt);
    assert_hidden("a rejection", &SessionRejection::from(corrupt));
}

#[test]
fn what_crosses_the_wire() {
    watch_all();
    let command = Command::new("AUTH").arg(PASSWORD).args([Bytes::from_static(VALUE.as_bytes())]);
    assert_hidden("a command", &command);
    let error = || ServerError::new("WRONGPASS", format!("{PASSWORD} is not the password, {VALUE}"));
    let value = || Bytes::from_static(VALUE.as_bytes());
    for reply in [
        Reply::Bulk(value()),
        Reply::Status(value()),
        Reply::Error(error()),
        Reply::Error(ServerError::new(VALUE, "")),
        Reply::Error(ServerError::new("CANARY-OF-A-SHOWN-PASSWORD", "")),
        Reply::Array(vec![Reply::Bulk(value()), Reply::Error(error())]),
    ] {
        watch("CANARY-OF-A-SHOWN-PASSWORD");
        assert_hidden("a reply", &reply);
    }
    for refusal in [
        error(),
        ServerError::new("ERR", format!("unknown command 'HGETALL', with args beginning with: '{VALUE}'")),
        ServerError::new("ERR", VALUE),
        ServerError::new("NEWS", VALUE),
        ServerError::new(VALUE, PASSWORD),
    ] {
        let error = session_redis::refusal(&refusal, Operation::Connect);
        assert_clean("a refusal", &format!("{error} {error:?}"));
    }
    let credentials = Credentials { username: Some("shop".to_owned()), access_key: PASSWORD.to_owned() };
    assert_hidden("credentials", &credentials);
    let mut endpoint = Endpoint::new(Address::Tcp { host: "localhost".to_owned(), port: 6379 });
    endpoint.credentials = Some(credentials);
    assert_hidden("an endpoint", &endpoint);
}

/// Connection settings with the password wherever one can be written, also where that is wrong.
#[test]
fn settings_of_connections() {
    watch_all();
    let percent = PASSWORD.replace('-', "%2D");
    watch(&percent);
    for url in [
        format!("redis://:{PASSWORD}@localhost"),
        format!("redis://shop:{percent}@localhost/2"),
        format!("redis+unix:///run/redis.sock?user=shop&pass={PASSWORD}"),
        format!("localhost:6379,password={PASSWORD},defaultDatabase=2"),
        // Not as they should be.
        format!("redis://shop:{PASSWORD}@localhost:port/2"),
        format!("redis://shop:{PASSWORD}@localhost/{PASSWORD}"),
        format!("redis://localhost?password={PASSWORD}"),
        format!("http://:{PASSWORD}@localhost"),
        format!("{PASSWORD}://localhost"),
        format!("localhost,pasword={PASSWORD}"),
        format!("localhost,{PASSWORD}"),
        format!("localhost,ssl={PASSWORD}"),
        format!("redis+unix:///run/redis.sock?passwd={PASSWORD}"),
        format!("redis://{PASSWORD}"),
        PASSWORD.to_owned(),
    ] {
        // A host's name is no secret, but for this test it is one.
        let shown_as_host = url == format!("redis://{PASSWORD}") || url == PASSWORD;
        let config = RedisConfig::new().url(&url);
        assert_hidden("settings", &config);
        match config.check() {
            Ok(_) if shown_as_host => {}
            Ok(settings) => {
                assert_hidden("checked settings", &settings);
                assert_hidden("a provider", &RedisProvider::new(&config).unwrap());
            }
            Err(error) => assert_clean("an error", &format!("{error} {error:?}")),
        }
        let config = TwemproxyConfig::new().url(&url);
        assert_hidden("settings", &config);
        match TwemproxyProvider::new(&config) {
            Ok(provider) => assert_hidden("a provider", &provider),
            Err(error) => assert_clean("an error", &format!("{error} {error:?}")),
        }
    }
    let config =
        RedisConfig::new().username("shop").access_key(PASSWORD).client_certificate("a.pem", Path::new("a.key"));
    assert_hidden("settings", &config);
    assert_hidden("settings", &TwemproxyConfig::new().access_key(PASSWORD));
}

#[test]
fn cookies() {
    watch_all();
    let id = SessionId::generate().unwrap();
    let builder = || SessionCookie::builder().signing_keys([SIGNING_KEY]);
    assert_hidden("a cookie in the making", &builder());
    let cookie = builder().build().unwrap();
    assert_hidden("a cookie", &cookie);
    assert_hidden("a header", &cookie.set_cookie(ClientId::Issue(id)).unwrap());
    let manager = SessionManager::builder(MemoryProvider::new(), Codec::default()).build().unwrap();
    let layer = SessionLayer::new(manager).with_cookie(cookie);
    assert_hidden("a layer", &layer);
    assert_hidden("a service", &tower::Layer::layer(&layer, ()));
    let error = SessionCookie::builder().signing_keys([&SIGNING_KEY[..30]]).build().unwrap_err();
    watch(&SIGNING_KEY[..30]);
    assert_clean("an error", &format!("{error} {error:?}"));
}

/// What serializers say of values that they can't read. Theirs are the texts that repeat values most readily.
#[test]
fn errors_of_serializers() {
    watch_all();
    fn look(serializer: impl SessionSerializer) {
        let mut bytes = Vec::new();
        serializer.encode(VALUE, &mut bytes).unwrap();
        let text = format!("{{\"{VALUE}\":[\"{VALUE}\"]}}");
        for bytes in [&bytes[..], text.as_bytes(), VALUE.as_bytes(), &bytes[..bytes.len() - 1]] {
            let errors = [
                serializer.decode::<u64>(bytes).err(),
                serializer.decode::<bool>(bytes).err(),
                serializer.decode::<char>(bytes).err(),
                serializer.decode::<std::net::IpAddr>(bytes).err(),
                serializer.decode::<Vec<Duration>>(bytes).err(),
                serializer.decode::<Closing>(bytes).err(),
                serializer.decode::<Strict>(bytes).err(),
            ];
            for error in errors.iter().flatten() {
                assert_clean("an error", &format!("{error} {error:?}"));
                let error = Error::new(ErrorKind::Corrupt, Operation::Read, "").with_source(error.clone());
                assert_clean("an error", &format!("{error} {error:?} {:?}", error.source()));
            }
            assert!(errors.iter().flatten().count() > 3);
        }
    }
    Codec::ALL.iter().for_each(|codec| look(*codec));
    look(Json);
    look(MessagePack);
    look(Postcard);
}

/// Names its variants, and the one that it does not know, in its error.
#[derive(Debug, serde::Deserialize)]
enum Closing {
    #[allow(dead_code, reason = "never read")]
    Open,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    #[allow(dead_code, reason = "never read")]
    field: u8,
}
