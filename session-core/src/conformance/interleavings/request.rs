//! One request of an episode.

use std::sync::Arc;
use std::time::Duration;

use super::super::random::Random;
use super::gates::{MARK, once_pending};
use super::world::World;
use crate::context::RequestContext;
use crate::error::{Error, ErrorKind, Result};
use crate::id::SessionId;
use crate::manager::SessionManager;
use crate::provider::Destroyed;
use crate::serializer::SessionSerializer;
use crate::session::{ClientId, Closed, Session};

/// Creates the session of the episode.
pub(super) async fn create<S: SessionSerializer>(world: &World, manager: &SessionManager<S>) {
    let session = manager.open(&RequestContext::default(), None).await.expect("a new session");
    session.insert(MARK, world.mark()).expect("an insert");
    session.insert("theme", "light").expect("an insert");
    session.increment("visits", 1).expect("an increment");
    session.commit().await.expect("a creation");
    world.created(session.id().expect("it was created"));
}

/// What a request does before a commit.
#[derive(Default)]
struct Done {
    /// Something that has to be written, begun when the session had ended already.
    too_late: bool,
    what: Vec<&'static str>,
    rotated: bool,
    destroyed: bool,
}

/// Opens the session by one of its ids, works with it, and closes it.
pub(super) async fn run<S: SessionSerializer>(
    number: usize,
    world: Arc<World>,
    manager: SessionManager<S>,
    mut random: Random,
) {
    for _ in 0..random.below(4) {
        once_pending().await;
    }
    let id = world.any_id(random.number());
    let was_dead = world.is_dead_id(&id);
    world.note(number, || format!("opens {}", id.fingerprint()));
    let session = match manager.open(&RequestContext::default(), Some(&id)).await {
        Ok(session) => session,
        Err(error) => return assert_temporary(&error),
    };
    world.note(number, || format!("opened {session:?}"));
    if was_dead {
        world.assert_shows_nothing(&session, "to a new request");
    }
    if session.is_new() {
        let _ = start_anew(&world, &session).await;
        return;
    }
    let mut rotated = false;
    for _ in 0..random.below(3) {
        let done = work(&world, &session, &mut random);
        world.note(number, || format!("commits {:?}", done.what));
        once_pending().await;
        let result = session.commit().await;
        world.note(number, || format!("committed {session:?}: {result:?}"));
        if !conclude(&world, &session, &id, &done, result, None) {
            return;
        }
        rotated |= done.rotated;
        if done.destroyed {
            // Only closing tells whether the store had it.
            let destroyed = start_anew(&world, &session).await;
            return world.destroyed(id, destroyed == Some(Destroyed::Done));
        }
    }
    let done = work(&world, &session, &mut random);
    if random.percent(10) {
        // Dropped with its changes, which are committed in the background.
        world.note(number, || format!("is dropped with {:?}", done.what));
        return;
    }
    world.note(number, || format!("closes {:?}", done.what));
    once_pending().await;
    let Closed { result, client, destroyed } = session.close().await;
    world.note(number, || format!("closed {session:?}: {result:?}, {client:?}, {destroyed:?}"));
    if let ClientId::Issue(new) = client
        && result.is_ok()
    {
        assert!((rotated || done.rotated) && new != id, "an id was given out");
    }
    if let ClientId::Refresh(known) = client {
        assert!(known == id || rotated || done.rotated, "a request learnt the id that another one changed it to");
    }
    conclude(&world, &session, &id, &done, result, destroyed);
}

/// Some changes.
fn work<S: SessionSerializer>(world: &World, session: &Session<S>, random: &mut Random) -> Done {
    let mut done = Done::default();
    for _ in 0..1 + random.below(3) {
        let was_dead = world.is_dead();
        // Whether it surely has to be written, if nothing after it takes it back.
        let mut writes = true;
        let (what, result): (_, Result<()>) = match random.below(100) {
            0..=19 => ("insert", session.insert("theme", &random.number())),
            20..=34 => {
                let item = random.number();
                ("update", session.update("cart", move |cart: &mut Vec<u64>| cart.push(item)))
            }
            35..=54 => ("increment", session.increment("visits", 1).map(drop)),
            55..=64 => ("touch", session.touch()),
            65..=69 => {
                let timeout = Duration::from_millis(600_000 + random.number() % 600_000);
                ("set the idle timeout", session.set_idle_timeout(timeout))
            }
            70..=74 => {
                // Another request of this process may take it back before it is written.
                writes = false;
                match session.contains("flash") {
                    Ok(true) => ("remove", session.remove("flash").map(drop)),
                    _ => ("put", session.insert("flash", "once")),
                }
            }
            75..=86 => ("rotate", session.rotate_id().inspect(|()| done.rotated = true)),
            _ => {
                session.destroy().expect("a destroy");
                world.assert_shows_nothing(session, "to who destroyed it");
                done.what.push("destroy");
                done.destroyed = true;
                return done;
            }
        };
        done.what.push(what);
        match result {
            Ok(()) if writes && was_dead => done.too_late = true,
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Gone, "{error}");
                world.assert_shows_nothing(session, "after a change was answered gone");
                world.answered_gone();
                return done;
            }
        }
    }
    done
}

/// Takes the answer to a commit; `false` if the session has ended for this request.
fn conclude<S: SessionSerializer>(
    world: &World,
    session: &Session<S>,
    id: &SessionId,
    done: &Done,
    result: Result<()>,
    destroyed: Option<Destroyed>,
) -> bool {
    match result {
        Ok(()) => {
            assert!(!done.too_late || done.destroyed, "changes of a dead session were acknowledged: {:?}", done.what);
            world.acknowledged();
            if done.destroyed {
                // An earlier change of the same request may have rotated it; the destruction names what it was then.
                world.destroyed(*id, destroyed == Some(Destroyed::Done));
            } else if done.rotated
                && let Some(new) = session.id()
            {
                assert_ne!(new, *id, "a rotation was acknowledged and gave no other id");
                world.rotated(*id, new);
            }
            true
        }
        Err(error) if error.kind() == ErrorKind::Gone => {
            world.answered_gone();
            if !done.destroyed {
                world.assert_shows_nothing(session, "after a commit was answered gone");
            }
            false
        }
        Err(error) => {
            assert_temporary(&error);
            false
        }
    }
}

/// A request without a session, or that has destroyed its own, writes: that makes another session.
async fn start_anew<S: SessionSerializer>(world: &World, session: &Session<S>) -> Option<Destroyed> {
    world.assert_shows_nothing(session, "in a new session");
    if let Err(error) = session.insert("new", &true) {
        // It had ended before it was destroyed, perhaps in favour of an id that another request has.
        assert_eq!(error.kind(), ErrorKind::Gone, "{error}");
        return None;
    }
    let Closed { result, client, destroyed } = session.close().await;
    match result {
        Ok(()) => {
            let ClientId::Issue(new) = client else { panic!("a new session, and {client:?}") };
            assert!(!world.is_dead_id(&new) || world.is_dead(), "its id is another one");
            assert_eq!(session.names().expect("names"), ["new"]);
        }
        Err(error) => assert_temporary(&error),
    }
    destroyed
}

/// Nothing else may happen to a session that lives in a store which fails at times.
fn assert_temporary(error: &Error) {
    assert!(error.kind().is_retryable() && error.to_string().contains("done"), "{error}");
}
