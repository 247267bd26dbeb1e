//! Depth, length and number of elements: what is written can be read, and what a stranger wrote does no harm.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::time::{Duration, Instant};

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use session_core::SessionSerializer;
use session_serde::{Codec, Json, MessagePack, Postcard};

/// The same for all.
const MAX_DEPTH: usize = 127;

/// Recursive types, each by another construction of serde's.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct List(Option<Box<List>>, u8);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Named {
    next: Option<Box<Named>>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Tree(Vec<Tree>);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Directory(BTreeMap<String, Directory>);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Chain {
    End,
    Wrap(Box<Chain>),
    Link { next: Box<Chain> },
    Pair(Box<Chain>, u8),
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Peano(Option<Box<Peano>>);

fn list(length: usize) -> List {
    (0..length).fold(List(None, 7), |list, _| List(Some(Box::new(list)), 7))
}

fn named(length: usize) -> Named {
    (0..length).fold(Named { next: None }, |next, _| Named { next: Some(Box::new(next)) })
}

fn tree(length: usize) -> Tree {
    (0..length).fold(Tree(vec![]), |tree, _| Tree(vec![tree]))
}

fn directory(length: usize) -> Directory {
    (0..length).fold(Directory(BTreeMap::new()), |inner, _| Directory(BTreeMap::from([("x".to_owned(), inner)])))
}

fn chain(length: usize, link: fn(Box<Chain>) -> Chain) -> Chain {
    (0..length).fold(Chain::End, |chain, _| link(Box::new(chain)))
}

/// Longer and longer values: those that are written can be read, all others leave the buffer as it was. Answers how
/// long they may be.
fn longest<T: Serialize + DeserializeOwned + PartialEq + Debug>(codec: Codec, make: impl Fn(usize) -> T) -> usize {
    let mut longest = None;
    for length in 0..=2 * MAX_DEPTH {
        let value = make(length);
        let mut bytes = b"before".to_vec();
        match codec.encode(&value, &mut bytes) {
            Ok(()) => {
                assert_eq!(codec.decode::<T>(&bytes[6..]).unwrap(), value);
                if codec.is_self_describing() {
                    codec.decode::<IgnoredAny>(&bytes[6..]).unwrap();
                }
                assert_eq!(longest.map_or(0, |longest| longest + 1), length, "a longer one is accepted");
                longest = Some(length);
            }
            Err(error) => {
                assert_eq!(bytes, b"before");
                assert_eq!(error.to_string(), "nested deeper than 127 levels");
            }
        }
    }
    longest.unwrap()
}

#[test]
fn what_is_written_can_be_read_up_to_the_limit_of_levels() {
    for codec in Codec::ALL.iter().copied() {
        let json = codec == Codec::from(Json);
        // JSON shows no `Some`; a variant with content is a level in all of them, and so is what is in it.
        assert_eq!(longest(codec, list), if json { MAX_DEPTH - 1 } else { MAX_DEPTH / 2 }, "{}", codec.name());
        assert_eq!(longest(codec, named), if json { MAX_DEPTH - 1 } else { MAX_DEPTH / 2 }, "{}", codec.name());
        assert_eq!(longest(codec, tree), MAX_DEPTH - 1, "{}", codec.name());
        assert_eq!(longest(codec, directory), MAX_DEPTH - 1, "{}", codec.name());
        assert_eq!(longest(codec, |length| chain(length, Chain::Wrap)), MAX_DEPTH, "{}", codec.name());
        let link = |length| chain(length, |next| Chain::Link { next });
        assert_eq!(longest(codec, link), MAX_DEPTH / 2, "{}", codec.name());
        let pair = |length| chain(length, |next| Chain::Pair(next, 7));
        assert_eq!(longest(codec, pair), MAX_DEPTH / 2, "{}", codec.name());
    }
}

fn bytes_of<T: Serialize + ?Sized>(codec: Codec, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(value, &mut bytes).unwrap();
    bytes
}

/// On a thread whose stack is as small as that of a runtime's worker.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

/// A tag, then the same bytes again and again.
fn repeated(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![tag], bytes.repeat(1_000_000 / bytes.len())].concat()
}

#[track_caller]
fn refused<T: DeserializeOwned>(codec: Codec, bytes: &[u8]) {
    let start = Instant::now();
    assert!(codec.decode::<T>(bytes).is_err());
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
}

#[test]
fn hostile_depth_is_an_error() {
    on_a_small_stack(|| {
        let codec = Codec::from(Json);
        refused::<Tree>(codec, &repeated(b' ', b"["));
        refused::<Named>(codec, &repeated(b' ', br#"{"next":"#));
        refused::<Chain>(codec, &repeated(b' ', br#"{"Wrap":"#));
        refused::<IgnoredAny>(codec, &repeated(b' ', b"["));

        let tag = MessagePack::TAG;
        refused::<Tree>(codec, &repeated(tag, b"\x91"));
        refused::<List>(codec, &repeated(tag, b"\x92"));
        refused::<Named>(codec, &repeated(tag, b"\x81\xA4next"));
        refused::<Directory>(codec, &repeated(tag, b"\x81\xA1x"));
        refused::<Chain>(codec, &repeated(tag, b"\x81\xA4Wrap"));
        refused::<Chain>(codec, &repeated(tag, b"\x81\x01"));
        refused::<Chain>(codec, &repeated(tag, b"\x91\x01"));
        refused::<Chain>(codec, &repeated(tag, b"\x81\xA4Link\x81\xA4next"));
        refused::<IgnoredAny>(codec, &repeated(tag, b"\x91"));
        refused::<Peano>(codec, &[tag, 1]);

        let tag = Postcard::TAG;
        refused::<Tree>(codec, &repeated(tag, b"\x01"));
        refused::<List>(codec, &repeated(tag, b"\x01"));
        refused::<Named>(codec, &repeated(tag, b"\x01"));
        refused::<Peano>(codec, &repeated(tag, b"\x01"));
        refused::<Directory>(codec, &repeated(tag, b"\x01\x01x"));
        refused::<Chain>(codec, &repeated(tag, b"\x01"));
        refused::<Chain>(codec, &repeated(tag, b"\x02"));
        refused::<Chain>(codec, &repeated(tag, b"\x03"));
    });
}

#[test]
fn hostile_lengths_are_an_error() {
    // 2^63 elements, in ten bytes; 2^32 − 1 in five.
    let postcard = b"\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F";
    let codec = Codec::from(Postcard);
    refused::<Vec<()>>(codec, postcard);
    refused::<HashSet<()>>(codec, postcard);
    refused::<Vec<[u8; 0]>>(codec, postcard);
    refused::<BTreeMap<(), ()>>(codec, postcard);
    refused::<Vec<u64>>(codec, postcard);
    refused::<String>(codec, postcard);
    // A thousand lists of a thousand each, and so on.
    refused::<Vec<Vec<()>>>(codec, &[&b"\x02\xE8\x07"[..], &b"\xE8\x07".repeat(1_000)].concat());

    for (marker, zeros) in [(b"\xDD\xFF\xFF\xFF\xFF", 0), (b"\xDF\xFF\xFF\xFF\xFF", 0), (b"\xDD\xFF\xFF\xFF\xFF", 9)] {
        let bytes = [&[MessagePack::TAG][..], marker, &vec![0xC0; zeros]].concat();
        refused::<Vec<()>>(codec, &bytes);
        refused::<BTreeMap<(), ()>>(codec, &bytes);
        refused::<IgnoredAny>(codec, &bytes);
    }
}

#[test]
fn lists_of_nothing_are_limited_alike_on_both_sides() {
    for codec in Codec::ALL {
        for elements in [0, 1, 1_000, 1_024, 1_026] {
            let mut bytes = Vec::new();
            codec.encode(&vec![(); elements], &mut bytes).unwrap();
            assert_eq!(codec.decode::<Vec<()>>(&bytes).unwrap().len(), elements, "{}", codec.name());
        }
    }
    let codec = Codec::from(Postcard);
    let mut bytes = b"before".to_vec();
    // The length takes two bytes.
    for elements in [1_027, 100_000] {
        let error = codec.encode(&vec![(); elements], &mut bytes).unwrap_err();
        assert_eq!(error.to_string(), "lists of far more elements than the value has bytes");
        assert_eq!(bytes, b"before");
    }
    assert!(codec.decode::<Vec<()>>(b"\x02\x82\x08").is_ok());
    assert!(codec.decode::<Vec<()>>(b"\x02\x83\x08").is_err());
    // Tuples and structs have no length of their own, whatever they hold.
    let wide = vec![((), 1_u8, ((), ()), [(); 3]); 50_000];
    codec.encode(&wide, &mut bytes).unwrap();
    assert_eq!(codec.decode::<Vec<((), u8, ((), ()), [(); 3])>>(&bytes[6..]).unwrap(), wide);
}

#[test]
fn values_of_16_mib_and_no_more() {
    for codec in Codec::ALL {
        let mut bytes = b"before".to_vec();
        // Quotes; tag, marker and four bytes of length; tag and four bytes of length.
        let around = match codec.name() {
            "json" => 2,
            "msgpack" => 6,
            _ => 5,
        };
        let most = (16 << 20) - around;
        codec.encode(&"x".repeat(most), &mut bytes).unwrap();
        assert_eq!(bytes.len(), 6 + (16 << 20), "{}", codec.name());
        assert_eq!(codec.decode::<&str>(&bytes[6..]).unwrap().len(), most);
        bytes.truncate(6);
        let error = codec.encode(&"x".repeat(most + 1), &mut bytes).unwrap_err();
        assert_eq!(error.to_string(), "longer than 16 MiB");
        assert_eq!(bytes, b"before");
        let too_long = [&bytes_of(*codec, "")[..1], &vec![b' '; 16 << 20]].concat();
        assert_eq!(codec.decode::<IgnoredAny>(&too_long).unwrap_err().to_string(), "longer than 16 MiB");
    }
}
