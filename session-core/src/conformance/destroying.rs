//! How a session ends at its owner's wish, and stays ended.

use super::scene::{Build, Scene, done, generation};
use super::{Outcome, Subject};
use crate::provider::{Commit, Committed, Destroyed, Loaded};

/// A destroyed session is not there any more, and leaves nothing.
pub(super) async fn destroy_ends_the_session(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    assert_eq!(scene.destroy().await, Destroyed::Done);
    scene.assert_absent().await;
    // The key is free for another session.
    let mut next = scene.another_life();
    let creation = next.creation();
    assert_eq!(done(next.commit(&creation).await).found, 0);
    assert_eq!(next.attributes().await.len(), 0);
    Ok(())
}

/// A destruction that is sent again finds nothing and does no harm.
pub(super) async fn destroy_repeated(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    assert_eq!(scene.destroy().await, Destroyed::Done);
    for _ in 0..3 {
        assert_eq!(scene.destroy().await, Destroyed::NothingFound);
        scene.assert_absent().await;
    }
    Ok(())
}

/// There is no harm in destroying what never was.
pub(super) async fn destroy_of_nothing(subject: &dyn Subject) -> Outcome {
    let scene = Scene::unused(subject);
    assert_eq!(scene.destroy().await, Destroyed::NothingFound);
    scene.assert_absent().await;
    Ok(())
}

/// A tombstone stays, whoever destroys.
pub(super) async fn destroy_of_a_tombstone(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    let successor = generation();
    let _ = scene.retire(1, successor).await;
    for scene in [&scene, &scene.another_life()] {
        assert_eq!(scene.destroy().await, Destroyed::NothingFound);
        scene.assert_tombstone().await;
        assert_eq!(scene.destroy_leaving_a_tombstone().await, Destroyed::NothingFound);
        scene.assert_tombstone().await;
    }
    Ok(())
}

/// Another life of the session is none of this destruction's business.
pub(super) async fn destroy_of_another_generation(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    let before = scene.snapshot().await;
    let other = scene.another_life();
    assert_eq!(other.destroy().await, Destroyed::NothingFound);
    scene.assert_unchanged(&before).await;
    assert_eq!(other.destroy_leaving_a_tombstone().await, Destroyed::NothingFound);
    scene.assert_unchanged(&before).await;
    // Nor is the session marked by it.
    assert_eq!(scene.destroy().await, Destroyed::Done);
    scene.assert_absent().await;
    Ok(())
}

/// Where a creation may be under way, a tombstone meets it.
pub(super) async fn destroy_of_nothing_can_leave_a_tombstone(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = scene.creation().set("a", "1");
    for _ in 0..2 {
        assert_eq!(scene.destroy_leaving_a_tombstone().await, Destroyed::NothingFound);
        scene.assert_tombstone().await;
    }
    for repeated in [false, true] {
        let copy = Commit { repeated, ..creation.clone() };
        assert_eq!(scene.commit(&copy).await, Committed::Gone);
        scene.assert_tombstone().await;
    }
    assert_eq!(scene.destroy().await, Destroyed::NothingFound);
    scene.assert_stays_dead(&Loaded::Tombstone).await;
    Ok(())
}

/// A tombstone can be asked for where there is a session, too.
pub(super) async fn destroy_of_a_session_can_leave_a_tombstone(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = scene.creation().set("a", "1");
    done(scene.commit(&creation).await);
    assert_eq!(scene.destroy_leaving_a_tombstone().await, Destroyed::Done);
    scene.assert_tombstone().await;
    assert_eq!(scene.commit(&creation).await, Committed::Gone);
    assert_eq!(scene.destroy_leaving_a_tombstone().await, Destroyed::NothingFound);
    scene.assert_stays_dead(&Loaded::Tombstone).await;
    Ok(())
}

/// No write of anybody who had loaded the session makes anything of it visible again.
pub(super) async fn nothing_revives_a_destroyed_session(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("n", "1")]).await;
    let mut other = scene.another_writer();
    let batch = other.batch().increment("n", 1);
    done(other.commit(&batch).await);
    assert_eq!(scene.destroy().await, Destroyed::Done);
    scene.assert_stays_dead(&Loaded::Absent).await;
    other.assert_stays_dead(&Loaded::Absent).await;

    // Nor does it reach the session that lives at the key next.
    let mut next = scene.another_life();
    let creation = next.creation().set("n", "5");
    done(next.commit(&creation).await);
    let before = next.snapshot().await;
    let batch = scene.batch().increment("n", 1).set("a", "2");
    assert_eq!(scene.commit(&batch).await, Committed::Gone);
    assert_eq!(scene.destroy().await, Destroyed::NothingFound);
    next.assert_unchanged(&before).await;
    Ok(())
}
