//! How often memory is asked for.

use secret_watch as _;

use std::collections::BTreeMap;

use allocation_counter::measure;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use session_core::{MemoryProvider, RequestContext, SessionManager, SessionSerializer as _};
use session_serde::{Codec, Json, MessagePack, Postcard};

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
struct User {
    id: u64,
    name: String,
    roles: Vec<Role>,
    email: Option<String>,
    scores: BTreeMap<String, Vec<f64>>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
enum Role {
    Member,
    Admin { since: i64 },
}

fn user(name: &str) -> User {
    User {
        id: 4_711,
        name: name.to_owned(),
        roles: vec![Role::Member, Role::Admin { since: -1 }],
        email: Some("ada@example.org".to_owned()),
        scores: BTreeMap::from([("maths".to_owned(), vec![1.0, 0.5]), ("music".to_owned(), vec![])]),
    }
}

/// How often `work` asks for memory, after it was done once.
fn allocations(mut work: impl FnMut()) -> u64 {
    work();
    measure(work).count_total
}

#[test]
fn the_codecs_ask_for_no_more_than_the_bare_libraries() {
    fn check<T: Serialize + DeserializeOwned>(what: &str, value: &T) {
        let mut buffer = Vec::new();
        for codec in Codec::ALL {
            let written = allocations(|| {
                buffer.clear();
                codec.encode(value, &mut buffer).unwrap();
            });
            assert_eq!(written, 0, "{what}, written by {} into a buffer that is used again", codec.name());
        }
        let bytes = |codec: Codec| {
            let mut bytes = Vec::new();
            codec.encode(value, &mut bytes).unwrap();
            bytes
        };
        let ours = |codec: Codec| {
            let bytes = bytes(codec);
            allocations(|| drop(codec.decode::<T>(&bytes).unwrap()))
        };
        let json = serde_json::to_vec(value).unwrap();
        let bare = allocations(|| drop(serde_json::from_slice::<T>(&json).unwrap()));
        assert_eq!(ours(Codec::from(Json)), bare, "{what}, read by json");
        let message_pack = rmp_serde::to_vec_named(value).unwrap();
        let bare = allocations(|| drop(rmp_serde::from_slice::<T>(&message_pack).unwrap()));
        assert_eq!(ours(Codec::from(MessagePack)), bare, "{what}, read by msgpack");
        let postcard = postcard::to_stdvec(value).unwrap();
        let bare = allocations(|| drop(postcard::from_bytes::<T>(&postcard).unwrap()));
        assert_eq!(ours(Codec::from(Postcard)), bare, "{what}, read by postcard");
    }
    check("number", &-300_i64);
    check("text", &"x".repeat(1_500));
    check("bytes", &serde_bytes::ByteBuf::from(vec![200; 32]));
    check("user", &user("Ada"));
    check("list", &vec![user("Ada"); 10]);
}

#[tokio::test]
async fn writing_into_a_session_asks_once_for_each_changed_attribute() {
    for codec in Codec::ALL.iter().copied() {
        let manager = SessionManager::builder(MemoryProvider::new(), codec).build().unwrap();
        let session = manager.open(&RequestContext::default(), None).await.unwrap();
        let names: Vec<_> = (0..20).map(|number| format!("attribute{number}")).collect();
        for name in &names {
            session.insert(name, &user("before")).unwrap();
        }
        session.commit().await.unwrap();

        let same = user("before");
        let unchanged = measure(|| names.iter().for_each(|name| session.insert(name, &same).unwrap()));
        assert_eq!(unchanged.count_total, 0, "{}: nothing changes", codec.name());

        let changed = user("after");
        let first = measure(|| names.iter().for_each(|name| session.insert(name, &changed).unwrap()));
        assert!(first.count_total <= 20, "{}: {} for twenty attributes", codec.name(), first.count_total);
        let again = user("again");
        let second = measure(|| names.iter().for_each(|name| session.insert(name, &again).unwrap()));
        assert!(second.count_total <= 20, "{}: {} for twenty attributes", codec.name(), second.count_total);
    }
}
