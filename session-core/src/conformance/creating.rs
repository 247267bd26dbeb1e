//! How a session comes to be.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::scene::{
    Build, LIFE, Scene, already, assert_foreign, assert_life, conflict, done, ending, expected, not_a_counter,
};
use super::{Outcome, Subject};
use crate::provider::{COUNTER_LIMIT, Commit, Committed, Creation, Deadline, Destroyed, Loaded};

/// How many milliseconds one step of a store may see pass.
const ONE_STEP: u64 = 5;

/// Without a given time, a session is created now: milliseconds since 1970, by a clock that goes on.
pub(super) async fn created_now_by_the_stores_clock(subject: &dyn Subject) -> Outcome {
    let first = Scene::created(subject, &[]).await.session().await.header.created;
    let system = SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970");
    // The store's clock may be wrong, but not by a unit.
    let apart = Duration::from_millis(first).abs_diff(system);
    assert!(apart < Duration::from_secs(48 * 3600), "created {apart:?} from now");

    let start = Instant::now();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let second = Scene::created(subject, &[]).await.session().await.header.created;
    let passed = start.elapsed();
    let counted = second.checked_sub(first).map(Duration::from_millis).expect("a clock that goes forward");
    assert!(counted >= Duration::from_millis(190), "{counted:?} of {passed:?} counted");
    Ok(())
}

/// A given time of creation is kept, and does not move a deadline that counts from now.
pub(super) async fn created_at_a_given_time(subject: &dyn Subject) -> Outcome {
    let now = Scene::created(subject, &[]).await.session().await.header.created;
    for given in [0, 1, now - 3_600_000, now + 3_600_000, 1 << 50] {
        let mut scene = Scene::unused(subject);
        let creation =
            Creation { fingerprint: scene.fingerprint, created: Some(given), deadline: Deadline::After(2 * LIFE) };
        let creation = Commit { creation: Some(creation), ..scene.batch() };
        let since = Instant::now();
        let answer = done(scene.commit(&creation).await);
        assert_life(answer.remaining, LIFE, since);
        let header = scene.session().await.header;
        assert_eq!(header.created, given);
        let deadline = header.deadline.expect("a deadline");
        let earliest = now + 2 * LIFE.as_millis() as u64;
        assert!((earliest..earliest + 60_000).contains(&deadline), "{deadline}, expected {earliest} or a little later");
    }
    Ok(())
}

/// A session without a deadline has none.
pub(super) async fn deadline_never(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = ending(scene.creation(), Deadline::Never);
    done(scene.commit(&creation).await);
    assert_eq!(scene.session().await.header.deadline, None);
    Ok(())
}

/// A deadline after a time counts from the creation, by the store's clock, and is never changed.
pub(super) async fn deadline_after(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = ending(scene.creation(), Deadline::After(2 * LIFE));
    done(scene.commit(&creation).await);
    let header = scene.session().await.header;
    let deadline = header.deadline.expect("a deadline");
    let expected = header.created + 2 * LIFE.as_millis() as u64;
    assert!(deadline.abs_diff(expected) <= ONE_STEP, "{deadline}, expected {expected}");

    let change = scene.batch().set("a", "1");
    done(scene.commit(&change).await);
    let _ = scene.renew(LIFE).await;
    assert_eq!(scene.session().await.header.deadline, Some(deadline));
    assert_eq!(scene.session().await.header.created, header.created);
    Ok(())
}

/// A deadline at a time is kept as it was given.
pub(super) async fn deadline_at(subject: &dyn Subject) -> Outcome {
    let now = Scene::created(subject, &[]).await.session().await.header.created;
    for deadline in [now + 3_600_000, now + 3_600_001, 1 << 50] {
        let mut scene = Scene::unused(subject);
        let creation = ending(scene.creation(), Deadline::At(deadline));
        done(scene.commit(&creation).await);
        assert_eq!(scene.session().await.header.deadline, Some(deadline));
    }
    Ok(())
}

/// A session's own idle timeout is kept until a commit changes or removes it. Keeping it is all a store does with it.
pub(super) async fn idle_timeout_is_kept_changed_and_removed(subject: &dyn Subject) -> Outcome {
    let hour = Duration::from_secs(3600);
    let mut scene = Scene::unused(subject);
    let creation = Commit { idle_timeout: Some(Some(hour)), ..scene.creation() };
    let since = Instant::now();
    assert_life(done(scene.commit(&creation).await).remaining, LIFE, since);
    let steps = [
        (None, Some(hour)),
        (Some(Some(Duration::from_millis(1_500))), Some(Duration::from_millis(1_500))),
        (None, Some(Duration::from_millis(1_500))),
        (Some(None), None),
        (None, None),
        (Some(None), None),
        (Some(Some(hour)), Some(hour)),
    ];
    assert_eq!(scene.session().await.header.idle_timeout, Some(hour));
    for (step, (change, expected)) in steps.into_iter().enumerate() {
        let commit = Commit { idle_timeout: change, ..scene.batch() };
        done(scene.commit(&commit).await);
        assert_eq!(scene.session().await.header.idle_timeout, expected, "after step {step}");
    }
    Ok(())
}

/// A session needs no attributes to be there.
pub(super) async fn creation_without_changes(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[]).await;
    assert_eq!(scene.attributes().await.len(), 0);
    assert_eq!(scene.version().await, 1);
    Ok(())
}

/// A creation can carry every kind of change.
pub(super) async fn creation_applies_all_actions(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = scene
        .creation()
        .set("set", "1")
        .increment("counter", -5)
        .replace("replaced", None, Some("2"))
        .replace("still absent", None, None)
        .remove("removed");
    let answer = done(scene.commit(&creation).await);
    assert_eq!(answer.counters, ["-5"]);
    assert_eq!(scene.attributes().await, expected([("set", "1"), ("counter", "-5"), ("replaced", "2")]));
    Ok(())
}

/// All or nothing holds for creations too: where a change is refused, there is no session.
pub(super) async fn creation_that_is_refused_creates_nothing(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let conflicting = scene.creation().set("a", "1").replace("b", Some("seen"), Some("2"));
    assert_eq!(conflict(scene.commit(&conflicting).await), [(1, None)]);
    scene.assert_absent().await;
    let counting = scene.creation().set("a", "1").increment("n", COUNTER_LIMIT + 1);
    assert_eq!(not_a_counter(scene.commit(&counting).await), [(1, None)]);
    scene.assert_absent().await;
    let creation = scene.creation().set("a", "1");
    assert_eq!(done(scene.commit(&creation).await).found, 0);
    Ok(())
}

/// A session whose deadline has passed is gone, also one that is only about to be created.
pub(super) async fn creation_past_its_deadline_leaves_nothing(subject: &dyn Subject) -> Outcome {
    let now = Scene::created(subject, &[]).await.session().await.header.created;
    for deadline in [Deadline::At(now - 1), Deadline::At(now - 3_600_000), Deadline::At(0)] {
        let mut scene = Scene::unused(subject);
        let creation = ending(scene.creation(), deadline).set("a", "1");
        // Whether that is a session that ended at once or none at all cannot be told apart later.
        match scene.commit(&creation).await {
            Committed::Gone => {}
            Committed::Done { remaining: Duration::ZERO, .. } => {}
            other => panic!("a session past its deadline: {other:?}"),
        }
        scene.assert_absent().await;
    }
    Ok(())
}

/// Nothing is created in place of another session.
pub(super) async fn creation_in_place_of_another_session(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    let before = scene.snapshot().await;
    let mut other = scene.another_life();
    for creation in [other.creation(), other.creation().set("a", "2"), other.creation().replace("a", None, None)] {
        assert_foreign(other.store.commit(&other.key, &creation).await);
        scene.assert_unchanged(&before).await;
        let repeated = Commit { repeated: true, ..creation };
        assert_foreign(other.store.commit(&other.key, &repeated).await);
        scene.assert_unchanged(&before).await;
    }
    // Nor is the session marked by it.
    assert_eq!(scene.destroy().await, Destroyed::Done);
    scene.assert_absent().await;
    Ok(())
}

/// Nothing is created in place of a tombstone, whatever left it.
pub(super) async fn creation_in_place_of_a_tombstone(subject: &dyn Subject) -> Outcome {
    let retired = Scene::created(subject, &[("a", "1")]).await;
    let _ = retired.retire(1, super::scene::generation()).await;
    let destroyed = Scene::created(subject, &[("a", "1")]).await;
    let _ = destroyed.destroy_leaving_a_tombstone().await;
    let announced = Scene::unused(subject);
    let _ = announced.destroy_leaving_a_tombstone().await;
    for mut scene in [retired, destroyed, announced] {
        assert_eq!(scene.load().await, Loaded::Tombstone);
        let own = scene.creation().set("a", "2");
        let mut other = scene.another_life();
        let others = other.creation().set("a", "2");
        for creation in [own, others] {
            for repeated in [false, true] {
                let creation = Commit { repeated, ..creation.clone() };
                assert_eq!(scene.commit(&creation).await, Committed::Gone);
                scene.assert_tombstone().await;
            }
        }
    }
    Ok(())
}

/// What a batch with a creation finds of the same generation is changed by it, not made anew.
pub(super) async fn creation_of_a_session_that_is_there_changes_it(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("b", "2")]).await;
    let before = scene.session().await.header;
    let creation =
        Creation { fingerprint: scene.another_life().fingerprint, created: Some(7), deadline: Deadline::At(0) };
    let change = Commit { creation: Some(creation), ..scene.batch().set("a", "3") };
    assert_eq!(done(scene.commit(&change).await).found, 1);
    assert_eq!(scene.attributes().await, expected([("a", "3"), ("b", "2")]));
    let after = scene.session().await.header;
    assert_eq!((after.fingerprint, after.created, after.deadline), (before.fingerprint, before.created, None));
    let _ = already(scene.commit(&change).await);
    Ok(())
}
