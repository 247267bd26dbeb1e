//! How a session ends in favour of its successor.

use super::scene::{Build, Scene, done, generation};
use super::{Outcome, Subject};
use crate::provider::{Destroyed, Loaded, Retired};

/// A retired session is a tombstone.
pub(super) async fn retire_leaves_a_tombstone(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    assert_eq!(scene.retire(1, generation()).await, Retired::Done);
    scene.assert_tombstone().await;
    Ok(())
}

/// A session that somebody changed since is not retired, since its successor lacks the change.
pub(super) async fn retire_of_a_changed_session(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    let mut other = scene.another_writer();
    let batch = other.batch().set("a", "2");
    done(other.commit(&batch).await);
    let before = scene.snapshot().await;
    let successor = generation();
    for version in [1, 0, 3, 20, u64::MAX] {
        assert_eq!(scene.retire(version, successor).await, Retired::Changed, "version {version}");
        scene.assert_unchanged(&before).await;
    }
    assert_eq!(scene.retire(2, successor).await, Retired::Done);
    scene.assert_tombstone().await;
    Ok(())
}

/// What is not there cannot be retired, and leaves no tombstone.
pub(super) async fn retire_of_nothing(subject: &dyn Subject) -> Outcome {
    let scene = Scene::unused(subject);
    for version in [0, 1] {
        assert_eq!(scene.retire(version, generation()).await, Retired::Gone);
        scene.assert_absent().await;
    }
    Ok(())
}

/// A session that was destroyed meanwhile is not retired.
pub(super) async fn retire_of_a_destroyed_session(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    assert_eq!(scene.destroy_leaving_a_tombstone().await, Destroyed::Done);
    assert_eq!(scene.retire(1, generation()).await, Retired::Gone);
    scene.assert_tombstone().await;
    Ok(())
}

/// Another life of the session is left as it is.
pub(super) async fn retire_of_another_generation(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    let before = scene.snapshot().await;
    for version in [0, 1, 2] {
        assert_eq!(scene.another_life().retire(version, generation()).await, Retired::Gone);
        scene.assert_unchanged(&before).await;
    }
    Ok(())
}

/// A retirement that is sent again finds its own tombstone.
pub(super) async fn retire_repeated(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    let successor = generation();
    for _ in 0..3 {
        assert_eq!(scene.retire(1, successor).await, Retired::Done);
        scene.assert_tombstone().await;
    }
    // Not forgotten when somebody meets the tombstone in between.
    assert_eq!(scene.destroy().await, Destroyed::NothingFound);
    assert_eq!(scene.retire(1, successor).await, Retired::Done);
    Ok(())
}

/// Of two successors, one comes too late.
pub(super) async fn retire_for_another_successor(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    let successor = generation();
    assert_eq!(scene.retire(1, successor).await, Retired::Done);
    assert_eq!(scene.retire(1, generation()).await, Retired::Gone);
    scene.assert_tombstone().await;
    assert_eq!(scene.retire(1, successor).await, Retired::Done);
    Ok(())
}

/// No write of anybody who had loaded the session makes anything of it visible again.
pub(super) async fn nothing_revives_a_retired_session(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("n", "1")]).await;
    let mut other = scene.another_writer();
    assert_eq!(scene.retire(1, generation()).await, Retired::Done);
    scene.assert_stays_dead(&Loaded::Tombstone).await;
    other.assert_stays_dead(&Loaded::Tombstone).await;
    Ok(())
}
