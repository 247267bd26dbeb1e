//! Data that is no session is reported, and left as it is.

use super::scene::{Build, LIFE, Scene, assert_foreign, generation};
use super::{Foreign, Outcome, Subject};
use crate::error::ErrorKind;
use crate::provider::{Checked, Commit, Destruction, Renewal, Retirement};

/// A key of another type.
pub(super) async fn data_of_another_type(subject: &dyn Subject) -> Outcome {
    is_reported_and_left(subject, Foreign::OtherType).await
}

/// A key of the same type without a session's header.
pub(super) async fn data_without_a_header(subject: &dyn Subject) -> Outcome {
    is_reported_and_left(subject, Foreign::WithoutHeader).await
}

async fn is_reported_and_left(subject: &dyn Subject, foreign: Foreign) -> Outcome {
    let mut scene = Scene::unused(subject);
    let Scene { store, key, generation: own, .. } = scene.clone();
    subject.put_foreign(&key, foreign).await?;
    assert!(subject.foreign_is_intact(&key, foreign).await, "the subject cannot find its own foreign data");

    assert_foreign(store.load(&key, scene.writer).await);
    assert!(subject.foreign_is_intact(&key, foreign).await, "after a load");

    // A check need not look that closely.
    match store.check(&key).await {
        Ok(Checked::Missing) => {}
        Err(error) if error.kind() == ErrorKind::ForeignKey => {}
        other => panic!("expected Missing or an error of kind ForeignKey, found {other:?}"),
    }
    assert!(subject.foreign_is_intact(&key, foreign).await, "after a check");

    let batches = [
        scene.batch(),
        scene.batch().set("a", "1"),
        scene.batch().remove("a"),
        scene.batch().increment("n", 1),
        scene.batch().replace("a", None, Some("1")),
        Commit { idle_timeout: Some(Some(LIFE)), ..scene.batch() },
        scene.creation(),
        scene.creation().set("a", "1"),
        Commit { repeated: true, ..scene.creation().increment("n", 1) },
    ];
    for batch in &batches {
        assert_foreign(store.commit(&key, batch).await);
        assert!(subject.foreign_is_intact(&key, foreign).await, "after {batch:?}");
    }

    let renewal = Renewal { generation: own, time_to_live: LIFE };
    assert_foreign(store.renew(&key, &renewal).await);
    assert!(subject.foreign_is_intact(&key, foreign).await, "after a renewal");

    for leave_tombstone in [false, true] {
        let destruction = Destruction { generation: own, leave_tombstone };
        assert_foreign(store.destroy(&key, &destruction).await);
        assert!(subject.foreign_is_intact(&key, foreign).await, "after a destruction");
    }

    for version in [0, 1] {
        let retirement = Retirement { generation: own, version, successor: generation() };
        assert_foreign(store.retire(&key, &retirement).await);
        assert!(subject.foreign_is_intact(&key, foreign).await, "after a retirement");
    }
    Ok(())
}
