//! Which changes a commit carries, and what becomes of those that fail.

use secret_watch as _;

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Call, Path, Side, assert_shows_nothing, builder, create, manager, open};
use serde::{Deserialize, Serialize};
use session_core::{
    ConcurrencyMode, Effect, ErrorKind, KeyDerivation, RequestContext, SerializerError, Session, SessionKey,
    SessionManager, SessionSerializer,
};
use session_serde::Json;

type Step = fn(&Session<Json>);

fn set(session: &Session<Json>) {
    session.insert("n", &10).unwrap();
}

fn unset(session: &Session<Json>) {
    session.remove("n").unwrap();
}

fn add(session: &Session<Json>) {
    session.increment("n", 3).unwrap();
}

fn modify(session: &Session<Json>) {
    session.update("n", |n: &mut i64| *n *= 2).unwrap();
}

/// A stored session with `n` = 1, and the way it was written.
async fn counter() -> (Arc<Path>, Session<Json>) {
    let path = Path::new();
    let session = manager(&path).open(&RequestContext::default(), None).await.unwrap();
    session.insert("n", &1).unwrap();
    session.insert("other", "untouched").unwrap();
    session.commit().await.unwrap();
    path.take_commits();
    (path, session)
}

/// What is written by these steps.
async fn written(steps: &[Step]) -> Vec<String> {
    let (path, session) = counter().await;
    steps.iter().for_each(|step| step(&session));
    session.commit().await.unwrap();
    path.take_written().concat()
}

#[tokio::test]
async fn operations_combine() {
    let table: [(&[Step], &[&str]); 14] = [
        (&[set], &["n=10"]),
        (&[add], &["n+3"]),
        (&[modify], &["n:1>2"]),
        (&[set, set], &["n=10"]),
        (&[set, add], &["n=13"]),
        (&[set, modify], &["n=20"]),
        (&[add, set], &["n=10"]),
        (&[add, add], &["n+6"]),
        (&[add, modify], &["n:1>8"]),
        (&[modify, set], &["n=10"]),
        (&[modify, add], &["n:1>5"]),
        (&[modify, modify], &["n:1>4"]),
        (&[unset, add], &["n=3"]),
        (&[unset], &["n-"]),
    ];
    for (number, (steps, expected)) in table.into_iter().enumerate() {
        assert_eq!(written(steps).await, expected, "row {number}");
    }
}

#[tokio::test]
async fn what_leads_back_writes_nothing() {
    let back: [(&str, &[Step]); 7] = [
        ("A, B, A", &[set, |session| session.insert("n", &1).unwrap()]),
        ("the same", &[|session| session.insert("n", &1).unwrap()]),
        ("the same by an update", &[|session| session.update("n", |_: &mut i64| ()).unwrap()]),
        ("added and taken off", &[add, |session| assert_eq!(session.increment("n", -3).unwrap(), 1)]),
        ("removed and put back", &[unset, |session| session.insert("n", &1).unwrap()]),
        (
            "a new one that was removed",
            &[|session| session.insert("new", &1).unwrap(), |session| assert!(session.remove("new").unwrap())],
        ),
        (
            "cleared and put back",
            &[|session| {
                session.clear().unwrap();
                session.insert("n", &1).unwrap();
                session.insert("other", "untouched").unwrap();
            }],
        ),
    ];
    for (what, steps) in back {
        let (path, session) = counter().await;
        path.take_calls();
        steps.iter().for_each(|step| step(&session));
        session.commit().await.unwrap();
        assert_eq!(path.take_calls(), [], "{what}");
    }
}

#[tokio::test]
async fn clearing_removes_what_was_seen() {
    assert_eq!(written(&[|session| session.clear().unwrap()]).await, ["n-", "other-"]);
    assert_eq!(written(&[|session| session.clear().unwrap(), set]).await, ["n=10", "other-"]);
    let (path, session) = counter().await;
    session.clear().unwrap();
    session.commit().await.unwrap();
    let id = session.id().unwrap();
    assert!(open(&manager(&path), &id).await.is_empty().unwrap());
    assert_eq!(path.memory.len(), 1, "the session outlives its last attribute");
}

/// Counts how often values are encoded and decoded.
#[derive(Clone, Default)]
struct Counting(Arc<(AtomicUsize, AtomicUsize)>);

impl Counting {
    fn take(&self) -> (usize, usize) {
        (self.0.0.swap(0, Ordering::SeqCst), self.0.1.swap(0, Ordering::SeqCst))
    }
}

impl SessionSerializer for Counting {
    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), SerializerError> {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        Json.encode(value, into)
    }

    fn decode<'de, T: Deserialize<'de>>(&self, bytes: &'de [u8]) -> Result<T, SerializerError> {
        self.0.1.fetch_add(1, Ordering::SeqCst);
        Json.decode(bytes)
    }

    fn name(&self) -> &'static str {
        "counting"
    }

    fn is_self_describing(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn encoded_when_set_and_decoded_when_first_read() {
    let path = Path::new();
    let codec = Counting::default();
    let here = SessionManager::builder(path.clone(), codec.clone()).build().unwrap();
    let session = here.open(&RequestContext::default(), None).await.unwrap();
    for name in ["a", "b", "c"] {
        session.insert(name, name).unwrap();
    }
    session.commit().await.unwrap();
    let id = session.id().unwrap();
    assert_eq!(codec.take(), (3, 0));
    let one = here.open(&RequestContext::default(), Some(&id)).await.unwrap();
    let two = here.open(&RequestContext::default(), Some(&id)).await.unwrap();
    let (first, second) =
        (one.get_shared::<String>("a").unwrap().unwrap(), two.get_shared::<String>("a").unwrap().unwrap());
    assert!(Arc::ptr_eq(&first, &second), "requests share the decoded value");
    assert_eq!(codec.take(), (0, 1));
    one.insert("b", "changed").unwrap();
    one.commit().await.unwrap();
    assert_eq!(codec.take(), (1, 0), "what is not touched is not encoded anew");
    // Another process changes one attribute; the others stay decoded.
    let other = SessionManager::builder(Path::to(&path.memory), Json).build().unwrap();
    let other = other.open(&RequestContext::default(), Some(&id)).await.unwrap();
    other.insert("c", "theirs").unwrap();
    other.commit().await.unwrap();
    let again = here.open(&RequestContext::default(), Some(&id)).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again.get_shared::<String>("a").unwrap().unwrap()));
    assert_eq!(again.get::<String>("c").unwrap().as_deref(), Some("theirs"));
    assert_eq!(codec.take(), (0, 1));
}

#[tokio::test]
async fn a_change_during_a_commit_travels_with_the_next() {
    let (path, session) = counter().await;
    let stop = path.stop(Call::Commit, Side::After);
    session.increment("n", 1).unwrap();
    let running = tokio::spawn({
        let session = session.clone();
        async move { session.commit().await }
    });
    stop.reached().await;
    session.increment("n", 10).unwrap();
    session.insert("other", "changed").unwrap();
    stop.go_on();
    running.await.unwrap().unwrap();
    session.commit().await.unwrap();
    assert_eq!(path.take_written(), [vec!["n+1".to_owned()], vec!["n+10".to_owned(), "other=\"changed\"".to_owned()]]);
    assert_eq!(session.get::<i64>("n").unwrap(), Some(12));
}

/// Back to the stored value while another value is on its way: it has to be written back.
#[tokio::test]
async fn a_b_a_around_a_commit_on_its_way() {
    let (path, session) = counter().await;
    let stop = path.stop(Call::Commit, Side::Before);
    session.insert("n", &2).unwrap();
    let running = tokio::spawn({
        let session = session.clone();
        async move { session.commit().await }
    });
    stop.reached().await;
    session.insert("n", &1).unwrap();
    stop.go_on();
    running.await.unwrap().unwrap();
    session.commit().await.unwrap();
    assert_eq!(path.take_written(), [["n=2"], ["n=1"]]);
}

#[tokio::test]
async fn a_failed_commit_travels_with_that_of_another_holder() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Rejected] {
        let path = Path::new();
        let here = manager(&path);
        let (one, id) = create(&here).await;
        let two = open(&here, &id).await;
        path.fail(Call::Commit, Side::Before, kind);
        one.increment("visits", 1).unwrap();
        let closed = one.close().await;
        let error = closed.result.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, Effect::PerhapsApplied));
        assert!(error.to_string().contains("may still be applied"), "{error}");
        drop(one);
        path.heal();
        path.take_commits();
        two.insert("theme", "dark").unwrap();
        two.commit().await.unwrap();
        assert_eq!(path.take_written(), [["theme=\"dark\"", "visits+1"]]);
    }
}

#[tokio::test]
async fn a_failed_commit_of_the_last_holder_is_dropped() {
    for (side, kind, effect) in [
        (Side::Before, ErrorKind::Unavailable, Effect::NotApplied),
        (Side::Before, ErrorKind::Rejected, Effect::NotApplied),
        (Side::After, ErrorKind::OutcomeUnknown, Effect::PerhapsApplied),
    ] {
        let path = Path::new();
        let here = manager(&path);
        let (session, id) = create(&here).await;
        path.fail(Call::Commit, side, kind);
        session.increment("visits", 1).unwrap();
        let error = session.close().await.result.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, effect), "{side:?}");
        path.heal();
        assert_eq!(here.live_sessions(), 0);
        drop(session);
        here.shutdown().await;
        let visits = open(&here, &id).await.get::<i64>("visits").unwrap();
        assert_eq!(visits, Some(1 + i64::from(side == Side::After)), "it is not sent again");
    }
}

#[tokio::test]
async fn one_bad_change_harms_no_other() {
    let path = Path::new();
    let here = builder(&path).max_session_bytes(200).build().unwrap();
    let (session, id) = create(&here).await;
    let there = open(&manager(&Path::to(&path.memory)), &id).await;
    session.insert("theme", "dark").unwrap();
    assert_eq!(session.insert("large", &"x".repeat(300)).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(session.increment("theme", 1).unwrap_err().kind(), ErrorKind::NotACounter);
    assert_eq!(session.get::<Vec<u8>>("theme").unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(session.update("theme", |_: &mut Vec<u8>| ()).unwrap_err().kind(), ErrorKind::Corrupt);
    let panics = session.update("theme", |theme: &mut String| {
        theme.clear();
        panic!("a closure fails")
    });
    assert_eq!(panics.unwrap_err().kind(), ErrorKind::Closure);
    assert_eq!(session.get::<String>("theme").unwrap().as_deref(), Some("dark"));
    // Found at the store: the counter is none there any more.
    session.increment("visits", 1).unwrap();
    there.insert("visits", "many").unwrap();
    there.commit().await.unwrap();
    let error = session.commit().await.unwrap_err();
    assert_eq!((error.kind(), error.attribute()), (ErrorKind::NotACounter, Some("visits")));
    assert_eq!(error.connection(), Some("default"));
    session.commit().await.unwrap();
    let stored = open(&manager(&path), &id).await;
    assert_eq!(stored.get::<String>("theme").unwrap().as_deref(), Some("dark"), "the rest was sent");
    assert_eq!(stored.get::<String>("visits").unwrap().as_deref(), Some("many"));
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn renewed_only_when_due() {
    for (slack, early) in [(10, 0), (0, 1)] {
        let path = Path::new();
        let here = builder(&path).expiry_slack(slack).build().unwrap();
        let (session, id) = create(&here).await;
        drop(session);
        let renewals = async || {
            path.take_calls();
            let session = open(&here, &id).await;
            let _ = session.close().await;
            drop(session);
            common::until("the renewal is made", || here.live_sessions() == 0).await;
            path.take_calls().iter().filter(|call| **call == Call::Renew).count()
        };
        tokio::time::advance(MINUTE).await;
        assert_eq!(renewals().await, early, "slack {slack}");
        tokio::time::advance(MINUTE + MINUTE / 2).await;
        assert_eq!(renewals().await, 1, "slack {slack}: less than the idle timeout remains");
        assert_eq!(renewals().await, 0, "slack {slack}: it was renewed at this very instant");
        tokio::time::advance(20 * MINUTE - Duration::from_millis(1)).await;
        assert_eq!(path.memory.len(), 1, "slack {slack}: nothing ends early");
    }
}

#[tokio::test(start_paused = true)]
async fn touching_renews_whether_it_is_due_or_not() {
    let path = Path::new();
    let here = manager(&path);
    let (session, _) = create(&here).await;
    for _ in 0..5 {
        tokio::time::advance(15 * MINUTE).await;
        path.take_calls();
        session.touch().unwrap();
        session.commit().await.unwrap();
        assert_eq!(path.take_calls(), [Call::Renew]);
    }
    tokio::time::advance(22 * MINUTE).await;
    assert_eq!(path.memory.len(), 0, "holding it does not");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_keeps_timeouts() {
    let path = Path::new();
    let here = builder(&path).absolute_timeout(60 * MINUTE).expiry_slack(0).build().unwrap();
    let (session, _) = create(&here).await;
    session.set_idle_timeout(40 * MINUTE).unwrap();
    session.commit().await.unwrap();
    tokio::time::advance(25 * MINUTE).await;
    session.rotate_id().unwrap();
    session.commit().await.unwrap();
    let id = session.id().unwrap();
    tokio::time::advance(34 * MINUTE).await;
    let other = open(&here, &id).await;
    assert_eq!(other.get::<String>("theme").unwrap().as_deref(), Some("light"), "its own idle timeout goes on");
    other.touch().unwrap();
    other.commit().await.unwrap();
    tokio::time::advance(MINUTE + Duration::from_millis(1)).await;
    assert_eq!(path.memory.len(), 0, "the deadline counts from the creation");
}

#[tokio::test]
async fn oversize_sessions_may_only_shrink() {
    let path = Path::new();
    let (large, id) = create(&manager(&path)).await;
    large.insert("a", &"x".repeat(150)).unwrap();
    large.insert("b", &"x".repeat(150)).unwrap();
    large.commit().await.unwrap();
    let here = builder(&path).max_session_bytes(200).build().unwrap();
    let session = open(&here, &id).await;
    assert_eq!(session.len().unwrap(), 4);
    assert_eq!(session.insert("theme", "much darker").unwrap_err().kind(), ErrorKind::TooLarge);
    session.insert("a", &"y".repeat(149)).unwrap();
    session.remove("b").unwrap();
    session.commit().await.unwrap();

    let tiny = builder(&path).max_session_bytes(10).build().unwrap();
    let session = open(&tiny, &id).await;
    assert_eq!(session.get::<String>("theme").unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(session.insert("theme", "x").unwrap_err().kind(), ErrorKind::TooLarge);
    session.destroy().unwrap();
    session.close().await.result.unwrap();
    assert_eq!(path.memory.len(), 0);
}

#[tokio::test]
async fn without_throwing_a_session_is_degraded() {
    let path = Path::new();
    let (_, id) = create(&manager(&path)).await;
    let here = builder(&path).throw_on_error(false).build().unwrap();
    path.fail(Call::Load, Side::Before, ErrorKind::Unavailable);
    let session = open(&here, &id).await;
    assert!(session.is_degraded());
    assert_eq!(session.last_error().unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!(here.last_error().unwrap().kind(), ErrorKind::Unavailable);
    assert_shows_nothing(&session);
    assert_eq!(session.destroy().unwrap_err().kind(), ErrorKind::Unavailable, "a logout must not seem done");
    session.insert("theme", "dark").unwrap();
    path.heal();
    path.take_calls();
    let closed = session.close().await;
    closed.result.unwrap();
    assert_eq!(closed.client, session_core::ClientId::Keep);
    assert!(session.last_error().unwrap().to_string().contains("lost"));
    drop(session);
    here.shutdown().await;
    assert_eq!(path.take_calls(), [], "nothing of it is ever committed");

    // One that was read, and cannot be written.
    let session = open(&here, &id).await;
    assert!(!session.is_degraded());
    path.fail(Call::Commit, Side::Before, ErrorKind::Rejected);
    session.insert("theme", "dark").unwrap();
    session.commit().await.unwrap();
    assert_eq!(session.last_error().unwrap().kind(), ErrorKind::Rejected);
}

#[tokio::test]
async fn what_a_degraded_session_loses_is_surely_not_applied() {
    let path = Path::new();
    let (_, id) = create(&manager(&path)).await;
    let here = builder(&path).throw_on_error(false).build().unwrap();
    path.fail(Call::Load, Side::Before, ErrorKind::OutcomeUnknown);
    let session = open(&here, &id).await;
    let error = session.destroy().unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::OutcomeUnknown, Effect::NotApplied), "{error}");
    session.insert("theme", "dark").unwrap();
    session.commit().await.unwrap();
    let error = session.last_error().unwrap();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::OutcomeUnknown, Effect::NotApplied), "{error}");
}

#[tokio::test]
async fn two_ids_on_one_key() {
    let path = Path::new();
    let keys = || KeyDerivation::custom(|_, _| SessionKey::new("the only key"));
    let here = builder(&path).key_derivation(keys()).build().unwrap();
    let (held, id) = create(&here).await;
    let other = session_core::SessionId::generate().unwrap();
    let wrong = async || here.open(&RequestContext::default(), Some(&other)).await.unwrap_err().kind();
    assert_eq!(wrong().await, ErrorKind::ForeignKey, "while the session is live");
    drop(held);
    assert_eq!(wrong().await, ErrorKind::ForeignKey, "found in the store");
    let another = here.open(&RequestContext::default(), None).await.unwrap();
    another.insert("theme", "dark").unwrap();
    assert_eq!(another.commit().await.unwrap_err().kind(), ErrorKind::ForeignKey, "when another is created");
    assert_eq!(open(&here, &id).await.get::<String>("theme").unwrap().as_deref(), Some("light"));
}

type Change = fn(&Session<Json>) -> session_core::Result<()>;

/// Whatever would change the session or end it.
const CHANGES: [Change; 10] = [
    |session| session.insert("theme", "dark"),
    |session| session.update("theme", |theme: &mut String| theme.push('!')),
    |session| session.increment("visits", 1).map(drop),
    |session| session.remove("theme").map(drop),
    |session| session.take::<String>("theme").map(drop),
    Session::clear,
    Session::rotate_id,
    Session::destroy,
    Session::touch,
    |session| session.set_idle_timeout(Duration::from_secs(60)),
];

async fn open_to_read(manager: &common::Manager, id: Option<&session_core::SessionId>) -> Session<Json> {
    manager.open_in_mode(&RequestContext::default(), id, ConcurrencyMode::ReadOnly).await.unwrap()
}

#[tokio::test]
async fn a_read_only_request_sees_the_session_and_commits_nothing() {
    let path = Path::new();
    let manager = manager(&path);
    let (writing, id) = create(&manager).await;
    let reading = open_to_read(&manager, Some(&id)).await;
    path.take_calls();
    for (index, change) in CHANGES.iter().enumerate() {
        assert_eq!(change(&reading).unwrap_err().kind(), ErrorKind::ReadOnly, "change {index}");
    }
    writing.insert("theme", "dark").unwrap();
    assert_eq!(reading.get::<String>("theme").unwrap().as_deref(), Some("dark"), "it is the same live session");
    let closed = reading.close().await;
    assert!(closed.result.is_ok());
    assert_eq!(path.take_calls(), [], "what another request changes is that one's to commit");
    drop(reading);
    writing.commit().await.unwrap();
    assert_eq!(
        path.take_written(),
        [["theme=\"light\"", "visits=1"].map(str::to_owned).to_vec(), vec!["theme=\"dark\"".to_owned()]]
    );

    path.take_calls();
    let nobody = open_to_read(&manager, None).await;
    for change in CHANGES {
        assert_eq!(change(&nobody).unwrap_err().kind(), ErrorKind::ReadOnly);
    }
    let closed = nobody.close().await;
    assert_eq!((closed.client, path.take_calls()), (session_core::ClientId::Keep, vec![]), "nothing was created");
}

#[tokio::test(start_paused = true)]
async fn reading_only_is_use_too() {
    let path = Path::new();
    let manager = builder(&path).idle_timeout(Duration::from_secs(100)).expiry_slack(0).build().unwrap();
    let (session, id) = create(&manager).await;
    drop(session);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let reading = open_to_read(&manager, Some(&id)).await;
        assert_eq!(reading.get::<i64>("visits").unwrap(), Some(1));
        let _ = reading.close().await;
        manager.shutdown().await;
    }
    assert_eq!(path.renewals(), 5);
}
