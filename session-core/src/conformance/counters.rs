//! Counters: exact, within their range, and one form only.

use bytes::Bytes;

use super::scene::{Build, LIFE, Scene, bytes, done, expected, not_a_counter};
use super::{Outcome, Subject};
use crate::provider::{COUNTER_LIMIT, Commit};

/// A number is added to the counter that is there, and the sum is answered and kept as decimal text.
pub(super) async fn increment_adds(subject: &dyn Subject) -> Outcome {
    let steps: [(&str, i64, &str); 14] = [
        ("0", 1, "1"),
        ("1", 0, "1"),
        ("1", -1, "0"),
        ("0", -1, "-1"),
        ("-1", 1, "0"),
        ("5", -15, "-10"),
        ("-10", 15, "5"),
        ("9", 1, "10"),
        ("-9", -1, "-10"),
        ("99", -100, "-1"),
        ("-1", 1_000_001, "1000000"),
        ("1000000", -1_000_000, "0"),
        ("123456789", 987_654_321, "1111111110"),
        ("4294967295", 1, "4294967296"),
    ];
    let mut scene = Scene::created(subject, &[]).await;
    for (before, delta, after) in steps {
        let batch = scene.batch().set("n", before.to_owned());
        done(scene.commit(&batch).await);
        let batch = scene.batch().increment("n", delta);
        assert_eq!(done(scene.commit(&batch).await).counters, [after], "{before} + {delta}");
        assert_eq!(scene.attributes().await, expected([("n", after)]), "{before} + {delta}");
    }
    Ok(())
}

/// An attribute that is not there counts as 0, and is there afterwards.
pub(super) async fn increment_of_an_absent_attribute(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[]).await;
    let batch = scene.batch().increment("a", 3).increment("b", -3).increment("c", 0).increment("d", COUNTER_LIMIT);
    let limit = COUNTER_LIMIT.to_string();
    assert_eq!(done(scene.commit(&batch).await).counters, ["3", "-3", "0", limit.as_str()]);
    assert_eq!(scene.attributes().await, expected([("a", "3"), ("b", "-3"), ("c", "0"), ("d", &limit)]));
    Ok(())
}

/// Counters are answered in the order of the increments, whatever stands between them.
pub(super) async fn counters_are_answered_in_order(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::created(subject, &[("z", "10"), ("a", "20"), ("m", "30"), ("seen", "1")]).await;
    let batch = scene
        .batch()
        .set("s1", "x")
        .increment("z", 1)
        .replace("seen", Some("1"), Some("100"))
        .increment("m", 1)
        .remove("gone")
        .increment("new", 1)
        .increment("a", 1)
        .set("s2", "x");
    assert_eq!(done(scene.commit(&batch).await).counters, ["11", "31", "1", "21"]);
    Ok(())
}

/// Counters are exact where a double is not.
pub(super) async fn counters_are_exact_beyond_two_to_the_53(subject: &dyn Subject) -> Outcome {
    let steps: [(&str, i64, &str); 8] = [
        ("9007199254740992", 1, "9007199254740993"),
        ("9007199254740993", 1, "9007199254740994"),
        ("-9007199254740992", -1, "-9007199254740993"),
        ("0", 9_007_199_254_740_993, "9007199254740993"),
        ("1", -9_007_199_254_740_994, "-9007199254740993"),
        ("123456789012345678", 1, "123456789012345679"),
        ("123456789012345678", 876_543_210_987_654_321, "999999999999999999"),
        ("-999999999999999999", 999_999_999_999_999_998, "-1"),
    ];
    let mut scene = Scene::created(subject, &[]).await;
    for (before, delta, after) in steps {
        let batch = scene.batch().set("n", before.to_owned());
        done(scene.commit(&batch).await);
        let batch = scene.batch().increment("n", delta);
        assert_eq!(done(scene.commit(&batch).await).counters, [after], "{before} + {delta}");
        assert_eq!(scene.attributes().await, expected([("n", after)]), "{before} + {delta}");
    }
    Ok(())
}

/// Eighteen digits are within the range, in the counter, the increment and the sum.
pub(super) async fn counters_reach_their_limits(subject: &dyn Subject) -> Outcome {
    let limits = [COUNTER_LIMIT, -COUNTER_LIMIT];
    let mut scene = Scene::created(subject, &[]).await;
    for limit in limits {
        let towards = limit.signum();
        let start = (limit - towards).to_string();
        let batch = scene.batch().set("n", start);
        done(scene.commit(&batch).await);
        for (delta, after) in [(towards, limit), (0, limit), (-limit, 0), (limit, limit), (-towards, limit - towards)] {
            let batch = scene.batch().increment("n", delta);
            assert_eq!(done(scene.commit(&batch).await).counters, [after.to_string()], "{limit}: {delta}");
        }
    }
    Ok(())
}

/// A sum beyond eighteen digits is refused, and the counter stays what it was.
pub(super) async fn counters_stay_within_their_limits(subject: &dyn Subject) -> Outcome {
    let steps = [
        (COUNTER_LIMIT, 1),
        (COUNTER_LIMIT, COUNTER_LIMIT),
        (COUNTER_LIMIT - 10, 11),
        (1, COUNTER_LIMIT),
        (-COUNTER_LIMIT, -1),
        (-COUNTER_LIMIT, -COUNTER_LIMIT),
        (-COUNTER_LIMIT + 10, -11),
        (-1, -COUNTER_LIMIT),
    ];
    let mut scene = Scene::created(subject, &[]).await;
    for (start, delta) in steps {
        let start = Bytes::from(start.to_string());
        let batch = scene.batch().set("n", start.clone());
        done(scene.commit(&batch).await);
        let before = scene.snapshot().await;
        let batch = scene.batch().increment("n", delta);
        assert_eq!(not_a_counter(scene.commit(&batch).await), [(0, Some(start))], "{delta}");
        scene.assert_unchanged(&before).await;
    }
    Ok(())
}

/// An increment beyond eighteen digits is refused, also where the sum would be within.
pub(super) async fn increments_beyond_the_limit(subject: &dyn Subject) -> Outcome {
    let minus = Bytes::from((-COUNTER_LIMIT).to_string());
    let plus = Bytes::from(COUNTER_LIMIT.to_string());
    let mut scene = Scene::created(subject, &[("zero", "0")]).await;
    let batch = scene.batch().set("minus", minus.clone()).set("plus", plus.clone());
    done(scene.commit(&batch).await);
    let before = scene.snapshot().await;
    for delta in [COUNTER_LIMIT + 1, -COUNTER_LIMIT - 1, i64::MAX, i64::MIN, i64::MIN + 1] {
        let batch = scene
            .batch()
            .increment("absent", delta)
            .increment("zero", delta)
            .increment("minus", delta)
            .increment("plus", delta);
        let mut refused = not_a_counter(scene.commit(&batch).await);
        refused.sort_by_key(|(place, _)| *place);
        let all = [(0, None), (1, Some(bytes("0"))), (2, Some(minus.clone())), (3, Some(plus.clone()))];
        assert_eq!(refused, all, "{delta}");
        scene.assert_unchanged(&before).await;
    }
    Ok(())
}

/// A counter has one form: `0`, or digits that do not start with 0, with a minus where it is negative.
pub(super) async fn texts_that_are_no_counters(subject: &dyn Subject) -> Outcome {
    let texts: [&[u8]; 40] = [
        b"",
        b" ",
        b"-",
        b"+",
        b"-0",
        b"00",
        b"01",
        b"-01",
        b"+1",
        b"+0",
        b" 1",
        b"1 ",
        b"1\n",
        b"1\0",
        b"\x001",
        b"1.5",
        b"1.0",
        b"1.",
        b".5",
        b"1e3",
        b"1E3",
        b"0x10",
        b"--1",
        b"1-",
        b"1_000",
        b"1,000",
        b"inf",
        b"nan",
        b"nil",
        b"true",
        b"abc",
        b"\xFF",
        "١".as_bytes(),
        "１".as_bytes(),
        b"1000000000000000000",
        b"-1000000000000000000",
        b"9223372036854775807",
        b"-9223372036854775808",
        b"9223372036854775808",
        b"99999999999999999999999999999999",
    ];
    let mut scene = Scene::created(subject, &[]).await;
    for text in texts {
        let text = Bytes::from_static(text);
        let batch = scene.batch().set("n", text.clone());
        done(scene.commit(&batch).await);
        let before = scene.snapshot().await;
        for delta in [1, 0, -1] {
            let batch = scene.batch().increment("n", delta);
            assert_eq!(not_a_counter(scene.commit(&batch).await), [(0, Some(text.clone()))], "{text:?} + {delta}");
        }
        scene.assert_unchanged(&before).await;
    }
    Ok(())
}

/// A batch with an attribute that cannot be incremented writes nothing at all, though it comes last.
pub(super) async fn not_a_counter_writes_nothing(subject: &dyn Subject) -> Outcome {
    let attributes = [("a", "1"), ("b", "2"), ("n", "3"), ("m", "4"), ("c", "5"), ("text", "x"), ("float", "1.5")];
    let mut scene = Scene::created(subject, &attributes).await;
    let before = scene.snapshot().await;
    let batch = scene
        .batch()
        .set("a", "changed")
        .remove("b")
        .increment("n", 1)
        .increment("new", 1)
        .increment("m", 1)
        .replace("c", Some("5"), Some("changed"))
        .increment("text", 1);
    let batch = Commit { idle_timeout: Some(Some(LIFE)), time_to_live: LIFE / 2, ..batch };
    assert_eq!(not_a_counter(scene.commit(&batch).await), [(6, Some(bytes("x")))]);
    scene.assert_unchanged(&before).await;

    let batch = scene.batch().increment("float", 1).increment("n", 1).increment("text", 1);
    let mut refused = not_a_counter(scene.commit(&batch).await);
    refused.sort_by_key(|(place, _)| *place);
    assert_eq!(refused, [(0, Some(bytes("1.5"))), (2, Some(bytes("x")))]);
    scene.assert_unchanged(&before).await;
    Ok(())
}
