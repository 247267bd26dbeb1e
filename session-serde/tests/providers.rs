//! Sessions, with every serializer in every store.

use secret_watch as _;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use session_core::{
    Action, AttributeName, Change, Commit, Committed, Content, ErrorKind, KeyDerivation, Loaded, MemoryProvider,
    RequestContext, Session, SessionId, SessionKey, SessionManager, SessionProvider, SessionSerializer, StoredSession,
    WriterId,
};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::{Codec, Json, MessagePack, Postcard, Value};
use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};
use test_support::{Nutcracker, RedisServer};

/// A store, and what it needs to live.
struct Store {
    provider: Arc<dyn SessionProvider>,
    _servers: Servers,
}

#[expect(dead_code, reason = "they run as long as they are held")]
enum Servers {
    None,
    Redis(RedisServer),
    Twemproxy(Nutcracker),
}

fn memory() -> Store {
    Store { provider: Arc::new(MemoryProvider::new()), _servers: Servers::None }
}

fn redis() -> Store {
    let server = RedisServer::spawn().unwrap();
    let provider = RedisProvider::new(&RedisConfig::new().url(server.url())).unwrap();
    Store { provider: Arc::new(provider), _servers: Servers::Redis(server) }
}

fn twemproxy() -> Store {
    let proxy = Nutcracker::spawn().unwrap();
    let provider = TwemproxyProvider::new(&TwemproxyConfig::new().url(proxy.url())).unwrap();
    Store { provider: Arc::new(provider), _servers: Servers::Twemproxy(proxy) }
}

/// Each test, with every serializer in every store.
macro_rules! tests {
    ($($test:ident)*) => {
        tests! { memory redis twemproxy; [$($test)*] }
    };
    ($($store:ident)*; $tests:tt) => {
        $(mod $store {
            tests! { $store: json msgpack postcard; $tests }
        })*
    };
    ($store:ident: $($codec:ident)*; $tests:tt) => {
        $(mod $codec {
            tests! { $store, $codec: $tests }
        })*
    };
    ($store:ident, $codec:ident: [$($test:ident)*]) => {
        $(#[tokio::test]
        async fn $test() {
            let codec = stringify!($codec).parse().unwrap();
            crate::$test(crate::$store(), codec).await;
        })*
    };
}

tests! {
    what_is_written_is_read_by_another_process
    what_did_not_change_is_not_written
    an_update_and_an_increment
    sessions_survive_a_change_of_serializer
    integers_become_counters_only_where_the_bytes_tell
    what_cannot_be_decoded_is_corrupt_and_harms_nothing_else
    a_whole_session_is_shown
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug, Default)]
struct User {
    name: String,
    roles: Vec<Role>,
    email: Option<String>,
    logins: BTreeMap<String, u32>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
enum Role {
    Member,
    Admin { since: i64 },
}

fn user() -> User {
    User {
        name: "Grüße 🦀".to_owned(),
        roles: vec![Role::Member, Role::Admin { since: -1 }],
        email: None,
        logins: BTreeMap::from([("web".to_owned(), 300)]),
    }
}

impl Store {
    /// A manager stands for a process: it has live sessions of its own.
    fn process<S: SessionSerializer>(&self, codec: S) -> SessionManager<S> {
        let builder = SessionManager::builder(Arc::clone(&self.provider), codec);
        builder.key_derivation(KeyDerivation::plain("s:")).build().unwrap()
    }

    async fn new_session(&self, codec: Codec) -> Session<Codec> {
        self.process(codec).open(&RequestContext::default(), None).await.unwrap()
    }

    /// The session as another process opens it.
    async fn open(&self, codec: Codec, id: SessionId) -> Session<Codec> {
        self.process(codec).open(&RequestContext::default(), Some(&id)).await.unwrap()
    }

    fn key(id: SessionId) -> SessionKey {
        SessionKey::new(format!("s:{}", id.expose())).unwrap()
    }

    async fn stored(&self, id: SessionId) -> StoredSession {
        match self.provider.load(&Self::key(id), WriterId::generate().unwrap()).await.unwrap() {
            Loaded::Session(session) => session,
            other => panic!("{other:?}"),
        }
    }

    async fn bytes(&self, id: SessionId, attribute: &str) -> Bytes {
        let session = self.stored(id).await;
        let (_, bytes) = session.attributes.iter().find(|(name, _)| name.as_str() == attribute).unwrap();
        bytes.clone()
    }

    /// Writes bytes that no serializer made.
    async fn plant(&self, id: SessionId, attribute: &str, bytes: &'static [u8]) {
        let commit = Commit {
            generation: self.stored(id).await.header.generation,
            writer: WriterId::generate().unwrap(),
            sequence: 1,
            repeated: false,
            creation: None,
            changes: vec![Change {
                name: AttributeName::new(attribute).unwrap(),
                action: Action::Set(Bytes::from_static(bytes)),
            }],
            idle_timeout: None,
            time_to_live: Duration::from_secs(60),
        };
        let planted = self.provider.commit(&Self::key(id), &commit).await.unwrap();
        assert!(matches!(planted, Committed::Done { .. }), "{planted:?}");
    }
}

async fn what_is_written_is_read_by_another_process(store: Store, codec: Codec) {
    let session = store.new_session(codec).await;
    session.insert("user", &user()).unwrap();
    session.insert("text", "").unwrap();
    session.insert("unit", &()).unwrap();
    session.insert("bytes", serde_bytes::Bytes::new(&[0, 1, 0x0A, 0x80, 0xFF])).unwrap();
    session.commit().await.unwrap();
    let later = store.open(codec, session.id().unwrap()).await;
    assert_eq!(later.get::<User>("user").unwrap(), Some(user()));
    assert_eq!(later.get::<String>("text").unwrap().as_deref(), Some(""));
    assert_eq!(later.get::<()>("unit").unwrap(), Some(()));
    let bytes = later.get::<serde_bytes::ByteBuf>("bytes").unwrap().unwrap();
    assert_eq!(bytes.as_ref(), [0, 1, 0x0A, 0x80, 0xFF]);
    assert_eq!(later.get::<User>("other").unwrap(), None);
}

async fn what_did_not_change_is_not_written(store: Store, codec: Codec) {
    let session = store.new_session(codec).await;
    session.insert("user", &user()).unwrap();
    session.commit().await.unwrap();
    let id = session.id().unwrap();
    let version = store.stored(id).await.header.version;
    let again = store.open(codec, id).await;
    again.insert("user", &user()).unwrap();
    again.update("user", |user: &mut User| user.roles.push(Role::Member)).unwrap();
    again.update("user", |user: &mut User| user.roles.pop()).unwrap();
    again.commit().await.unwrap();
    assert_eq!(store.stored(id).await.header.version, version);
    again.update("user", |user: &mut User| user.roles.clear()).unwrap();
    again.commit().await.unwrap();
    assert_eq!(store.stored(id).await.header.version, version + 1);
}

async fn an_update_and_an_increment(store: Store, codec: Codec) {
    let session = store.new_session(codec).await;
    session.update("user", |user: &mut User| user.name.push('x')).unwrap();
    assert_eq!(session.increment("visits", 41).unwrap(), 41);
    session.commit().await.unwrap();
    let id = session.id().unwrap();
    // Two processes at once: one's update is made again on the other's.
    let others = [store.open(codec, id).await, store.open(codec, id).await];
    for other in &others {
        other.update("user", |user: &mut User| user.name.push('y')).unwrap();
        other.increment("visits", 1).unwrap();
    }
    for other in &others {
        other.commit().await.unwrap();
    }
    let later = store.open(codec, id).await;
    assert_eq!(later.get::<User>("user").unwrap().unwrap().name, "xyy");
    assert_eq!(later.get::<u8>("visits").unwrap(), Some(43));
    assert_eq!(store.bytes(id, "visits").await, "43");
    // A counter that is updated stays one.
    later.update("visits", |visits: &mut i64| *visits *= 2).unwrap();
    later.commit().await.unwrap();
    assert_eq!(store.bytes(id, "visits").await, "86");
}

async fn sessions_survive_a_change_of_serializer(store: Store, codec: Codec) {
    for other in Codec::ALL.iter().copied() {
        let session = store.new_session(codec).await;
        session.insert("user", &user()).unwrap();
        session.insert("cart", &vec!["tea"]).unwrap();
        session.increment("visits", 1).unwrap();
        session.commit().await.unwrap();
        let id = session.id().unwrap();
        let before = [store.bytes(id, "user").await, store.bytes(id, "cart").await];

        let session = store.open(other, id).await;
        assert_eq!(session.get::<User>("user").unwrap(), Some(user()));
        session.update("cart", |cart: &mut Vec<String>| cart.push("milk".to_owned())).unwrap();
        assert_eq!(session.increment("visits", 1).unwrap(), 2);
        session.commit().await.unwrap();

        // Rewritten is what changed, and nothing else.
        let mut cart = Vec::new();
        other.encode(&vec!["tea", "milk"], &mut cart).unwrap();
        assert_eq!(store.bytes(id, "user").await, before[0]);
        assert_eq!(store.bytes(id, "cart").await, cart);
        assert_eq!(store.bytes(id, "visits").await, "2");

        // And back.
        let session = store.open(codec, id).await;
        assert_eq!(session.get::<Vec<String>>("cart").unwrap().unwrap(), ["tea", "milk"]);
        assert_eq!(session.get::<User>("user").unwrap(), Some(user()));
        assert_eq!(session.get::<i64>("visits").unwrap(), Some(2));
    }
}

async fn integers_become_counters_only_where_the_bytes_tell(store: Store, codec: Codec) {
    for writer in Codec::ALL.iter().copied() {
        let session = store.new_session(writer).await;
        session.insert("number", &41_i64).unwrap();
        // Postcard could read these as integers.
        session.insert("text", "h").unwrap();
        session.insert("yes", &true).unwrap();
        session.commit().await.unwrap();
        let id = session.id().unwrap();

        let session = store.open(codec, id).await;
        for attribute in ["text", "yes"] {
            let before = store.bytes(id, attribute).await;
            assert_eq!(session.increment(attribute, 1).unwrap_err().kind(), ErrorKind::NotACounter);
            assert_eq!(store.bytes(id, attribute).await, before);
        }
        if writer.name() == "postcard" {
            assert_eq!(session.increment("number", 1).unwrap_err().kind(), ErrorKind::NotACounter);
            assert_eq!(session.get::<i64>("number").unwrap(), Some(41));
        } else {
            assert_eq!(session.increment("number", 1).unwrap(), 42);
            session.commit().await.unwrap();
            assert_eq!(store.bytes(id, "number").await, "42");
        }
    }
}

async fn what_cannot_be_decoded_is_corrupt_and_harms_nothing_else(store: Store, codec: Codec) {
    let session = store.new_session(codec).await;
    session.insert("user", &user()).unwrap();
    session.commit().await.unwrap();
    let id = session.id().unwrap();
    let broken: [(&str, &[u8]); 6] = [
        ("unknown tag", b"\x80\xC0"),
        ("reserved tag", b"\x03"),
        ("empty", b""),
        ("cut json", br#"{"name":"hunter2"#),
        ("cut msgpack", b"\x01\x84\xA4name\xA7hunter2"),
        ("cut postcard", b"\x02\x07hunter2"),
    ];
    for (name, bytes) in broken {
        store.plant(id, name, bytes).await;
    }
    let session = store.open(codec, id).await;
    for (name, bytes) in broken {
        // Never taken for absent.
        let error = session.get::<Option<User>>(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(name) && !shown.contains("hunter2"), "{shown}");
        let error = session.update(name, |user: &mut User| user.roles.clear()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
        assert_eq!(store.bytes(id, name).await, bytes);
    }
    assert_eq!(session.get::<User>("user").unwrap(), Some(user()));
    // Overwritten, it is well again.
    for (name, _) in broken {
        session.insert(name, &user()).unwrap();
    }
    session.commit().await.unwrap();
    let session = store.open(codec, id).await;
    assert_eq!(session.get::<User>("unknown tag").unwrap(), Some(user()));
}

async fn a_whole_session_is_shown(store: Store, codec: Codec) {
    let session = store.new_session(codec).await;
    session.insert("user", &user()).unwrap();
    session.increment("visits", 3).unwrap();
    session.commit().await.unwrap();
    let id = session.id().unwrap();
    store.plant(id, "broken", b"\x80").await;
    let session = store.open(codec, id).await;
    session.insert("a change", &[1, 2]).unwrap();

    fn show(content: &Content<Value>) -> String {
        match content {
            Content::Value(value) => value.to_string(),
            Content::Opaque => "opaque".to_owned(),
            Content::Corrupt(error) => format!("{:?}", error.kind()),
            other => panic!("{other:?}"),
        }
    }
    let shown = |attributes: Vec<session_core::Inspected<Value>>| {
        attributes.iter().map(|one| (one.name.as_str().to_owned(), show(&one.content))).collect::<BTreeMap<_, _>>()
    };
    let user =
        r#"{"name": "Grüße 🦀", "roles": ["Member", {"Admin": {"since": -1}}], "email": null, "logins": {"web": 300}}"#;
    let (user, change) = if codec.is_self_describing() { (user, "[1, 2]") } else { ("opaque", "opaque") };
    let stored = [("broken", "opaque"), ("user", user), ("visits", "3")];
    let stored = stored.map(|(name, shown)| (name.to_owned(), shown.to_owned()));
    let mut seen = BTreeMap::from(stored);
    assert_eq!(shown(store.stored(id).await.inspect(&codec)), seen);
    seen.insert("a change".to_owned(), change.to_owned());
    assert_eq!(shown(session.inspect().unwrap()), seen);
    // Nobody's decoded value was taken away, nothing is written.
    assert!(session.last_error().is_none());

    // A serializer by itself shows what is its own.
    let alone = store.process(Json).open(&RequestContext::default(), Some(&id)).await.unwrap();
    let attributes: Vec<session_core::Inspected<Value>> = alone.inspect().unwrap();
    let own = attributes.iter().find(|one| one.name.as_str() == "user").unwrap();
    assert_eq!(matches!(own.content, Content::Value(_)), codec == Codec::from(Json));
}

#[test]
fn they_can_be_shared() {
    fn shared<T: Send + Sync + Copy + 'static>() {}
    shared::<(Codec, Json, MessagePack, Postcard)>();
}
