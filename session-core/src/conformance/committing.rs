//! What a commit does, and in which order it is checked.

use super::scene::{Build, LIFE, Scene, already, conflict, done, expected, generation, not_a_counter};
use super::{Outcome, Subject};
use crate::provider::{Commit, Committed, Loaded};

/// Every effective commit finds the version that the one before it left, and raises it by one; no other does.
pub(super) async fn version_counts_effective_commits(subject: &dyn Subject) -> Outcome {
    let mut first = Scene::created(subject, &[("a", "1"), ("text", "x")]).await;
    let mut second = first.another_writer();
    for version in 1..12 {
        let scene = if version % 2 == 0 { &mut first } else { &mut second };
        let batch = scene.batch().set("a", version.to_string());
        assert_eq!(done(scene.commit(&batch).await).found, version);
        assert_eq!(scene.version().await, version + 1);

        let _ = already(scene.commit(&batch).await);
        let refused = scene.batch().replace("a", None, None);
        let _ = conflict(scene.commit(&refused).await);
        let refused = scene.batch().increment("text", 1);
        let _ = not_a_counter(scene.commit(&refused).await);
        assert_eq!(scene.version().await, version + 1);
    }
    Ok(())
}

/// One batch sets, removes, increments and replaces together.
pub(super) async fn batch_applies_all_actions(subject: &dyn Subject) -> Outcome {
    let before = [("set", "1"), ("removed", "2"), ("counter", "3"), ("replaced", "4"), ("cleared", "5"), ("kept", "6")];
    let mut scene = Scene::created(subject, &before).await;
    let batch = scene
        .batch()
        .increment("new counter", 10)
        .set("set", "one")
        .remove("removed")
        .replace("replaced", Some("4"), Some("four"))
        .increment("counter", 4)
        .set("new", "two")
        .replace("cleared", Some("5"), None)
        .replace("appeared", None, Some("seven"));
    let batch = Commit { idle_timeout: Some(Some(LIFE)), ..batch };
    let answer = done(scene.commit(&batch).await);
    assert_eq!(answer.found, 1);
    assert_eq!(answer.counters, ["10", "7"]);
    let after = [
        ("new counter", "10"),
        ("set", "one"),
        ("replaced", "four"),
        ("counter", "7"),
        ("new", "two"),
        ("appeared", "seven"),
        ("kept", "6"),
    ];
    assert_eq!(scene.attributes().await, expected(after));
    assert_eq!(scene.session().await.header.idle_timeout, Some(LIFE));
    assert_eq!(scene.version().await, 2);
    Ok(())
}

/// A batch without changes is still a commit: it raises the version and counts as written.
pub(super) async fn batch_without_changes_is_effective(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1")]).await;
    let batch = scene.batch();
    let answer = done(scene.commit(&batch).await);
    assert_eq!((answer.found, answer.counters.len()), (1, 0));
    let session = scene.session().await;
    assert_eq!((session.header.version, session.written), (2, Some(2)));
    assert_eq!(scene.attributes().await, expected([("a", "1")]));
    let _ = already(scene.commit(&batch).await);
    Ok(())
}

/// Only what is named is written: changes of two writers to different attributes merge.
pub(super) async fn attributes_not_named_stay(subject: &dyn Subject) -> Outcome {
    let mut first = Scene::created(subject, &[("a", "1"), ("b", "2"), ("c", "3")]).await;
    let mut second = first.another_writer();
    let batch = first.batch().set("a", "one");
    done(first.commit(&batch).await);
    let batch = second.batch().remove("b").set("d", "4");
    done(second.commit(&batch).await);
    assert_eq!(first.attributes().await, expected([("a", "one"), ("c", "3"), ("d", "4")]));
    Ok(())
}

/// A session stays when its last attribute is removed, with all that is known of it.
pub(super) async fn session_outlives_its_last_attribute(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("b", "2")]).await;
    let batch = scene.batch().remove("a").replace("b", Some("2"), None);
    done(scene.commit(&batch).await);
    let session = scene.session().await;
    assert_eq!(session.attributes.len(), 0);
    assert_eq!((session.header.generation, session.header.version), (scene.generation, 2));
    let batch = scene.batch().set("c", "3");
    assert_eq!(done(scene.commit(&batch).await).found, 2);
    Ok(())
}

/// Removing what is not there is no error.
pub(super) async fn removing_what_is_not_there(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1")]).await;
    let batch = scene.batch().remove("b");
    assert_eq!(done(scene.commit(&batch).await).found, 1);
    assert_eq!(scene.attributes().await, expected([("a", "1")]));
    Ok(())
}

/// A change of a session that is not there makes nothing.
pub(super) async fn commit_to_nothing(subject: &dyn Subject) -> Outcome {
    Scene::unused(subject).assert_stays_dead(&Loaded::Absent).await;
    Ok(())
}

/// A change of a session that has ended is answered so, and the tombstone stays.
pub(super) async fn commit_to_a_tombstone(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1")]).await;
    let _ = scene.retire(1, generation()).await;
    scene.assert_stays_dead(&Loaded::Tombstone).await;
    scene.another_life().assert_stays_dead(&Loaded::Tombstone).await;
    Ok(())
}

/// A change meant for another life of the session is answered as gone, and leaves the present one as it is.
pub(super) async fn commit_to_another_generation(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1"), ("n", "1")]).await;
    let before = scene.snapshot().await;
    let mut other = scene.another_life();
    let batches = [
        other.batch(),
        other.batch().set("a", "2"),
        other.batch().remove("a"),
        other.batch().increment("n", 1),
        other.batch().replace("a", Some("1"), Some("2")),
        Commit { repeated: true, ..other.batch().set("a", "2") },
    ];
    for batch in &batches {
        assert_eq!(other.commit(batch).await, Committed::Gone);
        scene.assert_unchanged(&before).await;
    }
    Ok(())
}

/// A batch that was applied before its session ended is answered as gone.
pub(super) async fn gone_comes_before_already(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1")]).await;
    let batch = scene.batch().set("a", "2").replace("a2", None, Some("1")).increment("n", 1);
    done(scene.commit(&batch).await);
    // The same writer and number, meant for another generation.
    let other = Commit { generation: generation(), ..batch.clone() };
    assert_eq!(scene.commit(&other).await, Committed::Gone);
    let _ = scene.destroy().await;
    assert_eq!(scene.commit(&batch).await, Committed::Gone);
    Ok(())
}

/// A batch that was applied before is told so, though what it had seen has changed by its own doing.
pub(super) async fn already_comes_before_conflict(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("b", "1")]).await;
    let batch = scene.batch().replace("a", Some("1"), Some("2")).replace("b", Some("1"), None);
    done(scene.commit(&batch).await);
    let (counters, _) = already(scene.commit(&batch).await);
    assert_eq!(counters.len(), 0);
    assert_eq!(scene.attributes().await, expected([("a", "2")]));
    Ok(())
}

/// A batch that was applied before is told so, though its counter is none any more.
pub(super) async fn already_comes_before_not_a_counter(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("n", "1")]).await;
    let batch = scene.batch().increment("n", 1);
    done(scene.commit(&batch).await);
    let mut other = scene.another_writer();
    let overwrite = other.batch().set("n", "text");
    done(other.commit(&overwrite).await);
    let (counters, _) = already(scene.commit(&batch).await);
    assert_eq!(counters, [Some("text".into())]);
    Ok(())
}

/// Where both would be due, the conflict is told, and only that.
pub(super) async fn conflict_comes_before_not_a_counter(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("text", "x"), ("a", "1")]).await;
    let batch = scene.batch().increment("text", 1).replace("a", Some("2"), Some("3"));
    assert_eq!(conflict(scene.commit(&batch).await), [(1, Some("1".into()))]);
    Ok(())
}
