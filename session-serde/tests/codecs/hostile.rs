//! Bytes that no serializer wrote: random ones, and valid ones with faults.

use std::time::{Duration, Instant};

use session_core::SessionSerializer;
use session_serde::{Codec, MessagePack, Postcard};

use crate::body;
use crate::random::{Random, factor};
use crate::types;

/// One decoding as all sorts of types; far more than it takes, on a machine that has other things to do.
const LONGEST: Duration = Duration::from_secs(10);

fn decode(codec: Codec, bytes: &[u8], what: &str) {
    let start = Instant::now();
    body::decode(codec, bytes);
    assert!(start.elapsed() < LONGEST, "{what}: {bytes:x?}");
}

/// Values as every codec wrote them.
fn valid(codec: Codec) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    macro_rules! encoded {
        ($($value:expr),* $(,)?) => {$(
            let mut bytes = Vec::new();
            codec.encode(&$value, &mut bytes).unwrap();
            all.push(bytes);
        )*};
    }
    encoded!(
        (),
        true,
        -300_i16,
        u64::MAX,
        0.1,
        'ß',
        "text",
        serde_bytes::Bytes::new(b"\x00\xFF"),
        vec![1_u8, 200],
        (1_i16, Some("x"), 70_000_u32),
        vec![(); 5],
        types::user(),
        types::cart(),
        types::shapes(),
        types::tree(),
        types::chain(),
        types::untagged(),
    );
    all
}

/// Changes that faulty memory, cut connections and attackers make.
fn damage(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.byte(),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.byte()),
            4 if at < bytes.len() => drop(bytes.remove(at)),
            // Lengths.
            5 if at < bytes.len() => bytes[at] = [0, 1, 0x7F, 0x80, 0xDD, 0xDF, 0xFE, 0xFF][random.below(8)],
            6 => drop(bytes.splice(at..at, [0xFF; 9])),
            7 => drop(bytes.splice(at.., other[random.below(other.len() + 1)..].iter().copied())),
            _ => {}
        }
    }
}

#[test]
fn random_bytes() {
    let mut random = Random::new();
    for round in 0..3_000 * factor() {
        let mut bytes: Vec<u8> = (0..random.below(64)).map(|_| random.byte()).collect();
        for tag in [random.byte(), b'[', MessagePack::TAG, Postcard::TAG] {
            bytes.insert(0, tag);
            decode(Codec::ALL[round % 3], &bytes, &random.seed());
            bytes.remove(0);
        }
    }
}

#[test]
fn damaged_values() {
    let mut random = Random::new();
    for codec in Codec::ALL {
        let valid = valid(*codec);
        for bytes in &valid {
            decode(*codec, bytes, "as it was written");
        }
        for _ in 0..3_000 * factor() {
            let mut bytes = valid[random.below(valid.len())].clone();
            let other = &valid[random.below(valid.len())];
            damage(&mut random, &mut bytes, other);
            decode(*codec, &bytes, &random.seed());
        }
    }
}

#[test]
fn the_same_bytes_again_and_again() {
    let mut random = Random::new();
    for tag in [b' ', MessagePack::TAG, Postcard::TAG] {
        for _ in 0..8 * factor() {
            let piece: Vec<u8> = (0..1 + random.below(4)).map(|_| random.byte()).collect();
            let bytes = [vec![tag], piece.repeat(50_000 / piece.len())].concat();
            decode(Codec::ALL[0], &bytes, &random.seed());
        }
    }
}
