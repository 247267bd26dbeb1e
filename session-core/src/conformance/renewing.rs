//! How a session's life is set without changing it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::scene::{Build, LIFE, SLACK, Scene, assert_life, done, generation, renewed};
use super::{Outcome, Subject};
use crate::provider::{Checked, Renewed};

/// A renewal sets the life from now: longer or shorter, and again.
pub(super) async fn renew_sets_the_expiry(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    for time_to_live in [2 * LIFE, LIFE / 2, LIFE / 2, Duration::from_secs(30 * 24 * 3600), LIFE] {
        let since = Instant::now();
        assert_life(renewed(scene.renew(time_to_live).await), time_to_live, since);
        assert_life(scene.session().await.remaining, time_to_live, since);
        let Checked::Present { remaining, .. } = scene.check().await else {
            panic!("the session is missing to a check");
        };
        assert_life(remaining, time_to_live, since);
    }
    Ok(())
}

/// A renewal raises no version, uses no number and changes no attribute.
pub(super) async fn renew_changes_nothing_else(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("n", "1")]).await;
    // So long that the renewed expiry cannot be taken for the one before.
    sleep(SLACK * 2).await;
    let before = scene.snapshot().await;
    let since = Instant::now();
    for _ in 0..3 {
        let _ = renewed(scene.renew(LIFE).await);
    }
    let after = scene.assert_content_unchanged(&before).await;
    assert_life(after.remaining, LIFE, since);
    let batch = scene.batch().increment("n", 1);
    assert_eq!(done(scene.commit(&batch).await).found, 1);
    Ok(())
}

/// What is not there cannot be renewed, and does not come to be.
pub(super) async fn renew_of_nothing(subject: &dyn Subject) -> Outcome {
    let scene = Scene::unused(subject);
    assert_eq!(scene.renew(LIFE).await, Renewed::Gone);
    scene.assert_absent().await;
    Ok(())
}

/// A session that has ended cannot be renewed.
pub(super) async fn renew_of_a_tombstone(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    let _ = scene.retire(1, generation()).await;
    assert_eq!(scene.renew(LIFE).await, Renewed::Gone);
    scene.assert_tombstone().await;
    Ok(())
}

/// Another life of the session is left as it is.
pub(super) async fn renew_of_another_generation(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1")]).await;
    let before = scene.snapshot().await;
    for time_to_live in [LIFE / 2, 2 * LIFE] {
        assert_eq!(scene.another_life().renew(time_to_live).await, Renewed::Gone);
        scene.assert_unchanged(&before).await;
    }
    Ok(())
}
