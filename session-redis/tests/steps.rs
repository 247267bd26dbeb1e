//! What becomes of every step, on a real server.

use secret_watch as _;

mod common;

use std::time::Duration;

use common::*;
use session_core::{
    Checked, Commit, Committed, Creation, Deadline, Destroyed, Destruction, ErrorKind, Generation, Loaded, Renewal,
    Renewed, Retired, Retirement, SessionProvider,
};
use session_redis::RedisProvider;
use test_support::RedisServer;

fn destruction(life: &Life) -> Destruction {
    Destruction { generation: life.generation, leave_tombstone: false }
}

fn renewal(life: &Life, time_to_live: Duration) -> Renewal {
    Renewal { generation: life.generation, time_to_live }
}

fn pttl(server: &RedisServer, life: &Life) -> i64 {
    server.cli(&["PTTL", life.key_text()]).parse().unwrap()
}

fn fields(server: &RedisServer, life: &Life) -> Vec<String> {
    let mut fields: Vec<_> = server.cli(&["HKEYS", life.key_text()]).lines().map(str::to_owned).collect();
    fields.sort();
    fields
}

#[tokio::test]
async fn create_load_check() {
    let (server, provider) = server();
    let mut life = Life::new();
    assert_eq!(life.load(&provider).await, Loaded::Absent);
    assert_eq!(provider.check(&life.key).await.unwrap(), Checked::Missing);

    let mut commit = life.creation([set("cart", "[1]"), set("empty", ""), increment("visits", 3), remove("none")]);
    commit.idle_timeout = Some(Some(Duration::from_millis(90_001)));
    let committed = provider.commit(&life.key, &commit).await.unwrap();
    assert_eq!(committed, Committed::Done { found: 0, counters: vec![bytes("3")], remaining: MINUTE });

    let session = life.session(&provider).await;
    assert_eq!(session.header.generation, life.generation);
    assert_eq!(session.header.version, 1);
    assert_eq!(session.header.fingerprint, life.id.fingerprint());
    assert_eq!(session.header.idle_timeout, Some(Duration::from_millis(90_001)));
    assert_eq!(session.header.deadline, None);
    let now: u64 = server.cli(&["TIME"]).lines().next().unwrap().parse().unwrap();
    assert!((session.header.created / 1000).abs_diff(now) <= 5);
    assert_eq!(session.written, Some(1));
    assert!(session.remaining <= MINUTE && session.remaining > MINUTE / 2);
    let mut attributes: Vec<_> =
        session.attributes.iter().map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect();
    attributes.sort();
    let expected = [("cart", "[1]"), ("empty", ""), ("visits", "3")];
    assert_eq!(attributes, expected.map(|(name, value)| (name.to_owned(), bytes(value))));
    assert_eq!(life.other_writer().session(&provider).await.written, None);

    let Checked::Present { generation, version, remaining } = provider.check(&life.key).await.unwrap() else {
        panic!("missing")
    };
    assert_eq!((generation, version), (life.generation, 1));
    assert!(remaining <= MINUTE && remaining > MINUTE / 2);
}

#[tokio::test]
async fn changes_and_versions() {
    let (server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, [set("a", "1"), set("b", "2")]).await;
    let mut commit = life.change([set("a", "one"), remove("b"), set("c", "3")]);
    commit.idle_timeout = Some(Some(MINUTE));
    commit.time_to_live = 2 * MINUTE;
    let committed = provider.commit(&life.key, &commit).await.unwrap();
    assert_eq!(committed, Committed::Done { found: 1, counters: Vec::new(), remaining: 2 * MINUTE });
    assert!(pttl(&server, &life) > 60_000);
    assert_eq!(fields(&server, &life), ["@c", "@f", "@g", "@i", "@v", "@w", "a", "c"]);

    let mut commit = life.change([]);
    commit.idle_timeout = Some(None);
    assert!(matches!(provider.commit(&life.key, &commit).await.unwrap(), Committed::Done { found: 2, .. }));
    assert_eq!(fields(&server, &life), ["@c", "@f", "@g", "@v", "@w", "a", "c"]);

    // A session without attributes is still there.
    assert!(matches!(life.write(&provider, [remove("a"), remove("c")]).await, Committed::Done { found: 3, .. }));
    assert_eq!(life.session(&provider).await.attributes, []);
    assert_eq!(life.session(&provider).await.header.version, 4);
}

#[tokio::test]
async fn gone() {
    let (_server, provider) = server();
    let mut life = Life::new();
    assert_eq!(life.write(&provider, [set("a", "1")]).await, Committed::Gone);
    assert_eq!(provider.renew(&life.key, &renewal(&life, MINUTE)).await.unwrap(), Renewed::Gone);
    assert_eq!(life.load(&provider).await, Loaded::Absent);

    life.create(&provider, []).await;
    let mut other = Life { generation: Generation::generate().unwrap(), ..life.other_writer() };
    assert_eq!(other.write(&provider, [set("a", "1")]).await, Committed::Gone);
    assert_eq!(provider.renew(&life.key, &renewal(&other, MINUTE)).await.unwrap(), Renewed::Gone);
    assert_eq!(provider.destroy(&life.key, &destruction(&other)).await.unwrap(), Destroyed::NothingFound);
    assert_eq!(life.session(&provider).await.header.version, 1);
}

#[tokio::test]
async fn a_repeated_batch_is_written_once() {
    let (server, provider) = server();
    let mut life = Life::new();
    let creation = life.creation([increment("n", 5)]);
    assert!(matches!(provider.commit(&life.key, &creation).await.unwrap(), Committed::Done { .. }));
    let repeated = Commit { repeated: true, ..creation };
    let Committed::Already { counters, remaining } = provider.commit(&life.key, &repeated).await.unwrap() else {
        panic!("written twice")
    };
    assert_eq!(counters, [Some(bytes("5"))]);
    assert!(remaining > MINUTE / 2);
    assert!(fields(&server, &life).contains(&"@m".to_owned()), "a creation that was repeated marks the session");

    let commit = life.change([increment("n", 1), increment("absent", 0), remove("x")]);
    assert!(matches!(provider.commit(&life.key, &commit).await.unwrap(), Committed::Done { found: 1, .. }));
    life.done(&provider, [remove("absent")]).await;
    for old in [&commit, &Commit { sequence: 1, ..commit.clone() }] {
        let again = provider.commit(&life.key, old).await.unwrap();
        assert!(matches!(&again, Committed::Already { counters, .. } if *counters == [Some(bytes("6")), None]));
    }
    // Numbers are compared as numbers, and of one writer only.
    for sequence in [9, 10, 999, 1000, u64::MAX - 1, u64::MAX] {
        let commit = Commit { sequence, ..commit.clone() };
        assert!(matches!(provider.commit(&life.key, &commit).await.unwrap(), Committed::Done { .. }), "{sequence}");
        assert!(matches!(provider.commit(&life.key, &commit).await.unwrap(), Committed::Already { .. }));
    }
    let mut other = life.other_writer();
    assert!(matches!(other.write(&provider, [increment("n", 1)]).await, Committed::Done { .. }));
    assert!(matches!(provider.commit(&life.key, &commit).await.unwrap(), Committed::Already { .. }));
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "13");
    assert_eq!(life.session(&provider).await.written, Some(u64::MAX));
    assert_eq!(other.session(&provider).await.written, Some(1));
}

#[tokio::test]
async fn a_repeated_creation_that_comes_first_marks_too() {
    let (server, provider) = server();
    let mut life = Life::new();
    let creation = Commit { repeated: true, ..life.creation([set("a", "1")]) };
    assert!(matches!(provider.commit(&life.key, &creation).await.unwrap(), Committed::Done { found: 0, .. }));
    assert_eq!(provider.destroy(&life.key, &destruction(&life)).await.unwrap(), Destroyed::Done);
    assert_eq!(life.load(&provider).await, Loaded::Tombstone);
    assert_eq!(provider.check(&life.key).await.unwrap(), Checked::Missing);
    assert!((299_000..=300_000).contains(&pttl(&server, &life)));
    // The late first copy finds it.
    let late = Commit { repeated: false, ..creation };
    assert_eq!(provider.commit(&life.key, &late).await.unwrap(), Committed::Gone);
    assert_eq!(provider.commit(&life.key, &Commit { creation: None, ..late }).await.unwrap(), Committed::Gone);
    assert_eq!(provider.renew(&life.key, &renewal(&life, MINUTE)).await.unwrap(), Renewed::Gone);
    assert_eq!(life.load(&provider).await, Loaded::Tombstone);
}

#[tokio::test]
async fn conflicts() {
    let (_server, provider) = server();
    let mut life = Life::new();
    let long = "x".repeat(1000);
    life.create(&provider, [set("short", "1"), set("long", &long), set("empty", "")]).await;

    // What was seen is there: by bytes, by digest, by absence; replaced or removed.
    let fine = [
        replace("short", Some("1"), Some("2")),
        replace("long", Some(&long), Some("")),
        replace("empty", Some(""), None),
        replace("new", None, Some("n")),
        replace("nothing", None, None),
    ];
    assert!(matches!(life.write(&provider, fine).await, Committed::Done { found: 1, .. }));
    assert_eq!(life.attribute(&provider, "short").await.unwrap(), "2");
    assert_eq!(life.attribute(&provider, "long").await.unwrap(), "");
    assert_eq!(life.attribute(&provider, "empty").await, None);
    assert_eq!(life.attribute(&provider, "new").await.unwrap(), "n");

    // What was seen is not there: nothing at all is written, also not a part that would do.
    let conflicting = [
        set("bystander", "1"),
        replace("short", Some("1"), Some("3")),
        replace("long", Some(&long), None),
        replace("new", None, Some("m")),
        replace("gone", Some(&long), Some("m")),
        replace("gone too", Some("short"), None),
        replace("right", None, Some("1")),
        increment("new", 1),
    ];
    let expected = vec![(1, Some(bytes("2"))), (2, Some(bytes(""))), (3, Some(bytes("n"))), (4, None), (5, None)];
    assert_eq!(life.write(&provider, conflicting).await, Committed::Conflict(expected));
    let session = life.session(&provider).await;
    assert_eq!((session.header.version, session.attributes.len()), (2, 3));
    assert_eq!(session.written, Some(2));
}

#[tokio::test]
async fn counters() {
    let (_server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, []).await;
    const MOST: i64 = session_core::COUNTER_LIMIT;
    for (before, by, after) in [
        (None, 0, "0"),
        (None, -1, "-1"),
        (Some("0"), 7, "7"),
        (Some("5"), -5, "0"),
        (Some("-5"), 5, "0"),
        (Some("-5"), -7, "-12"),
        (Some("999999999"), 1, "1000000000"),
        (Some("1000000000"), -1, "999999999"),
        (Some("-1000000000"), 1, "-999999999"),
        (Some("-999999999"), -1, "-1000000000"),
        (Some("1000000000"), -2_000_000_001, "-1000000001"),
        (Some("-1000000000"), 2_000_000_001, "1000000001"),
        (Some("5000000000"), -5_000_000_000, "0"),
        (Some("1000000000"), -1_000_000_000, "0"),
        (Some("9007199254740992"), 1, "9007199254740993"),
        (Some("-9007199254740992"), -1, "-9007199254740993"),
        (Some("123456789123456789"), 111_111_111_111_111_111, "234567900234567900"),
        (Some("999999999999999999"), -1_999_999_999, "999999998000000000"),
        (Some("999999999999999998"), 1, "999999999999999999"),
        (Some("-999999999999999998"), -1, "-999999999999999999"),
        (Some("999999999999999999"), -MOST, "0"),
        (Some("999999999999999999"), -MOST + 1, "1"),
    ] {
        life.done(&provider, [before.map_or(remove("n"), |before| set("n", before))]).await;
        match life.write(&provider, [set("other", "x"), increment("n", by)]).await {
            Committed::Done { counters, .. } => assert_eq!(counters, [bytes(after)], "{before:?} + {by}"),
            other => panic!("{before:?} + {by}: {other:?}"),
        }
        assert_eq!(life.attribute(&provider, "n").await.unwrap(), after);
    }
    let version = life.session(&provider).await.header.version;
    for (before, by) in [
        ("", 1),
        (" 1", 1),
        ("1 ", 1),
        ("01", 1),
        ("-0", 1),
        ("+1", 1),
        ("1.5", 1),
        ("1e3", 1),
        ("0x10", 1),
        ("nan", 1),
        ("\"1\"", 1),
        ("1\n", 1),
        ("1\0", 1),
        ("1000000000000000000", 0),
        ("-1000000000000000000", 1),
        ("999999999999999999", 1),
        ("-999999999999999999", -1),
        ("1", MOST),
        ("-1", -MOST),
        ("0", MOST + 1),
        ("0", i64::MIN),
        ("-1", i64::MAX),
    ] {
        life.done(&provider, [set("n", before)]).await;
        let refused = life.write(&provider, [increment("fine", 1), increment("n", by), set("other", "y")]).await;
        assert_eq!(refused, Committed::NotACounter(vec![(1, Some(bytes(before)))]), "{before:?} + {by}");
    }
    assert_eq!(life.attribute(&provider, "other").await.unwrap(), "x");
    assert_eq!(life.attribute(&provider, "fine").await, None);
    assert_eq!(life.session(&provider).await.header.version, version + 22);
    // Of what is not there, too.
    let refused = life.write(&provider, [increment("absent", i64::MAX)]).await;
    assert_eq!(refused, Committed::NotACounter(vec![(0, None)]));
}

#[tokio::test]
async fn a_conflict_comes_before_what_is_no_counter() {
    let (_server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, [set("text", "abc"), set("a", "1")]).await;
    let both = [increment("text", 1), replace("a", Some("2"), None)];
    assert_eq!(life.write(&provider, both).await, Committed::Conflict(vec![(1, Some(bytes("1")))]));
    // And what was written before comes before both.
    let old = Commit { sequence: 1, ..life.change([increment("text", 1), replace("a", Some("2"), None)]) };
    assert!(matches!(provider.commit(&life.key, &old).await.unwrap(), Committed::Already { .. }));
}

#[tokio::test]
async fn many_changes_and_odd_names() {
    let (server, provider) = server();
    let mut life = Life::new();
    let names: Vec<_> = (0..10_000).map(|n| format!("attribute {n} \u{1F36A} \"%s\\")).collect();
    life.create(&provider, names.iter().map(|name| replace(name, None, Some("1")))).await;
    let done = life.write(&provider, names.iter().map(|name| increment(name, 1))).await;
    assert!(matches!(done, Committed::Done { counters, .. } if counters.len() == 10_000 && counters[9_999] == "2"));
    let session = life.session(&provider).await;
    assert_eq!(session.attributes.len(), 10_000);
    assert!(session.attributes.iter().all(|(_, value)| value == "2"));
    life.done(&provider, names.iter().map(|name| remove(name))).await;
    assert_eq!(fields(&server, &life), ["@c", "@f", "@g", "@v", "@w"]);
}

#[tokio::test]
async fn binary_values() {
    let (_server, provider) = server();
    let mut life = Life::new();
    let all: Vec<u8> = (0..=255).collect();
    life.create(&provider, [set("all", &all), set("crlf", "\r\n$5\r\n")]).await;
    let session = life.session(&provider).await;
    let value = |attribute| session.attributes.iter().find(|(it, _)| *it == name(attribute)).unwrap().1.clone();
    assert_eq!(value("all"), all);
    assert_eq!(value("crlf"), "\r\n$5\r\n");
}

#[tokio::test]
async fn deadlines() {
    let (server, provider) = server();
    let mut life = Life::new();
    let mut commit = life.creation([set("a", "1")]);
    commit.creation.as_mut().unwrap().deadline = Deadline::After(Duration::from_secs(30));
    let Committed::Done { remaining, .. } = provider.commit(&life.key, &commit).await.unwrap() else { panic!() };
    assert_eq!(remaining, Duration::from_secs(30));
    let deadline = life.session(&provider).await.header.deadline.unwrap();
    // Nothing lengthens it.
    let Committed::Done { remaining, .. } = life.write(&provider, [set("a", "2")]).await else { panic!() };
    assert!(remaining <= Duration::from_secs(30) && remaining > Duration::from_secs(20));
    let renewed = provider.renew(&life.key, &renewal(&life, 10 * MINUTE)).await.unwrap();
    assert!(matches!(renewed, Renewed::Done { remaining } if remaining <= Duration::from_secs(30)));
    assert!(pttl(&server, &life) <= 30_000);
    assert_eq!(life.session(&provider).await.header.deadline, Some(deadline));
    // It may be shorter for the time being.
    let renewed = provider.renew(&life.key, &renewal(&life, Duration::from_secs(1))).await.unwrap();
    assert_eq!(renewed, Renewed::Done { remaining: Duration::from_secs(1) });

    // A successor takes over creation and deadline.
    let mut next = Life::new();
    let mut commit = next.creation([]);
    commit.creation = Some(Creation { created: Some(5), deadline: Deadline::At(deadline), ..commit.creation.unwrap() });
    assert!(matches!(provider.commit(&next.key, &commit).await.unwrap(), Committed::Done { .. }));
    let header = next.session(&provider).await.header;
    assert_eq!((header.created, header.deadline), (5, Some(deadline)));
    assert!(pttl(&server, &next) <= 30_000);

    // Past it there is no session, whatever the time to live.
    server.cli(&["HSET", next.key_text(), "@d", "1000"]);
    assert_eq!(next.write(&provider, [set("a", "2")]).await, Committed::Gone);
    assert_eq!(provider.renew(&next.key, &renewal(&next, MINUTE)).await.unwrap(), Renewed::Gone);
    let mut late = Life::new();
    let mut commit = late.creation([]);
    commit.creation.as_mut().unwrap().deadline = Deadline::At(1000);
    assert_eq!(provider.commit(&late.key, &commit).await.unwrap(), Committed::Gone);
    assert_eq!(late.load(&provider).await, Loaded::Absent);
}

#[tokio::test]
async fn it_expires() {
    let (server, provider) = server();
    let mut life = Life::new();
    let creation = Commit { time_to_live: Duration::from_millis(1500), ..life.creation([set("a", "1")]) };
    assert!(matches!(provider.commit(&life.key, &creation).await.unwrap(), Committed::Done { .. }));
    assert!((1..=1500).contains(&pttl(&server, &life)));
    eventually("the session expires", async || life.load(&provider).await == Loaded::Absent).await;
    assert_eq!(life.write(&provider, [set("a", "2")]).await, Committed::Gone);
    assert_eq!(life.load(&provider).await, Loaded::Absent);
}

#[tokio::test]
async fn renewal_raises_no_version() {
    let (server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, []).await;
    let renewed = provider.renew(&life.key, &renewal(&life, 5 * MINUTE)).await.unwrap();
    assert_eq!(renewed, Renewed::Done { remaining: 5 * MINUTE });
    assert!(pttl(&server, &life) > 290_000);
    assert_eq!(life.session(&provider).await.header.version, 1);
    // Never an expiry that deletes, never one that the server refuses.
    for extreme in [Duration::ZERO, Duration::MAX] {
        assert!(matches!(
            provider.renew(&life.key, &renewal(&life, extreme)).await.unwrap(),
            Renewed::Done { remaining } if !remaining.is_zero()
        ));
        life = Life::new();
        life.create(&provider, []).await;
    }
}

#[tokio::test]
async fn destruction_leaves_nothing_unless_asked() {
    let (server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    assert_eq!(provider.destroy(&life.key, &destruction(&life)).await.unwrap(), Destroyed::Done);
    assert_eq!(server.cli(&["EXISTS", life.key_text()]), "0");
    assert_eq!(provider.destroy(&life.key, &destruction(&life)).await.unwrap(), Destroyed::NothingFound);
    assert_eq!(server.cli(&["EXISTS", life.key_text()]), "0");

    let with_tombstone = Destruction { leave_tombstone: true, ..destruction(&life) };
    assert_eq!(provider.destroy(&life.key, &with_tombstone).await.unwrap(), Destroyed::NothingFound);
    assert_eq!(life.load(&provider).await, Loaded::Tombstone);
    assert_eq!(fields(&server, &life), ["@t"]);
    assert!((299_000..=300_000).contains(&pttl(&server, &life)));
    // A shorter one is made as long as a late creation may need.
    server.cli(&["PEXPIRE", life.key_text(), "1000"]);
    assert_eq!(provider.destroy(&life.key, &with_tombstone).await.unwrap(), Destroyed::NothingFound);
    assert!(pttl(&server, &life) > 299_000);

    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    let with_tombstone = Destruction { leave_tombstone: true, ..destruction(&life) };
    assert_eq!(provider.destroy(&life.key, &with_tombstone).await.unwrap(), Destroyed::Done);
    assert_eq!(fields(&server, &life), ["@t"]);
}

#[tokio::test]
async fn retirement() {
    let (server, provider) = server();
    let (mut life, next, another) = (Life::new(), Life::new(), Life::new());
    life.create(&provider, [set("a", "1")]).await;
    let retirement = |version, successor: &Life| Retirement {
        generation: life.generation,
        version,
        successor: successor.generation,
    };
    let (at_1, at_2, by_another) = (retirement(1, &next), retirement(2, &next), retirement(2, &another));
    assert!(matches!(life.write(&provider, [set("a", "2")]).await, Committed::Done { .. }));
    assert_eq!(provider.retire(&life.key, &at_1).await.unwrap(), Retired::Changed);
    assert_eq!(life.attribute(&provider, "a").await.unwrap(), "2");
    assert_eq!(provider.retire(&life.key, &at_2).await.unwrap(), Retired::Done);
    assert_eq!(provider.retire(&life.key, &at_2).await.unwrap(), Retired::Done, "it knows its own tombstone");
    assert_eq!(provider.retire(&life.key, &by_another).await.unwrap(), Retired::Gone);
    assert_eq!(life.load(&provider).await, Loaded::Tombstone);
    assert_eq!(fields(&server, &life), ["@t"]);
    assert!((59_000..=60_000).contains(&pttl(&server, &life)));
    assert_eq!(life.write(&provider, [set("a", "3")]).await, Committed::Gone);
    let creation = life.creation([]);
    assert_eq!(provider.commit(&life.key, &creation).await.unwrap(), Committed::Gone);

    let absent = Life::new();
    assert_eq!(provider.retire(&absent.key, &at_2).await.unwrap(), Retired::Gone);
    assert_eq!(server.cli(&["EXISTS", absent.key_text()]), "0");

    // A copy of its creation may still be under way.
    let mut marked = Life::new();
    let creation = Commit { repeated: true, ..marked.creation([]) };
    assert!(matches!(provider.commit(&marked.key, &creation).await.unwrap(), Committed::Done { .. }));
    let retirement = Retirement { generation: marked.generation, version: 1, successor: next.generation };
    assert_eq!(provider.retire(&marked.key, &retirement).await.unwrap(), Retired::Done);
    assert!(pttl(&server, &marked) > 60_000);
}

#[tokio::test]
async fn what_is_not_ours_stays_as_it_is() {
    let (server, provider) = server();
    let string = Life::new();
    server.cli(&["SET", string.key_text(), "precious"]);
    refuses_everything(&provider, string, true).await;

    let hash = Life::new();
    server.cli(&["HSET", hash.key_text(), "field", "precious"]);
    let key = hash.key_text().to_owned();
    refuses_everything(&provider, hash, true).await;
    assert_eq!(server.cli(&["HGETALL", &key]), "field\nprecious");
    assert_eq!(server.cli(&["TTL", &key]), "-1");
    assert_eq!(server.cli(&["DBSIZE"]), "2");

    // Another life of a session under the same key.
    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    let mut other = Life { key: life.key.clone(), ..Life::new() };
    let creation = other.creation([set("a", "2")]);
    let error = provider.commit(&life.key, &creation).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignKey);
    assert_eq!(life.attribute(&provider, "a").await.unwrap(), "1");
}

async fn refuses_everything(provider: &RedisProvider, mut life: Life, load: bool) {
    let kind = |error: session_core::Error| {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(life.key_text()) && !text.contains("precious"), "{text}");
        assert_eq!(error.kind(), ErrorKind::ForeignKey, "{error}");
    };
    if load {
        kind(provider.load(&life.key, life.writer).await.unwrap_err());
    }
    assert_eq!(provider.check(&life.key).await.unwrap(), Checked::Missing);
    kind(provider.renew(&life.key, &renewal(&life, MINUTE)).await.unwrap_err());
    for leave_tombstone in [false, true] {
        let destruction = Destruction { leave_tombstone, ..destruction(&life) };
        kind(provider.destroy(&life.key, &destruction).await.unwrap_err());
    }
    let retirement = Retirement { generation: life.generation, version: 1, successor: Generation::generate().unwrap() };
    kind(provider.retire(&life.key, &retirement).await.unwrap_err());
    for commit in [life.change([set("a", "1")]), life.creation([set("a", "1")])] {
        let error = provider.commit(&life.key, &commit).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ForeignKey, "{error}");
    }
}

#[tokio::test]
async fn fields_that_are_no_attributes_are_left_alone() {
    let (server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, [set("a", "1")]).await;
    let long = "n".repeat(257);
    server.cli(&["HSET", life.key_text(), "@later", "x", &long, "y", "", "z"]);
    let session = life.session(&provider).await;
    assert_eq!(session.attributes, [(name("a"), bytes("1"))]);
    life.done(&provider, [remove("a")]).await;
    assert_eq!(server.cli(&["HMGET", life.key_text(), "@later", &long, ""]), "x\ny\nz");
}

#[tokio::test]
async fn writers_that_are_gone_are_forgotten_and_others_never() {
    let (server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, []).await;
    let key = life.key_text().to_owned();
    let now: u64 = server.cli(&["TIME"]).lines().next().unwrap().parse().unwrap();
    let (old, young) = (life.other_writer(), life.other_writer());
    // A writer's time may be a minute behind its newest number, which is kept for ten.
    let entries = format!(
        "{} {}:7:{} {}:8:{}",
        server.cli(&["HGET", &key, "@w"]),
        old.writer,
        now - 740,
        young.writer,
        now - 690
    );
    server.cli(&["HSET", &key, "@w", &entries]);
    assert_eq!(old.session(&provider).await.written, Some(7));
    // Nobody's time is due: nothing is forgotten.
    life.done(&provider, []).await;
    assert_eq!(old.session(&provider).await.written, Some(7));
    // A new writer makes the script look at the time.
    let mut newcomer = life.other_writer();
    newcomer.done(&provider, []).await;
    assert_eq!(old.session(&provider).await.written, None);
    assert_eq!(young.session(&provider).await.written, Some(8));
    assert_eq!(newcomer.session(&provider).await.written, Some(1));
    assert_eq!(life.session(&provider).await.written, Some(2));
    // Those of whom a number is used up are no different.
    let (mut refused, mut stranger) = (life.other_writer(), life.other_writer());
    let entries = format!(
        "{} {}:8:{}:9 {}::{}:9 {}:7:{}:8",
        server.cli(&["HGET", &key, "@w"]),
        refused.writer,
        now - 690,
        stranger.writer,
        now - 690,
        old.writer,
        now - 740,
    );
    server.cli(&["HSET", &key, "@w", &entries]);
    life.other_writer().done(&provider, []).await;
    assert!(!server.cli(&["HGET", &key, "@w"]).contains(&old.writer.to_string()));
    for (writer, written) in [(&mut refused, Some(8)), (&mut stranger, None)] {
        assert_eq!(writer.session(&provider).await.written, written);
        writer.sequence = 8;
        let answer = writer.write(&provider, [set("a", "1")]).await;
        assert!(matches!(answer, Committed::Conflict(_)), "{answer:?}");
        writer.done(&provider, []).await;
    }
    // A provider that does not remember when it renewed the time renews it.
    let restarted = provider_of(&server);
    let aged = server.cli(&["HGET", &key, "@w"]).replace(&format!(":{now}"), &format!(":{}", now - 50));
    server.cli(&["HSET", &key, "@w", &aged]);
    life.done(&restarted, []).await;
    let entry = |life: &Life| {
        let entries = server.cli(&["HGET", &key, "@w"]);
        let entry = entries.split(' ').find(|entry| entry.starts_with(&life.writer.to_string())).unwrap().to_owned();
        entry.rsplit(':').next().unwrap().parse::<u64>().unwrap()
    };
    assert!(entry(&life) >= now);
}

fn provider_of(server: &RedisServer) -> RedisProvider {
    provider(&server.url())
}

#[tokio::test]
async fn an_unknown_script_is_not_noticed() {
    let (server, provider) = server();
    let mut life = Life::new();
    life.create(&provider, []).await;
    let flushing = async {
        for _ in 0..50 {
            server.cli(&["SCRIPT", "FLUSH"]);
            tokio::task::yield_now().await;
        }
    };
    let writing = async {
        for _ in 0..200 {
            assert!(matches!(life.write(&provider, [increment("n", 1)]).await, Committed::Done { .. }));
        }
    };
    tokio::join!(flushing, writing);
    server.cli(&["SCRIPT", "FLUSH"]);
    let renewed = provider.renew(&life.key, &renewal(&life, MINUTE)).await.unwrap();
    assert_eq!(renewed, Renewed::Done { remaining: MINUTE });
    server.cli(&["SCRIPT", "FLUSH"]);
    let retirement = Retirement { generation: life.generation, version: 1, successor: life.generation };
    assert_eq!(provider.retire(&life.key, &retirement).await.unwrap(), Retired::Changed);
    server.cli(&["SCRIPT", "FLUSH"]);
    assert_eq!(life.attribute(&provider, "n").await.unwrap(), "200");
    assert_eq!(provider.destroy(&life.key, &destruction(&life)).await.unwrap(), Destroyed::Done);
    assert!(!server.command_counts().contains_key("script|load"));
}

#[tokio::test]
async fn a_value_that_is_too_long_is_not_sent() {
    let server = RedisServer::spawn().unwrap();
    let config = session_redis::RedisConfig::new().url(server.url()).max_value_bytes(1000);
    let provider = RedisProvider::new(&config).unwrap();
    assert_eq!(provider.capabilities().max_value_bytes, 1000);
    let mut life = Life::new();
    for too_long in [set("a", [0; 1001]), replace("a", None, Some(&"x".repeat(1001)))] {
        let commit = life.creation([too_long]);
        let error = provider.commit(&life.key, &commit).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(error.attribute(), Some("a"));
    }
    assert!(!server.command_counts().contains_key("evalsha"));
    life.create(&provider, [set("a", [0; 1000])]).await;
}
