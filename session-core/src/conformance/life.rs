//! What is really kept at a key, asked past the provider: nothing stays for ever.

use std::time::Duration;

use tokio::time::Instant;

use super::scene::{Build, LIFE, Scene, again, assert_foreign, assert_life, done, expire, generation, renewed};
use super::{Life, Outcome, Subject};
use crate::provider::{
    Action, COUNTER_LIMIT, Commit, Destroyed, Retired, TOMBSTONE_AFTER_REPEATED_CREATION, TOMBSTONE_AFTER_ROTATION,
};

#[track_caller]
fn assert_ends(life: Life, time_to_live: Duration, since: Instant) {
    match life {
        Life::Ends(remaining) => assert_life(remaining, time_to_live, since),
        other => panic!("expected a life of {time_to_live:?}, found {other:?}"),
    }
}

/// After every kind of write, also one that empties the session, the key expires with the session.
pub(super) async fn every_write_leaves_an_expiry(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let writes = [
        scene.creation(),
        scene.batch().set("a", "2"),
        scene.batch().increment("n", 1),
        scene.batch().replace("r", None, Some("1")),
        Commit { idle_timeout: Some(Some(LIFE)), ..scene.batch() },
        Commit { idle_timeout: Some(None), ..scene.batch() },
        scene.batch().remove("a").remove("n").remove("r"),
        scene.batch(),
    ];
    for write in &writes {
        let since = Instant::now();
        done(scene.commit(write).await);
        assert_ends(subject.life(&scene.key).await?, LIFE, since);
    }
    let since = Instant::now();
    let _ = renewed(scene.renew(LIFE / 2).await);
    assert_ends(subject.life(&scene.key).await?, LIFE / 2, since);
    Ok(())
}

/// What is only read, or refused, leaves nothing at a key that held nothing.
pub(super) async fn reading_and_refused_steps_leave_no_trace(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    assert_eq!(subject.life(&scene.key).await?, Life::Nothing);
    let _ = scene.load().await;
    let _ = scene.check().await;
    assert_eq!(subject.life(&scene.key).await?, Life::Nothing, "after reading");
    let replace = |value: &'static str| Action::Replace { seen: Some(value.into()), value: Some(value.into()) };
    let batches = [
        scene.batch().set("a", "1"),
        scene.batch().increment("n", 1),
        scene.batch().replace("a", None, Some("1")),
        scene.creation().set("a", "1").change("b", replace("seen")),
        scene.creation().set("a", "1").increment("n", COUNTER_LIMIT + 1),
    ];
    for batch in &batches {
        let _ = scene.commit(batch).await;
        assert_eq!(subject.life(&scene.key).await?, Life::Nothing, "after {:?}", batch.changes);
    }
    let _ = scene.renew(LIFE).await;
    assert_eq!(subject.life(&scene.key).await?, Life::Nothing, "after a renewal");
    let _ = scene.retire(1, generation()).await;
    assert_eq!(subject.life(&scene.key).await?, Life::Nothing, "after a retirement");
    let _ = scene.destroy().await;
    assert_eq!(subject.life(&scene.key).await?, Life::Nothing, "after a destruction");
    Ok(())
}

/// A session that was created once and destroyed is wholly gone.
pub(super) async fn destroyed_session_leaves_no_trace(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1")]).await;
    let _ = scene.destroy().await;
    assert_eq!(subject.life(&scene.key).await?, Life::Nothing);
    let batch = scene.batch().set("a", "1").increment("n", 1);
    let _ = scene.commit(&batch).await;
    let _ = scene.renew(LIFE).await;
    assert_eq!(subject.life(&scene.key).await?, Life::Nothing);
    Ok(())
}

/// So is one whose time is over.
pub(super) async fn expired_session_leaves_no_trace(subject: &dyn Subject) -> Outcome {
    let time_to_live = Duration::from_millis(300);
    let mut scene = Scene::unused(subject);
    let creation = Commit { time_to_live, ..scene.creation().set("a", "1") };
    let since = Instant::now();
    done(scene.commit(&creation).await);
    expire(&scene, time_to_live, since).await;
    assert_eq!(subject.life(&scene.key).await?, Life::Nothing);
    let batch = scene.batch().set("a", "1").increment("n", 1);
    let _ = scene.commit(&batch).await;
    let _ = scene.renew(LIFE).await;
    assert_eq!(subject.life(&scene.key).await?, Life::Nothing);
    Ok(())
}

/// The tombstone of a rotation stays its time and no longer, whoever meets it.
pub(super) async fn tombstone_of_a_rotation_ends(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1")]).await;
    let since = Instant::now();
    let _ = scene.retire(1, generation()).await;
    assert_ends(subject.life(&scene.key).await?, TOMBSTONE_AFTER_ROTATION, since);
    let batch = scene.batch().set("a", "1");
    let _ = scene.commit(&batch).await;
    let _ = scene.renew(LIFE).await;
    let _ = scene.destroy().await;
    let creation = scene.creation();
    let _ = scene.commit(&creation).await;
    assert_ends(subject.life(&scene.key).await?, TOMBSTONE_AFTER_ROTATION, since);
    Ok(())
}

/// The tombstone of a session whose creation was repeated stays its time and no longer.
pub(super) async fn tombstone_of_a_repeated_creation_ends(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = scene.creation().set("a", "1");
    done(scene.commit(&again(&creation)).await);
    let since = Instant::now();
    let _ = scene.destroy().await;
    assert_ends(subject.life(&scene.key).await?, TOMBSTONE_AFTER_REPEATED_CREATION, since);
    let _ = scene.commit(&creation).await;
    let _ = scene.renew(LIFE).await;
    assert_ends(subject.life(&scene.key).await?, TOMBSTONE_AFTER_REPEATED_CREATION, since);
    Ok(())
}

/// Where a creation may be under way, the tombstone of a rotation stays as long as one that waits for it, and still
/// knows its successor.
pub(super) async fn tombstone_of_a_rotation_can_be_prolonged(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    let successor = generation();
    let _ = scene.retire(1, successor).await;
    let since = Instant::now();
    assert_eq!(scene.destroy_leaving_a_tombstone().await, Destroyed::NothingFound);
    assert_ends(subject.life(&scene.key).await?, TOMBSTONE_AFTER_REPEATED_CREATION, since);
    assert_eq!(scene.retire(1, successor).await, Retired::Done);
    Ok(())
}

/// The tombstone of a rotation meets late copies of a creation too: where it was repeated, it stays long enough.
pub(super) async fn tombstone_of_a_rotation_outlasts_a_repeated_creation(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = scene.creation().set("a", "1");
    done(scene.commit(&again(&creation)).await);
    let since = Instant::now();
    assert_eq!(scene.retire(1, generation()).await, Retired::Done);
    assert_ends(subject.life(&scene.key).await?, TOMBSTONE_AFTER_REPEATED_CREATION, since);
    Ok(())
}

/// So does the tombstone that waits for a creation, and one that was asked for in place of a session.
pub(super) async fn tombstone_for_a_creation_under_way_ends(subject: &dyn Subject) -> Outcome {
    let announced = Scene::unused(subject);
    let present = Scene::created(subject, &[("a", "1")]).await;
    for scene in [announced, present] {
        let since = Instant::now();
        let _ = scene.destroy_leaving_a_tombstone().await;
        assert_ends(subject.life(&scene.key).await?, TOMBSTONE_AFTER_REPEATED_CREATION, since);
    }
    // A refused creation leaves the session's life as it is.
    let scene = Scene::unused(subject);
    let mut owner = scene.another_life();
    let creation = owner.creation();
    let since = Instant::now();
    done(owner.commit(&creation).await);
    let mut other = scene.another_life();
    let creation = Commit { time_to_live: 2 * LIFE, ..other.creation() };
    assert_foreign(other.store.commit(&other.key, &creation).await);
    assert_ends(subject.life(&scene.key).await?, LIFE, since);
    Ok(())
}
