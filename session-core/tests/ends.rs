//! The end of a session, and the change of its id, at every step of what another process is doing.

use secret_watch as _;

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Call, Path, Side, assert_shows_nothing, builder, create, manager, open, process};
use session_core::{ClientId, Closed, Destroyed, ErrorKind, MemoryProvider, RequestContext};

/// Every step of a rotation, and whether the old id is still that of the session there.
const STEPS: [(Call, Side, bool); 4] = [
    (Call::Commit, Side::Before, true),
    (Call::Commit, Side::After, true),
    (Call::Retire, Side::Before, true),
    (Call::Retire, Side::After, false),
];

fn memory() -> Arc<MemoryProvider> {
    Arc::new(MemoryProvider::new())
}

#[tokio::test]
async fn destroyed_by_another_process_at_each_step_of_a_rotation() {
    for (call, side, lives) in STEPS {
        let memory = memory();
        let (here, path) = process(&memory);
        let (there, _) = process(&memory);
        let (session, old) = create(&here).await;
        let other = open(&there, &old).await;
        let stop = path.stop(call, side);
        session.rotate_id().unwrap();
        session.insert("user", "ann").unwrap();
        let rotating = tokio::spawn(async move { (session.close().await, session) });
        stop.reached().await;
        other.destroy().unwrap();
        let Closed { result, client, destroyed, .. } = other.close().await;
        result.unwrap();
        assert_eq!(client, ClientId::Forget);
        assert_eq!(destroyed == Some(Destroyed::Done), lives, "{call:?} {side:?}");
        stop.go_on();
        let (closed, session) = rotating.await.unwrap();
        if lives {
            assert_eq!(closed.result.unwrap_err().kind(), ErrorKind::Gone, "{call:?} {side:?}");
            assert_eq!(closed.client, ClientId::Keep);
            assert_shows_nothing(&session);
            assert_eq!(here.live_sessions(), 0, "it left the table at once");
            assert_eq!(memory.len(), 0, "the copy is gone too");
        } else {
            closed.result.unwrap();
            let ClientId::Issue(new) = closed.client else { panic!("{:?}", closed.client) };
            assert_eq!(open(&there, &new).await.get::<String>("user").unwrap().as_deref(), Some("ann"));
        }
        assert_shows_nothing(&open(&there, &old).await);
        assert_shows_nothing(&open(&here, &old).await);
    }
}

#[tokio::test]
async fn destroyed_by_the_same_process_at_each_step_of_a_rotation() {
    for (call, side, _) in STEPS {
        let memory = memory();
        let (here, path) = process(&memory);
        let (session, old) = create(&here).await;
        let other = open(&here, &old).await;
        let stop = path.stop(call, side);
        session.rotate_id().unwrap();
        let rotating = tokio::spawn(async move { (session.close().await, session) });
        stop.reached().await;
        other.destroy().unwrap();
        let closing = tokio::spawn(async move { other.close().await.result });
        tokio::task::yield_now().await;
        stop.go_on();
        let (closed, session) = rotating.await.unwrap();
        assert_eq!(closed.result.unwrap_err().kind(), ErrorKind::Gone, "{call:?} {side:?}");
        assert_eq!(closed.client, ClientId::Keep);
        closing.await.unwrap().unwrap();
        assert_shows_nothing(&session);
        assert_eq!(memory.len(), 0, "{call:?} {side:?}");
        assert_eq!(here.live_sessions(), 0);
        assert_shows_nothing(&open(&here, &old).await);
    }
}

/// The rotation has just found that others changed the session, and carries it over.
#[tokio::test]
async fn destroyed_while_others_changes_are_carried_over() {
    let memory = memory();
    let (here, path) = process(&memory);
    let (there, _) = process(&memory);
    let (session, old) = create(&here).await;
    let destroyer = open(&here, &old).await;
    let other = open(&there, &old).await;
    let retire = path.stop(Call::Retire, Side::Before);
    session.rotate_id().unwrap();
    let rotating = tokio::spawn(async move { session.close().await });
    retire.reached().await;
    let load = path.stop(Call::Load, Side::After);
    other.insert("theme", "dark").unwrap();
    other.commit().await.unwrap();
    retire.go_on();
    load.reached().await;
    destroyer.destroy().unwrap();
    load.go_on();
    destroyer.close().await.result.unwrap();
    let closed = rotating.await.unwrap();
    assert_eq!(closed.result.unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(memory.len(), 0, "the logout is undone");
}

/// The first copy of a creation, or of a rotation, arrives after it was sent again and the session was destroyed.
#[tokio::test]
async fn what_arrives_late_stays_dead() {
    for rotation in [false, true] {
        for sent_again in [true, false] {
            let path = Path::new();
            let here = manager(&path);
            let session = if rotation {
                let (session, _) = create(&here).await;
                session.rotate_id().unwrap();
                session
            } else {
                here.open(&RequestContext::default(), None).await.unwrap()
            };
            session.insert("user", "ann").unwrap();
            let arrival = path.delay_commit();
            let error = session.commit().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
            if sent_again {
                session.commit().await.unwrap();
            }
            session.destroy().unwrap();
            session.close().await.result.unwrap();
            arrival.add_permits(1);
            common::until("the late copy has arrived", || arrival.is_closed()).await;
            assert_eq!(path.memory.len(), 0, "rotation: {rotation}, sent again: {sent_again}");
            drop(session);
            assert_eq!(here.live_sessions(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn expired_between_open_and_commit() {
    type Change = fn(&session_core::Session<session_serde::Json>) -> session_core::Result<()>;
    let changes: [Change; 7] = [
        |session| session.insert("theme", "dark"),
        |session| session.update("theme", |theme: &mut String| theme.push('!')),
        |session| session.increment("visits", 1).map(drop),
        |session| session.remove("theme").map(drop),
        |session| session.touch(),
        |session| session.set_idle_timeout(Duration::from_secs(5)),
        |session| session.rotate_id(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        for loaded_here in [true, false] {
            let memory = memory();
            let (here, _) = process(&memory);
            let (there, _) = process(&memory);
            let (session, id) = create(&here).await;
            let session = if loaded_here { open(&there, &id).await } else { session };
            let manager = if loaded_here { &there } else { &here };
            tokio::time::advance(Duration::from_secs(22 * 60)).await;
            change(&session).unwrap();
            let committed = tokio::time::timeout(Duration::from_secs(60), session.commit()).await;
            let error = committed.expect("an answer").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Gone, "change {number}");
            assert_eq!(manager.live_sessions(), 0, "it left the table at once");
            assert_shows_nothing(&session);
            assert_eq!(session.insert("theme", "dark").unwrap_err().kind(), ErrorKind::Gone);
            assert_eq!(memory.len(), 0, "change {number}");
        }
    }
}

/// A rotation that was only asked for does not keep what has ended visible.
#[tokio::test]
async fn ended_session_with_a_rotation_pending_is_not_shown() {
    let memory = memory();
    let (here, _) = process(&memory);
    let (there, _) = process(&memory);
    let (session, id) = create(&here).await;
    session.rotate_id().unwrap();
    let other = open(&there, &id).await;
    other.destroy().unwrap();
    other.close().await.result.unwrap();
    assert_shows_nothing(&open(&here, &id).await);
    assert_eq!(session.commit().await.unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(memory.len(), 0);
}

#[tokio::test]
async fn others_changes_are_carried_over() {
    let memory = memory();
    let (here, path) = process(&memory);
    let (there, _) = process(&memory);
    let (session, old) = create(&here).await;
    session.insert("flash", "once").unwrap();
    session.commit().await.unwrap();
    let other = open(&there, &old).await;
    let stop = path.stop(Call::Retire, Side::Before);
    path.take_calls();
    session.rotate_id().unwrap();
    session.insert("user", "ann").unwrap();
    let rotating = tokio::spawn(async move { (session.close().await, session) });
    stop.reached().await;
    other.insert("theme", "dark").unwrap();
    other.increment("visits", 5).unwrap();
    other.remove("flash").unwrap();
    other.insert("new", &7).unwrap();
    other.set_idle_timeout(Duration::from_secs(77)).unwrap();
    other.commit().await.unwrap();
    stop.go_on();
    let (closed, session) = rotating.await.unwrap();
    closed.result.unwrap();
    let ClientId::Issue(new) = closed.client else { panic!("{:?}", closed.client) };
    let (copies, carries) = ([Call::Commit, Call::Retire, Call::Load], [Call::Commit, Call::Retire]);
    assert!(path.take_calls().ends_with(&[&copies[..], &carries].concat()), "each step once");
    for session in [&session, &open(&there, &new).await] {
        assert_eq!(session.get::<String>("theme").unwrap().as_deref(), Some("dark"));
        assert_eq!(session.get::<i64>("visits").unwrap(), Some(6));
        assert_eq!(session.get::<String>("flash").unwrap(), None);
        assert_eq!(session.get::<i64>("new").unwrap(), Some(7));
        assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ann"));
    }
    other.insert("theme", "late").unwrap();
    assert_eq!(other.commit().await.unwrap_err().kind(), ErrorKind::Gone, "the old id is dead");
    assert_shows_nothing(&open(&there, &old).await);
    assert_eq!(memory.len(), 1);
}

/// The process ends at each step of a rotation. Until the old key is retired the old id works; the copy expires.
#[tokio::test(start_paused = true)]
async fn rotation_interrupted_by_a_crash() {
    for (call, side, lives) in STEPS {
        let memory = memory();
        let (here, path) = process(&memory);
        let (there, _) = process(&memory);
        let (session, old) = create(&here).await;
        let stop = path.stop(call, side);
        session.rotate_id().unwrap();
        session.insert("user", "ann").unwrap();
        let rotating = tokio::spawn(async move { session.close().await });
        stop.reached().await;
        path.crash();
        stop.go_on();
        rotating.abort();
        let _ = rotating.await;
        let after = open(&there, &old).await;
        if lives {
            assert_eq!(after.get::<String>("theme").unwrap().as_deref(), Some("light"), "{call:?} {side:?}");
            assert_eq!(after.get::<String>("user").unwrap(), None, "the login was not done");
            after.increment("visits", 1).unwrap();
            after.commit().await.unwrap();
        } else {
            assert_shows_nothing(&after);
        }
        let orphans = usize::from(call == Call::Retire || side == Side::After);
        assert_eq!(memory.len(), usize::from(lives) + orphans);
        tokio::time::advance(Duration::from_secs(22 * 60)).await;
        assert_eq!(memory.len(), 0, "what nobody can reach expires");
    }
}

#[tokio::test]
async fn parallel_rotations() {
    let memory = memory();
    let (here, path) = process(&memory);
    let (there, _) = process(&memory);
    let (one, old) = create(&here).await;
    let (two, three) = (open(&here, &old).await, open(&there, &old).await);
    // Two in one process get one id.
    let stop = path.stop(Call::Retire, Side::Before);
    one.rotate_id().unwrap();
    let one = tokio::spawn(async move { one.close().await });
    stop.reached().await;
    two.rotate_id().unwrap();
    // The other process's comes first.
    three.rotate_id().unwrap();
    let third = three.close().await;
    third.result.unwrap();
    let ClientId::Issue(new) = third.client else { panic!("{:?}", third.client) };
    stop.go_on();
    for closed in [one.await.unwrap(), two.close().await] {
        assert_eq!(closed.result.unwrap_err().kind(), ErrorKind::Gone);
        assert_eq!(closed.client, ClientId::Keep, "nobody harms the cookie of the one who logged in");
    }
    assert_eq!(memory.len(), 1);
    assert_shows_nothing(&open(&here, &old).await);

    let (one, two) = (open(&here, &new).await, open(&here, &new).await);
    one.rotate_id().unwrap();
    two.rotate_id().unwrap();
    let (one, two) = tokio::join!(one.close(), two.close());
    let (ClientId::Issue(first), ClientId::Issue(second)) = (one.client, two.client) else { panic!("no ids") };
    assert_eq!(first, second);
    assert_eq!(memory.len(), 1);
}

/// Whoever knew the id before the login must not be given the one after it.
#[tokio::test]
async fn nobody_learns_the_id_that_another_request_changed_it_to() {
    let path = Path::new();
    let here = builder(&path).expiry_slack(0).build().unwrap();
    let (session, old) = create(&here).await;
    let (reader, writer) = (open(&here, &old).await, open(&here, &old).await);
    session.rotate_id().unwrap();
    let ClientId::Issue(new) = session.close().await.client else { panic!("no new id") };
    assert_eq!(reader.close().await.client, ClientId::Keep);
    writer.increment("visits", 1).unwrap();
    assert_eq!(writer.close().await.client, ClientId::Keep);
    // The renewal that the reader was owed is made in the background.
    common::until("it is renewed", || path.take_calls().contains(&Call::Renew)).await;
    drop((reader, writer, session));
    common::until("nothing is held", || here.live_sessions() == 0).await;
    assert_eq!(open(&here, &new).await.close().await.client, ClientId::Refresh(new));
}

/// It had found the live session by the old id, and waits for its validation.
#[tokio::test]
async fn nothing_is_opened_by_an_id_that_was_changed_meanwhile() {
    for side in [Side::Before, Side::After] {
        let path = Path::new();
        let here = manager(&path);
        let (session, old) = create(&here).await;
        let stop = path.stop(Call::Check, side);
        let opening = {
            let here = here.clone();
            tokio::spawn(async move { open(&here, &old).await })
        };
        stop.reached().await;
        session.rotate_id().unwrap();
        session.commit().await.unwrap();
        stop.go_on();
        let opened = opening.await.unwrap();
        assert_shows_nothing(&opened);
        assert_eq!(opened.insert("theme", "dark").unwrap_err().kind(), ErrorKind::Gone);
        assert_eq!(opened.close().await.client, ClientId::Keep);
    }
}

/// A logout must not seem done to another request before the store has acknowledged it.
#[tokio::test]
async fn an_open_waits_for_the_destruction_that_it_meets() {
    let path = Path::new();
    let here = manager(&path);
    let (session, id) = create(&here).await;
    let (check, destroy) = (path.stop(Call::Check, Side::Before), path.stop(Call::Destroy, Side::Before));
    let opening = {
        let here = here.clone();
        tokio::spawn(async move { open(&here, &id).await })
    };
    check.reached().await;
    session.destroy().unwrap();
    let closing = tokio::spawn(async move { session.close().await });
    destroy.reached().await;
    check.go_on();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!opening.is_finished());
    destroy.go_on();
    assert_shows_nothing(&opening.await.unwrap());
    assert_eq!(path.memory.len(), 0);
    closing.await.unwrap().result.unwrap();
}
