//! A repeated batch that is refused: no copy of it is written any more, whatever the attributes hold later.

use tokio::time::Instant;

use super::scene::{Build, LIFE, Scene, again, already, assert_life, bytes, conflict, done, expected, not_a_counter};
use super::{Outcome, Subject};
use crate::provider::{Commit, Committed, Loaded};

/// A first copy that arrives after its repetition met a conflict finds its number used up, though the attribute is again
/// as it was seen.
pub(super) async fn late_copy_of_a_conflict_is_not_written(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("n", "5")]).await;
    let mut other = scene.another_writer();
    let batch = scene.batch().replace("a", Some("1"), Some("2")).increment("n", 1).set("s", "late").remove("r");
    let away = other.batch().set("a", "other").set("r", "1");
    done(other.commit(&away).await);
    assert_eq!(conflict(scene.commit(&again(&batch)).await), [(0, Some(bytes("other")))]);
    let back = other.batch().set("a", "1");
    done(other.commit(&back).await);

    let before = scene.snapshot().await;
    for copy in [&batch, &again(&batch), &batch] {
        assert_eq!(conflict(scene.commit(copy).await), []);
        scene.assert_unchanged(&before).await;
    }
    // The sender makes its changes again, under another number.
    let anew = Commit { changes: batch.changes.clone(), ..scene.batch() };
    assert_eq!(done(scene.commit(&anew).await).counters, ["6"]);
    for copy in [&batch, &again(&batch)] {
        let _ = already(scene.commit(copy).await);
    }
    assert_eq!(scene.attributes().await, expected([("a", "2"), ("n", "6"), ("s", "late")]));
    Ok(())
}

/// So does one whose repetition met what is no counter.
pub(super) async fn late_copy_of_a_refused_increment_is_not_written(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("n", "1"), ("m", "1")]).await;
    let mut other = scene.another_writer();
    let batch = scene.batch().increment("n", 1).increment("m", 1);
    let away = other.batch().set("n", "text");
    done(other.commit(&away).await);
    assert_eq!(not_a_counter(scene.commit(&again(&batch)).await), [(0, Some(bytes("text")))]);
    let back = other.batch().set("n", "1");
    done(other.commit(&back).await);
    let before = scene.snapshot().await;
    for copy in [&batch, &again(&batch)] {
        assert_eq!(conflict(scene.commit(copy).await), []);
        scene.assert_unchanged(&before).await;
    }
    // What was not refused is sent again under another number.
    let rest = scene.batch().increment("m", 1);
    assert_eq!(done(scene.commit(&rest).await).counters, ["2"]);
    let _ = already(scene.commit(&batch).await);
    assert_eq!(scene.attributes().await, expected([("m", "2"), ("n", "1")]));
    Ok(())
}

/// While something is in its way, a batch whose number is used up is told that.
pub(super) async fn used_up_number_tells_what_is_in_the_way(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("n", "1")]).await;
    let mut other = scene.another_writer();
    let batch = scene.batch().replace("a", Some("1"), Some("2")).increment("n", 1);
    let change = other.batch().set("a", "x");
    done(other.commit(&change).await);
    for copy in [&again(&batch), &batch, &again(&batch)] {
        assert_eq!(conflict(scene.commit(copy).await), [(0, Some(bytes("x")))]);
    }
    let change = other.batch().set("a", "1").set("n", "x");
    done(other.commit(&change).await);
    for copy in [&batch, &again(&batch)] {
        assert_eq!(not_a_counter(scene.commit(copy).await), [(1, Some(bytes("x")))]);
    }
    Ok(())
}

/// Using up a number is no write: version, expiry, content, and what was written stay.
pub(super) async fn using_up_a_number_changes_nothing_else(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1")]).await;
    let mut other = scene.another_writer();
    let written = other.batch().set("b", "1");
    done(other.commit(&written).await);
    // By one who never wrote here, and by one who did.
    let mut stranger = scene.another_writer();
    for writer in [&mut stranger, &mut scene] {
        let before = writer.snapshot().await;
        let version = writer.version().await;
        let batch = Commit { time_to_live: LIFE / 2, ..writer.batch().replace("a", Some("0"), None).set("b", "2") };
        let batch = Commit { idle_timeout: Some(Some(LIFE)), ..batch };
        assert_eq!(conflict(writer.commit(&again(&batch)).await), [(0, Some(bytes("1")))]);
        writer.assert_unchanged(&before).await;
        assert_eq!(writer.version().await, version);
    }
    assert_eq!(stranger.session().await.written, None);
    assert_eq!(scene.session().await.written, Some(1));
    assert_eq!(other.session().await.written, Some(1));
    let _ = already(other.commit(&again(&written)).await);
    Ok(())
}

/// A number stays used up while others write, until the writer has written a newer one.
pub(super) async fn number_stays_used_up(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1")]).await;
    let earlier = scene.batch().set("e", "1");
    done(scene.commit(&earlier).await);
    // Where texts and numbers, and where doubles and integers differ.
    for sequence in [9, 10, 99, 100, 1 << 53, (1 << 53) + 1, u64::MAX - 1] {
        scene.sequence = sequence - 1;
        let refused = scene.batch().replace("a", Some("0"), None);
        let _ = conflict(scene.commit(&again(&refused)).await);
        for _ in 0..3 {
            let mut other = scene.another_writer();
            let batch = other.batch().increment("others", 1);
            done(other.commit(&batch).await);
        }
        let since = Instant::now();
        let _ = scene.renew(LIFE).await;
        for number in [sequence, sequence - 1] {
            let late = Commit { sequence: number, changes: Vec::new(), ..refused.clone() }.set("late", "1");
            assert_eq!(conflict(scene.commit(&late).await), [], "{number} after {sequence}");
        }
        assert_life(scene.session().await.remaining, LIFE, since);
        let _ = already(scene.commit(&again(&earlier)).await);
    }
    scene.sequence = u64::MAX - 1;
    let next = scene.batch().set("next", "1");
    done(scene.commit(&next).await);
    assert_eq!(scene.session().await.written, Some(u64::MAX));
    assert!(!scene.attributes().await.contains_key("late"));
    Ok(())
}

/// A repeated creation that is refused creates nothing.
pub(super) async fn refused_repeated_creation_creates_nothing(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let creation = scene.creation().replace("a", Some("1"), Some("2"));
    assert_eq!(conflict(scene.commit(&again(&creation)).await), [(0, None)]);
    assert_eq!(scene.load().await, Loaded::Absent);
    assert_eq!(scene.commit(&scene.clone().batch()).await, Committed::Gone);
    Ok(())
}
