//! What was written is read back, byte for byte.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::scene::{Build, LIFE, Scene, assert_life, attributes, done, expected};
use super::{Outcome, Subject};
use crate::key::SessionKey;
use crate::provider::{Checked, Header, Loaded};

/// A key that nobody used reads as absent, and reading it makes nothing.
pub(super) async fn absent_key(subject: &dyn Subject) -> Outcome {
    let scene = Scene::unused(subject);
    for _ in 0..3 {
        assert_eq!(scene.load().await, Loaded::Absent);
        assert_eq!(scene.check().await, Checked::Missing);
    }
    Ok(())
}

/// A new session has version 1, the header and the attributes it was given, and the life it was given.
pub(super) async fn session_reads_back_as_written(subject: &dyn Subject) -> Outcome {
    let mut scene = Scene::unused(subject);
    let since = Instant::now();
    let creation = scene.creation().set("user", "\"ann\"").set("cart", "[1,2]");
    let answer = done(scene.commit(&creation).await);
    assert_eq!(answer.found, 0);
    assert!(answer.counters.is_empty());
    assert_life(answer.remaining, LIFE, since);

    let session = scene.session().await;
    let Header { generation, version, fingerprint, created: _, deadline, idle_timeout } = session.header;
    assert_eq!((generation, version, fingerprint), (scene.generation, 1, scene.fingerprint));
    assert_eq!((deadline, idle_timeout), (None, None));
    assert_eq!(attributes(&session), expected([("user", "\"ann\""), ("cart", "[1,2]")]));
    assert_life(session.remaining, LIFE, since);
    assert_eq!(session.written, Some(scene.sequence));

    let Checked::Present { generation, version, remaining } = scene.check().await else {
        panic!("the session is missing to a check");
    };
    assert_eq!((generation, version), (scene.generation, 1));
    assert_life(remaining, LIFE, since);
    Ok(())
}

/// Loading and checking change nothing, and do not prolong a session.
pub(super) async fn reading_changes_nothing(subject: &dyn Subject) -> Outcome {
    let scene = Scene::created(subject, &[("a", "1"), ("b", "2")]).await;
    let before = scene.snapshot().await;
    let mut remaining = scene.session().await.remaining;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let loaded = scene.session().await.remaining;
        assert!(loaded < remaining, "{loaded:?} remain, {remaining:?} before");
        let Checked::Present { remaining: checked, .. } = scene.check().await else {
            panic!("the session is missing to a check");
        };
        assert!(checked <= loaded, "{checked:?} remain, {loaded:?} before");
        remaining = checked;
    }
    scene.assert_unchanged(&before).await;
    Ok(())
}

/// Values are bytes: none is changed, cut, or taken for something else.
pub(super) async fn values_are_kept_byte_for_byte(subject: &dyn Subject) -> Outcome {
    let every_byte: Vec<u8> = (0..=255).collect();
    let values: [(&str, &[u8]); 12] = [
        ("empty", b""),
        ("every byte", &every_byte),
        ("zero", b"\0"),
        ("zero inside", b"a\0b"),
        ("line ends", b"\r\n\r\n"),
        ("spaces", b"  a  "),
        ("not utf-8", b"\xFF\xFE\xC0\x80"),
        ("utf-8", "größe 名前 🦀".as_bytes()),
        ("number", b"007"),
        ("float", b"1.50"),
        ("nil", b"nil"),
        ("reply", b"$-1\r\n"),
    ];
    let mut scene = Scene::unused(subject);
    let creation = values.iter().fold(scene.creation(), |batch, (name, value)| batch.set(name, value.to_vec()));
    done(scene.commit(&creation).await);
    let loaded = scene.attributes().await;
    assert_eq!(loaded.len(), values.len());
    for (name, value) in values {
        assert_eq!(loaded.get(name).map(Bytes::as_ref), Some(value), "{name}");
    }
    Ok(())
}

/// Names are compared byte for byte, and none is taken for a field of the store's own.
pub(super) async fn names_are_kept_byte_for_byte(subject: &dyn Subject) -> Outcome {
    let longest = "n".repeat(256);
    let names = [
        "name",
        "Name",
        "name ",
        " name",
        "n",
        "größe",
        "名前",
        "🦀",
        "a b",
        "a\"b'c",
        "a\\b",
        "a\r\nb",
        "a\0b",
        "0",
        "1",
        "-",
        "*",
        "[a]",
        "{a}",
        "g",
        "v",
        "w",
        "version",
        "generation",
        "a@b",
        &longest,
        // The same letter as one code point and as two.
        "\u{e9}",
        "e\u{301}",
    ];
    let mut scene = Scene::unused(subject);
    let creation = names.iter().fold(scene.creation(), |batch, name| batch.set(name, format!("value of {name}")));
    done(scene.commit(&creation).await);
    let loaded = scene.attributes().await;
    assert_eq!(loaded.len(), names.len());
    for name in names {
        assert_eq!(loaded.get(name), Some(&Bytes::from(format!("value of {name}"))), "{name:?}");
    }
    let removal = scene.batch().remove("Name").remove("e\u{301}");
    done(scene.commit(&removal).await);
    let loaded = scene.attributes().await;
    assert_eq!(loaded.len(), names.len() - 2);
    assert!(loaded.contains_key("name") && loaded.contains_key("\u{e9}"));
    Ok(())
}

/// A thousand attributes are written, read and removed in one batch each.
pub(super) async fn thousand_attributes(subject: &dyn Subject) -> Outcome {
    let names: Vec<String> = (0..1_000).map(|number| format!("attribute {number}")).collect();
    let mut scene = Scene::unused(subject);
    let creation = names.iter().fold(scene.creation(), |batch, name| batch.set(name, name.clone()));
    done(scene.commit(&creation).await);
    assert_eq!(scene.attributes().await, expected(names.iter().map(|name| (name.as_str(), name.as_str()))));

    let counting = names.iter().fold(scene.batch(), |batch, name| batch.increment(&format!("count of {name}"), 7));
    let answer = done(scene.commit(&counting).await);
    assert_eq!(answer.counters, vec![Bytes::from_static(b"7"); 1_000]);
    assert_eq!(scene.attributes().await.len(), 2_000);

    let replacing = names.iter().fold(scene.batch(), |batch, name| batch.replace(name, Some(name), None));
    done(scene.commit(&replacing).await);
    assert_eq!(scene.attributes().await.len(), 1_000);

    let removal = names.iter().fold(scene.batch(), |batch, name| batch.remove(&format!("count of {name}")));
    done(scene.commit(&removal).await);
    assert_eq!(scene.attributes().await.len(), 0);
    Ok(())
}

/// A value of one mebibyte (or of the longest the provider takes) is kept whole.
pub(super) async fn large_value(subject: &dyn Subject) -> Outcome {
    let length = subject.provider().capabilities().max_value_bytes.min(1 << 20);
    let value: Bytes = (0..length).map(|place| (place * 31 + place / 251) as u8).collect();
    let mut scene = Scene::unused(subject);
    let creation = scene.creation().set("large", value.clone()).set("small", "1");
    done(scene.commit(&creation).await);
    let loaded = scene.attributes().await;
    // Compared so that a failure does not print it.
    assert!(loaded["large"] == value, "{} bytes of {length} came back, or others", loaded["large"].len());
    assert_eq!(loaded["small"], "1");
    Ok(())
}

/// Keys are compared byte for byte.
pub(super) async fn keys_are_compared_byte_for_byte(subject: &dyn Subject) -> Outcome {
    let key = subject.unused_key();
    let text = key.as_bytes();
    let case = text.iter().position(u8::is_ascii_alphabetic).expect("a key with a letter, as asked for");
    let mut other_case = text.to_vec();
    other_case[case] ^= 0x20;
    let keys: Vec<Vec<u8>> = vec![
        text.to_vec(),
        other_case,
        [text, b" "].concat(),
        [text, b"0"].concat(),
        [text, b"*"].concat(),
        [text, b"\xFF"].concat(),
        [text, b"\xFE"].concat(),
        [text, "é".as_bytes()].concat(),
        text[..text.len() - 1].to_vec(),
    ];
    let mut scenes = Vec::new();
    for key in &keys {
        let mut scene = Scene::at(subject, SessionKey::new(key.clone()).expect("a key"));
        scene.assert_absent().await;
        let creation = scene.creation().set("number", scenes.len().to_string());
        done(scene.commit(&creation).await);
        scenes.push(scene);
    }
    for (number, scene) in scenes.iter().enumerate() {
        assert_eq!(scene.session().await.header.generation, scene.generation);
        assert_eq!(scene.attributes().await["number"], number.to_string());
    }
    for (number, scene) in scenes.iter().enumerate() {
        let _ = scene.destroy().await;
        scene.assert_absent().await;
        for other in &scenes[number + 1..] {
            assert_eq!(other.version().await, 1);
        }
    }
    Ok(())
}

/// A key as long as the provider says it takes is taken whole.
pub(super) async fn longest_key(subject: &dyn Subject) -> Outcome {
    let length = subject.provider().capabilities().max_key_bytes.min(SessionKey::MAX_LENGTH);
    let mut key = subject.unused_key().as_bytes().to_vec();
    key.resize(length, b'k');
    let mut first = Scene::at(subject, SessionKey::new(key.clone()).expect("a key"));
    key[length - 1] = b'l';
    let mut second = Scene::at(subject, SessionKey::new(key).expect("a key"));
    for scene in [&mut first, &mut second] {
        let creation = scene.creation();
        done(scene.commit(&creation).await);
    }
    for scene in [first, second] {
        assert_eq!(scene.session().await.header.generation, scene.generation);
    }
    Ok(())
}
