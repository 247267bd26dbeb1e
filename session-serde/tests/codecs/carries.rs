//! What each serializer carries, and what it does not.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize};
use session_core::{SerializerError, SessionSerializer};
use session_serde::{Codec, Json, MessagePack, Postcard, Value};

use crate::types;

fn encode<T: Serialize + ?Sized>(codec: impl SessionSerializer, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(value, &mut bytes).unwrap();
    bytes
}

/// There and back; with every codec, whoever reads it.
#[track_caller]
fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(codec: Codec, value: &T) {
    let bytes = encode(codec, value);
    for reader in Codec::ALL {
        assert_eq!(&reader.decode::<T>(&bytes).unwrap(), value, "{} read by {}", codec.name(), reader.name());
    }
}

#[test]
fn what_all_of_them_carry() {
    for codec in Codec::ALL.iter().copied() {
        round_trip(codec, &types::user());
        round_trip(codec, &types::cart());
        round_trip(codec, &types::shapes());
        round_trip(codec, &types::tree());
        round_trip(codec, &types::chain());
        round_trip(codec, &());
        round_trip(codec, &String::new());
        round_trip(codec, &"x".repeat(70_000));
        round_trip(codec, &vec![0.1, -0.0, f64::MIN_POSITIVE, f64::MAX]);
        round_trip(codec, &BTreeMap::from([(String::new(), vec![1_u8])]));
        for integer in [0, 1, 31, 32, 127, 128, 255, 256, 65_535, 65_536, 1 << 31, 1 << 32, i64::MAX] {
            round_trip(codec, &integer);
            round_trip(codec, &-integer);
        }
        for length in [0, 1, 15, 16, 31, 32, 127, 128, 255, 256, 65_535, 65_536] {
            round_trip(codec, &"x".repeat(length));
            round_trip(codec, &vec![7_u8; length]);
            round_trip(codec, &serde_bytes::ByteBuf::from(vec![200; length]));
        }
    }
}

#[test]
fn what_describes_itself_carries_more() {
    for codec in [Codec::from(Json), Codec::from(MessagePack)] {
        round_trip(codec, &types::untagged());
        round_trip(codec, &types::flattened());
        round_trip(codec, &types::InternallyTagged::Point { x: 1, y: -1 });
        round_trip(codec, &types::InternallyTagged::Nothing);
        round_trip(codec, &types::AdjacentlyTagged::Pair(1, "x".to_owned()));
        round_trip(codec, &types::AdjacentlyTagged::Nothing);
        round_trip(codec, &types::Skipping { name: None, age: 3 });
        let shown = codec.decode::<Value>(&encode(codec, &types::flattened())).unwrap().to_string();
        assert_eq!(shown, r#"{"id": 9, "article": "tea", "quantity": 2, "cents": 350, "colour": "green"}"#);
    }
    // Postcard carries none of it: it cannot be written, or what was written cannot be read.
    fn not_carried<T: Serialize + DeserializeOwned>(value: &T) {
        let mut bytes = b"before".to_vec();
        match Postcard.encode(value, &mut bytes) {
            Ok(()) => assert!(Postcard.decode::<T>(&bytes[6..]).is_err()),
            Err(_) => assert_eq!(bytes, b"before"),
        }
    }
    not_carried(&types::untagged());
    not_carried(&types::flattened());
    not_carried(&types::InternallyTagged::Nothing);
    not_carried(&types::AdjacentlyTagged::Nothing);
    not_carried(&types::Skipping { name: None, age: 3 });
    not_carried(&Value::Null);
    assert!(Postcard.decode::<IgnoredAny>(&encode(Postcard, "x")).is_err());
}

#[test]
fn what_gets_lost() {
    for codec in Codec::ALL.iter().copied() {
        let name = codec.name();
        let nested = codec.decode::<Option<Option<u8>>>(&encode(codec, &Some(None::<u8>))).unwrap();
        assert_eq!(nested, if name == "postcard" { Some(None) } else { None }, "{name}");
        let infinite = codec.decode::<Option<f64>>(&encode(codec, &Some(f64::INFINITY))).unwrap();
        assert_eq!(infinite, if name == "json" { None } else { Some(f64::INFINITY) }, "{name}");
        // Keys that are no text.
        let by_pair = BTreeMap::from([((1, 2), 3)]);
        assert_eq!(codec.encode(&by_pair, &mut Vec::new()).is_err(), name == "json", "{name}");
    }
}

#[test]
fn sizes() {
    let size =
        |codec: Codec| (encode(codec, &types::cart()).len(), encode(codec, serde_bytes::Bytes::new(&[200; 32])).len());
    assert_eq!(size(Codec::from(Json)), (577, 129));
    assert_eq!(size(Codec::from(MessagePack)), (438, 35));
    assert_eq!(size(Codec::from(Postcard)), (172, 34));
}

#[test]
fn values_are_borrowed() {
    for codec in Codec::ALL {
        let bytes = encode(*codec, &("article", "tea"));
        let (_, tea): (&str, &str) = codec.decode(&bytes).unwrap();
        assert!(bytes.as_ptr_range().contains(&tea.as_ptr()), "{}", codec.name());
        if codec.name() != "json" {
            let bytes = encode(*codec, serde_bytes::Bytes::new(b"\x00\xFF"));
            assert_eq!(codec.decode::<&[u8]>(&bytes).unwrap(), b"\x00\xFF");
        }
    }
}

#[test]
fn everything_is_consumed() {
    fn check<T: Serialize + DeserializeOwned>(codec: Codec, value: &T) {
        let whole = encode(codec, value);
        assert!(codec.decode::<T>(&whole).is_ok());
        for trailing in [&[0][..], &[1], b"x", b"\xC0", b" 1", &whole] {
            let bytes = [&whole, trailing].concat();
            let error = codec.decode::<T>(&bytes).err().unwrap_or_else(|| panic!("{} {bytes:x?}", codec.name()));
            if codec.name() != "json" {
                assert!(error.to_string().starts_with("something follows"), "{error}");
            }
        }
        for length in 0..whole.len() {
            assert!(codec.decode::<T>(&whole[..length]).is_err(), "{} cut at {length}", codec.name());
        }
    }
    for codec in Codec::ALL.iter().copied() {
        check(codec, &types::user());
        check(codec, &types::cart());
        check(codec, &types::chain());
        check(codec, &Some("text".to_owned()));
        check(codec, &types::Marker);
        check(codec, &None::<u8>);
        check(codec, &false);
    }
}

#[test]
fn the_buffer_is_appended_to_and_restored() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("hunter2"))
        }
    }
    for codec in Codec::ALL {
        let mut bytes = b"before".to_vec();
        codec.encode(&1_u8, &mut bytes).unwrap();
        assert_eq!(codec.decode::<u8>(&bytes[6..]).unwrap(), 1);
        let before = bytes.clone();
        let error = codec.encode(&("half of it", Refuses), &mut bytes).unwrap_err();
        assert_eq!(error.to_string(), "the type refuses to be encoded");
        assert_eq!(bytes, before);
        // A key that JSON cannot have.
        if codec.encode(&BTreeMap::from([((1, 2), 3)]), &mut bytes).is_err() {
            assert_eq!(bytes, before);
        }
    }
}

#[test]
fn equal_values_have_equal_bytes() {
    for codec in Codec::ALL {
        assert_eq!(encode(*codec, &types::shapes()), encode(*codec, &types::shapes()));
        let (mut one, mut other) = (BTreeMap::new(), BTreeMap::new());
        for number in 0..100 {
            one.insert(number, number);
            other.insert(99 - number, 99 - number);
        }
        assert_eq!(encode(*codec, &one), encode(*codec, &other));
    }
}

#[test]
fn only_integers_look_like_counters() {
    for codec in Codec::ALL {
        for bytes in [encode(*codec, "7"), encode(*codec, &["7"]), encode(*codec, &'7'), encode(*codec, &7.0)] {
            assert!(!bytes.iter().all(u8::is_ascii_digit), "{} {bytes:?}", codec.name());
        }
    }
}

#[test]
fn errors_contain_nothing_of_the_value() {
    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Strict {
        number: u8,
        kind: Kind,
    }
    #[derive(Deserialize, Debug)]
    enum Kind {
        A,
    }
    #[derive(Deserialize, Debug)]
    struct Picky(
        #[serde(deserialize_with = "refuse")]
        #[allow(dead_code)]
        String,
    );
    fn refuse<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Err(serde::de::Error::custom(String::deserialize(deserializer)?))
    }
    fn check<T: DeserializeOwned + Debug>(codec: Codec, bytes: &[u8]) {
        let error = codec.decode::<T>(bytes).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("4711"), "{shown}");
    }
    for codec in Codec::ALL.iter().copied() {
        let secret = "hunter2".to_owned();
        for bytes in [
            encode(codec, &secret),
            encode(codec, &4711),
            encode(codec, &BTreeMap::from([("number", &secret)])),
            encode(codec, &BTreeMap::from([(&secret, 1)])),
            encode(codec, &BTreeMap::from([("kind", &secret)])),
            encode(codec, &("hunter2", "hunter2")),
        ] {
            check::<Strict>(codec, &bytes);
            check::<Kind>(codec, &bytes);
            check::<u8>(codec, &bytes);
            check::<Picky>(codec, &bytes);
        }
    }
}

/// What a single serializer says of bytes that it did not write.
#[test]
fn a_single_serializer_reads_only_what_it_wrote() {
    fn refused(codec: impl SessionSerializer, bytes: &[u8]) -> String {
        // A type that would take anything.
        let error: SerializerError = codec.decode::<Option<IgnoredAny>>(bytes).unwrap_err();
        error.to_string()
    }
    let (json, message_pack, postcard) = (encode(Json, "x"), encode(MessagePack, "x"), encode(Postcard, "x"));
    assert_eq!(refused(Json, &message_pack), "written by MessagePack, which JSON alone does not read");
    assert_eq!(refused(Json, &postcard), "written by postcard, which JSON alone does not read");
    assert_eq!(refused(MessagePack, &postcard), "written by postcard, which MessagePack alone does not read");
    assert_eq!(refused(Postcard, &message_pack), "written by MessagePack, which postcard alone does not read");
    let untagged = "written by JSON or another serializer without a tag, which MessagePack alone does not read";
    assert_eq!(refused(MessagePack, &json), untagged);
    assert_eq!(refused(Postcard, &json), untagged.replace("MessagePack", "postcard"));
}

#[test]
fn an_unknown_tag_is_an_error_and_never_absent() {
    let known = [MessagePack::TAG, Postcard::TAG];
    for tag in 0..=u8::MAX {
        // What follows would be a valid value of any of them, or nothing.
        for bytes in [vec![tag], vec![tag, 0xC0]] {
            let untagged = matches!(tag, 0x09 | 0x0A | 0x0D | 0x20..=0x7E);
            if known.contains(&tag) || untagged {
                continue;
            }
            for codec in Codec::ALL {
                let error = codec.decode::<Option<()>>(&bytes).unwrap_err();
                assert!(error.to_string().contains("whose tag is unknown"), "{tag:#x}: {error}");
            }
            for error in [
                Json.decode::<Option<()>>(&bytes).unwrap_err(),
                MessagePack.decode::<Option<()>>(&bytes).unwrap_err(),
                Postcard.decode::<Option<()>>(&bytes).unwrap_err(),
            ] {
                assert!(error.to_string().contains("whose tag is unknown"), "{tag:#x}: {error}");
            }
        }
    }
    for codec in Codec::ALL {
        assert_eq!(codec.decode::<Option<()>>(b"").unwrap_err().to_string(), "there are no bytes");
    }
}

#[test]
fn bytes_tell_whether_they_describe_themselves() {
    for codec in Codec::ALL {
        assert!(codec.describes_itself(&encode(Json, "x")));
        assert!(codec.describes_itself(&encode(MessagePack, "x")));
        assert!(!codec.describes_itself(&encode(Postcard, "x")));
        assert!(!codec.describes_itself(b"\x80"));
        assert!(codec.describes_itself(&encode(*codec, "x")) == codec.is_self_describing());
    }
}
