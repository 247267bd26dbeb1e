//! Sending again does nothing twice: numbers of writers, and marks of creations.

use std::time::Duration;

use tokio::time::Instant;

use super::scene::{Build, LIFE, Scene, again, already, assert_life, bytes, done, expected, renewed};
use super::{Outcome, Subject};
use crate::provider::{Commit, Committed, Destroyed};

/// A batch that is sent again with its number is applied once, marked as repeated or not.
pub(super) async fn repeated_batch_is_applied_once(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("n", "1"), ("a", "1"), ("b", "1"), ("c", "1")]).await;
    let batch = scene.batch().increment("n", 5).set("a", "2").remove("b").replace("c", Some("1"), Some("2"));
    let batch = Commit { idle_timeout: Some(Some(LIFE)), ..batch };
    assert_eq!(done(scene.commit(&batch).await).counters, ["6"]);
    let before = scene.snapshot().await;
    for copy in [batch.clone(), again(&batch), batch.clone(), again(&batch)] {
        let (counters, _) = already(scene.commit(&copy).await);
        assert_eq!(counters, [Some(bytes("6"))]);
        scene.assert_unchanged(&before).await;
    }
    assert_eq!(scene.attributes().await, expected([("n", "6"), ("a", "2"), ("c", "2")]));
    Ok(())
}

/// A late copy overwrites nothing that was written since, by another writer or by the same.
pub(super) async fn repeated_batch_overwrites_nothing_newer(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[]).await;
    let mut other = scene.another_writer();
    let early = scene.batch().set("a", "old").set("b", "old").remove("c");
    done(scene.commit(&early).await);
    let newer = other.batch().set("a", "new").set("c", "new");
    done(other.commit(&newer).await);
    let _ = already(scene.commit(&again(&early)).await);
    assert_eq!(scene.attributes().await, expected([("a", "new"), ("b", "old"), ("c", "new")]));
    let newest = scene.batch().set("b", "new");
    done(scene.commit(&newest).await);
    let _ = already(scene.commit(&again(&early)).await);
    assert_eq!(scene.attributes().await, expected([("a", "new"), ("b", "new"), ("c", "new")]));
    Ok(())
}

/// The answer to a late copy tells what the counters hold now, in the order of the increments.
pub(super) async fn repeated_batch_tells_present_counters(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[]).await;
    let batch = scene
        .batch()
        .increment("z", 1)
        .set("s", "1")
        .increment("removed", 1)
        .increment("overwritten", 1)
        .remove("r")
        .increment("a", 9_007_199_254_740_993);
    assert_eq!(done(scene.commit(&batch).await).counters, ["1", "1", "1", "9007199254740993"]);
    let mut other = scene.another_writer();
    let change = other.batch().increment("z", 10).remove("removed").set("overwritten", "not a counter");
    done(other.commit(&change).await);
    let (counters, _) = already(scene.commit(&again(&batch)).await);
    let present = [Some(bytes("11")), None, Some(bytes("not a counter")), Some(bytes("9007199254740993"))];
    assert_eq!(counters, present);
    Ok(())
}

/// A late copy tells how long the session will live, and leaves it so.
pub(super) async fn repeated_batch_leaves_the_expiry(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[]).await;
    for (batch_life, renewed_to) in [(LIFE / 4, LIFE / 2), (LIFE, LIFE / 2)] {
        let batch = Commit { time_to_live: batch_life, ..scene.batch().set("a", "1") };
        done(scene.commit(&batch).await);
        let since = Instant::now();
        let _ = renewed(scene.renew(renewed_to).await);
        let (_, remaining) = already(scene.commit(&again(&batch)).await);
        assert_life(remaining, renewed_to, since);
        assert_life(scene.session().await.remaining, renewed_to, since);
    }
    Ok(())
}

/// A number below the newest is not new either.
pub(super) async fn older_batch_is_already_applied(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[]).await;
    let mut batches = Vec::new();
    for number in 0..5 {
        let batch = scene.batch().increment("n", 1).set("a", number.to_string());
        done(scene.commit(&batch).await);
        batches.push(batch);
    }
    let before = scene.snapshot().await;
    for batch in &batches {
        for copy in [batch.clone(), again(batch)] {
            let (counters, _) = already(scene.commit(&copy).await);
            assert_eq!(counters, [Some(bytes("5"))]);
        }
    }
    scene.assert_unchanged(&before).await;
    Ok(())
}

/// Numbers need only grow.
pub(super) async fn sequences_may_have_gaps(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[]).await;
    // The last ones are where a double loses count, and the greatest of all.
    for sequence in [2, 7, 1_000, 1_000_000_007, 1 << 40, 1 << 53, (1 << 53) + 1, u64::MAX] {
        scene.sequence = sequence - 1;
        let batch = scene.batch().increment("n", 1);
        done(scene.commit(&batch).await);
        assert_eq!(scene.session().await.written, Some(sequence));
        let skipped = Commit { sequence: sequence - 1, ..batch };
        let _ = already(scene.commit(&skipped).await);
    }
    assert_eq!(scene.attributes().await, expected([("n", "8")]));
    Ok(())
}

/// 10 comes after 9, and 9 before 10.
pub(super) async fn sequences_are_compared_as_numbers(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[]).await;
    for sequence in 2..=120 {
        let batch = scene.batch().increment("n", 1);
        assert_eq!(batch.sequence, sequence);
        done(scene.commit(&batch).await);
        let older = Commit { sequence: sequence - 1, ..batch.clone() };
        let _ = already(scene.commit(&older).await);
    }
    for sequence in [1, 2, 9, 10, 11, 19, 99, 100, 119, 120] {
        let batch = Commit { sequence, ..scene.batch() };
        let _ = already(scene.commit(&batch).await);
    }
    assert_eq!(scene.attributes().await, expected([("n", "119")]));
    Ok(())
}

/// The numbers of one writer say nothing of another's.
pub(super) async fn writers_are_independent(subject: &dyn Subject) -> Outcome {
    let mut first = Scene::created(subject, &[]).await;
    for _ in 0..5 {
        let batch = first.batch().increment("n", 1);
        done(first.commit(&batch).await);
    }
    let mut second = first.another_writer();
    let batch = second.batch().increment("n", 1);
    assert!(batch.sequence < first.sequence);
    assert_eq!(done(second.commit(&batch).await).counters, ["6"]);
    let _ = already(second.commit(&batch).await);
    let same_number = first.batch().increment("n", 1);
    done(first.commit(&same_number).await);
    let same_number = Commit { sequence: same_number.sequence, ..second.batch().increment("n", 1) };
    assert_eq!(done(second.commit(&same_number).await).counters, ["8"]);
    Ok(())
}

/// Many processes can write to one session, and the numbers of all are known.
pub(super) async fn many_writers_are_remembered(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[]).await;
    let mut batches = Vec::new();
    for _ in 0..100 {
        let mut writer = scene.another_writer();
        let batch = writer.batch().increment("n", 1);
        done(writer.commit(&batch).await);
        batches.push(batch);
    }
    for batch in &batches {
        let _ = already(scene.commit(&again(batch)).await);
    }
    assert_eq!(scene.attributes().await, expected([("n", "100")]));
    Ok(())
}

/// A load tells the asker its own newest number, and nothing to one who never wrote.
pub(super) async fn written_is_told_to_each_writer(subject: &dyn Subject) -> Outcome {
    let mut first = Scene::created(subject, &[]).await;
    let mut second = first.another_writer();
    let reader = first.another_writer();
    assert_eq!(first.session().await.written, Some(1));
    assert_eq!(second.session().await.written, None);
    second.sequence = 40;
    let batch = second.batch();
    done(second.commit(&batch).await);
    let batch = first.batch();
    done(first.commit(&batch).await);
    assert_eq!(first.session().await.written, Some(2));
    assert_eq!(second.session().await.written, Some(41));
    assert_eq!(reader.session().await.written, None);
    Ok(())
}

/// A creation that is sent again finds its own work.
pub(super) async fn repeated_creation_is_applied_once(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = scene.creation().set("a", "1").increment("n", 1).replace("b", None, Some("2"));
    assert_eq!(done(scene.commit(&creation).await).found, 0);
    let before = scene.snapshot().await;
    for copy in [creation.clone(), again(&creation), again(&creation)] {
        let (counters, _) = already(scene.commit(&copy).await);
        assert_eq!(counters, [Some(bytes("1"))]);
        scene.assert_unchanged(&before).await;
    }
    Ok(())
}

/// A session whose creation was sent again leaves a tombstone when it is destroyed.
pub(super) async fn repeated_creation_leaves_a_tombstone(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = scene.creation().set("a", "1");
    done(scene.commit(&creation).await);
    let _ = already(scene.commit(&again(&creation)).await);
    assert_eq!(scene.destroy().await, Destroyed::Done);
    scene.assert_tombstone().await;
    assert_eq!(scene.destroy().await, Destroyed::NothingFound);
    scene.assert_tombstone().await;
    Ok(())
}

/// So does one whose first copy has not arrived yet.
pub(super) async fn creation_whose_repetition_came_first_leaves_a_tombstone(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = scene.creation().set("a", "1");
    assert_eq!(done(scene.commit(&again(&creation)).await).found, 0);
    assert_eq!(scene.destroy().await, Destroyed::Done);
    scene.assert_tombstone().await;
    Ok(())
}

/// The mark is not lost by what is written later.
pub(super) async fn mark_outlasts_later_writes(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = scene.creation().set("a", "1");
    done(scene.commit(&again(&creation)).await);
    let _ = already(scene.commit(&creation).await);
    let batches = [scene.batch().remove("a"), Commit { idle_timeout: Some(None), ..scene.batch() }];
    for batch in &batches {
        done(scene.commit(batch).await);
    }
    let _ = renewed(scene.renew(LIFE).await);
    assert_eq!(scene.destroy().await, Destroyed::Done);
    scene.assert_tombstone().await;
    Ok(())
}

/// A session whose creation was sent once leaves nothing.
pub(super) async fn unrepeated_creation_leaves_nothing(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = scene.creation().set("a", "1");
    done(scene.commit(&creation).await);
    assert_eq!(scene.destroy().await, Destroyed::Done);
    scene.assert_absent().await;
    Ok(())
}

/// Only creations mark: a change that is sent again does not.
pub(super) async fn repeated_change_does_not_mark(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[]).await;
    let batch = scene.batch().set("a", "1");
    done(scene.commit(&again(&batch)).await);
    let _ = already(scene.commit(&again(&batch)).await);
    assert_eq!(scene.destroy().await, Destroyed::Done);
    scene.assert_absent().await;
    Ok(())
}

/// A first copy that arrives after its repetition and the session's end brings nothing back.
pub(super) async fn late_copy_of_a_creation_stays_dead(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = scene.creation().set("a", "1").increment("n", 1);
    done(scene.commit(&again(&creation)).await);
    assert_eq!(scene.destroy().await, Destroyed::Done);
    for copy in [creation.clone(), again(&creation), creation] {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(scene.commit(&copy).await, Committed::Gone);
        scene.assert_tombstone().await;
    }
    Ok(())
}
