//! Replacing what was seen: no update is lost.

use bytes::Bytes;

use super::scene::{Build, LIFE, Scene, bytes, conflict, done, expected};
use super::{Outcome, Subject};
use crate::provider::{Action, Commit};

/// An attribute that still holds what was seen is replaced: by a value, or by none.
pub(super) async fn replace_of_what_was_seen(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("b", ""), ("c", "3")]).await;
    let batch = scene
        .batch()
        .replace("a", Some("1"), Some("2"))
        .replace("b", Some(""), Some("filled"))
        .replace("c", Some("3"), None)
        .replace("d", None, Some(""))
        .replace("e", None, None);
    assert_eq!(done(scene.commit(&batch).await).found, 1);
    assert_eq!(scene.attributes().await, expected([("a", "2"), ("b", "filled"), ("d", "")]));
    let batch = scene.batch().replace("a", Some("2"), Some("2"));
    assert_eq!(done(scene.commit(&batch).await).found, 2);
    Ok(())
}

/// An attribute that somebody changed is a conflict, with its present bytes.
pub(super) async fn conflict_with_a_changed_attribute(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1")]).await;
    let mut other = scene.another_writer();
    let change = other.batch().set("a", "2");
    done(other.commit(&change).await);
    for value in [Some("3"), Some("1"), Some("2"), None] {
        let batch = scene.batch().replace("a", Some("1"), value);
        assert_eq!(conflict(scene.commit(&batch).await), [(0, Some(bytes("2")))]);
    }
    assert_eq!(scene.attributes().await, expected([("a", "2")]));
    Ok(())
}

/// An attribute that somebody removed is a conflict.
pub(super) async fn conflict_with_a_removed_attribute(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1")]).await;
    let mut other = scene.another_writer();
    let change = other.batch().remove("a");
    done(other.commit(&change).await);
    for value in [Some("3"), Some("1"), None] {
        let batch = scene.batch().replace("a", Some("1"), value);
        assert_eq!(conflict(scene.commit(&batch).await), [(0, None)]);
    }
    assert_eq!(scene.attributes().await, expected([]));
    Ok(())
}

/// An attribute that was not there when it was looked for, and is now, is a conflict.
pub(super) async fn conflict_with_an_appeared_attribute(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[]).await;
    let mut other = scene.another_writer();
    let change = other.batch().set("a", "2");
    done(other.commit(&change).await);
    for value in [Some("3"), Some("2"), None] {
        let batch = scene.batch().replace("a", None, value);
        assert_eq!(conflict(scene.commit(&batch).await), [(0, Some(bytes("2")))]);
    }
    assert_eq!(scene.attributes().await, expected([("a", "2")]));
    Ok(())
}

/// An empty value and no value are two things.
pub(super) async fn empty_is_not_absent(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("empty", "")]).await;
    let batch = scene.batch().replace("empty", None, Some("1")).replace("absent", Some(""), Some("1"));
    assert_eq!(conflict(scene.commit(&batch).await), [(0, Some(Bytes::new())), (1, None)]);
    assert_eq!(scene.attributes().await, expected([("empty", "")]));
    Ok(())
}

/// All bytes count: the last of many, the length, the case, bytes that are no text.
pub(super) async fn every_byte_is_compared(subject: &dyn Subject) -> Outcome {
    let mut long = vec![b'x'; 20_000];
    long[10_000] = 0;
    let mut scene = Scene::created(subject, &[("upper", "A"), ("number", "1"), ("space", "a ")]).await;
    let batch = scene.batch().set("long", long.clone()).set("binary", vec![0xFF, 0x00, 0xFE]);
    done(scene.commit(&batch).await);
    let version = scene.version().await;

    let mut other_end = long.clone();
    other_end[19_999] = b'y';
    let wrong: [(&str, Vec<u8>); 9] = [
        ("long", other_end),
        ("long", long[..10_000].to_vec()),
        ("long", long[..19_999].to_vec()),
        ("long", [&long[..], b"x"].concat()),
        ("upper", b"a".to_vec()),
        ("number", b"01".to_vec()),
        ("space", b"a".to_vec()),
        ("binary", vec![0xFF, 0x00, 0xFF]),
        ("binary", vec![0xFF]),
    ];
    for (name, seen) in wrong {
        let action = Action::Replace { seen: Some(seen.into()), value: None };
        let batch = scene.batch().change(name, action);
        assert_eq!(conflict(scene.commit(&batch).await).len(), 1, "{name}");
    }
    let batch = scene
        .batch()
        .change("long", Action::Replace { seen: Some(long.into()), value: None })
        .change("binary", Action::Replace { seen: Some(vec![0xFF, 0x00, 0xFE].into()), value: None });
    assert_eq!(done(scene.commit(&batch).await).found, version);
    Ok(())
}

/// A batch with a conflict writes nothing at all.
pub(super) async fn conflict_writes_nothing(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("b", "2"), ("n", "3"), ("c", "4"), ("x", "5")]).await;
    let before = scene.snapshot().await;
    let batch = scene
        .batch()
        .set("a", "changed")
        .set("new", "1")
        .remove("b")
        .increment("n", 1)
        .replace("c", Some("4"), Some("changed"))
        .replace("x", Some("other"), Some("changed"));
    let batch = Commit { idle_timeout: Some(Some(LIFE)), time_to_live: LIFE / 2, ..batch };
    assert_eq!(conflict(scene.commit(&batch).await), [(5, Some(bytes("5")))]);
    scene.assert_unchanged(&before).await;
    Ok(())
}

/// A conflict tells every attribute concerned by its place among the changes, and no other.
pub(super) async fn conflict_tells_all_and_only_those_concerned(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "1"), ("b", "2"), ("c", "3"), ("e", "5")]).await;
    let batch = scene
        .batch()
        .set("s", "1")
        .replace("a", Some("0"), Some("9"))
        .replace("b", Some("2"), Some("9"))
        .increment("n", 1)
        .replace("d", Some("4"), None)
        .remove("c")
        .replace("e", None, Some("9"))
        .replace("f", None, Some("9"));
    let mut concerned = conflict(scene.commit(&batch).await);
    concerned.sort_by_key(|(place, _)| *place);
    assert_eq!(concerned, [(1, Some(bytes("1"))), (4, None), (6, Some(bytes("5")))]);
    Ok(())
}

/// A number that was refused is not used up: the batch that was mended may have it, or a later one.
pub(super) async fn number_of_a_refused_batch_stays_new(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("a", "2"), ("n", "x")]).await;
    let refused = scene.batch().replace("a", Some("1"), Some("3"));
    let _ = conflict(scene.commit(&refused).await);
    assert_eq!(scene.session().await.written, Some(1));
    let uncountable = Commit { changes: Vec::new(), ..refused.clone() }.increment("n", 1);
    assert_eq!(super::scene::not_a_counter(scene.commit(&uncountable).await).len(), 1);
    assert_eq!(scene.session().await.written, Some(1));
    let mended = Commit { changes: Vec::new(), ..refused }.replace("a", Some("2"), Some("3"));
    assert_eq!(done(scene.commit(&mended).await).found, 1);
    assert_eq!(scene.session().await.written, Some(2));
    assert_eq!(scene.attributes().await, expected([("a", "3"), ("n", "x")]));
    Ok(())
}
