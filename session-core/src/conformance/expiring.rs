//! A session's life: carried by every write, never beyond the deadline, and ended in time.

use std::time::Duration;

use tokio::time::Instant;

use super::scene::{Build, LIFE, Scene, assert_life, conflict, done, ending, expire, not_a_counter, renewed};
use super::{Outcome, Subject};
use crate::provider::{Commit, Committed, Deadline, Loaded};

/// Every kind of commit sets the life from now, and answers it.
pub(super) async fn every_write_carries_the_expiry(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let writes = [
        scene.creation().set("a", "1"),
        scene.batch().set("a", "2"),
        scene.batch().remove("a"),
        scene.batch().increment("n", 1),
        scene.batch().replace("r", None, Some("1")),
        scene.batch().replace("r", Some("1"), None),
        Commit { idle_timeout: Some(Some(LIFE)), ..scene.batch() },
        scene.batch(),
        scene.batch().set("a", "3"),
        // A shorter life than before is as good.
        scene.batch().set("a", "4"),
    ];
    let lives = [600, 700, 800, 900, 1_000, 1_100, 1_200, 1_300, 2_592_000, 90].map(Duration::from_secs);
    for (write, time_to_live) in writes.into_iter().zip(lives) {
        let write = Commit { time_to_live, ..write };
        let since = Instant::now();
        assert_life(done(scene.commit(&write).await).remaining, time_to_live, since);
        assert_life(scene.session().await.remaining, time_to_live, since);
    }
    Ok(())
}

/// No write prolongs a session beyond its deadline.
pub(super) async fn time_to_live_is_capped_by_the_deadline(subject: &dyn Subject) -> Outcome {
    let now = Scene::created(subject, &[]).await.session().await.header.created;
    let started = Instant::now();
    let left = Duration::from_secs(120);
    for deadline in [Deadline::After(left), Deadline::At(now + left.as_millis() as u64)] {
        let mut scene = Scene::unused(subject);
        let creation = ending(scene.creation(), deadline).set("a", "1");
        // The deadline at a time was counted a little before the start.
        let within = |remaining: Duration| {
            assert!(remaining <= left, "{remaining:?} remain until a deadline in {left:?}");
            let least = left.saturating_sub(started.elapsed() + Duration::from_secs(1));
            assert!(remaining >= least, "{remaining:?} remain until a deadline in {least:?} at least");
        };
        within(done(scene.commit(&creation).await).remaining);
        within(scene.session().await.remaining);
        within(renewed(scene.renew(LIFE).await));
        within(scene.session().await.remaining);
        let batch = scene.batch().increment("n", 1);
        within(done(scene.commit(&batch).await).remaining);
        within(scene.session().await.remaining);

        // A life that ends before the deadline is not prolonged to it.
        let since = Instant::now();
        let short = Duration::from_secs(30);
        assert_life(renewed(scene.renew(short).await), short, since);
        let batch = Commit { time_to_live: short, ..scene.batch().set("a", "2") };
        assert_life(done(scene.commit(&batch).await).remaining, short, since);
        assert_life(scene.session().await.remaining, short, since);
    }
    Ok(())
}

/// A commit that is refused sets no expiry.
pub(super) async fn refused_commits_leave_the_expiry(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("text", "x")]).await;
    let before = scene.snapshot().await;
    for time_to_live in [LIFE / 2, 2 * LIFE] {
        let batch = Commit { time_to_live, ..scene.batch().replace("a", Some("2"), None) };
        let _ = conflict(scene.commit(&batch).await);
        let batch = Commit { time_to_live, ..scene.batch().increment("text", 1) };
        let _ = not_a_counter(scene.commit(&batch).await);
        let batch = Commit { time_to_live, ..scene.another_life().batch().set("a", "2") };
        assert_eq!(scene.commit(&batch).await, Committed::Gone);
    }
    scene.assert_unchanged(&before).await;
    Ok(())
}

/// A session that nobody writes to ends when its time is over.
pub(super) async fn session_expires(subject: &dyn Subject) -> Outcome {
    let time_to_live = Duration::from_millis(700);
    let mut scene = Scene::unused(subject);
    let creation = Commit { time_to_live, ..scene.creation().set("a", "1") };
    let since = Instant::now();
    done(scene.commit(&creation).await);
    expire(&scene, time_to_live, since).await;
    Ok(())
}

/// A commit gives the session a new life, and that ends as well.
pub(super) async fn commit_prolongs(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = Commit { time_to_live: Duration::from_secs(1), ..scene.creation() };
    done(scene.commit(&creation).await);
    let time_to_live = Duration::from_millis(1_500);
    let batch = Commit { time_to_live, ..scene.batch().set("a", "1") };
    let since = Instant::now();
    done(scene.commit(&batch).await);
    expire(&scene, time_to_live, since).await;
    Ok(())
}

/// So does a renewal.
pub(super) async fn renew_prolongs(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = Commit { time_to_live: Duration::from_secs(1), ..scene.creation() };
    done(scene.commit(&creation).await);
    let time_to_live = Duration::from_millis(1_500);
    let since = Instant::now();
    let _ = renewed(scene.renew(time_to_live).await);
    expire(&scene, time_to_live, since).await;
    Ok(())
}

/// At its deadline a session ends, whatever was written to it.
pub(super) async fn session_ends_at_its_deadline(subject: &dyn Subject) -> Outcome {
    let left = Duration::from_secs(2);
    let mut scene = Scene::unused(subject);
    let creation = ending(scene.creation(), Deadline::After(left));
    let since = Instant::now();
    done(scene.commit(&creation).await);
    let batch = scene.batch().set("a", "1");
    done(scene.commit(&batch).await);
    let _ = renewed(scene.renew(LIFE).await);
    expire(&scene, left, since).await;
    scene.assert_stays_dead(&Loaded::Absent).await;
    Ok(())
}

/// No write of anybody who had loaded the session makes anything of it visible again.
pub(super) async fn nothing_revives_an_expired_session(subject: &dyn Subject) -> Outcome {
    let time_to_live = Duration::from_millis(300);
    let mut scene = Scene::unused(subject);
    let creation = Commit { time_to_live, ..scene.creation().set("a", "1").set("n", "1") };
    let since = Instant::now();
    done(scene.commit(&creation).await);
    let mut other = scene.another_writer();
    expire(&scene, time_to_live, since).await;
    scene.assert_stays_dead(&Loaded::Absent).await;
    other.assert_stays_dead(&Loaded::Absent).await;
    Ok(())
}
