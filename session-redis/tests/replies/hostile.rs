//! The same bodies as in the fuzz targets, with random bytes and with damaged replies.

use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use secret_watch::{assert_clean, watch};
use session_core::{Error, ErrorKind};
use tempfile::TempDir;
use test_support::{Random, soak_factor, test_seed};

use crate::body::{read_replies, through_the_transport};

/// What servers repeat of what they were asked.
const CANARY: &str = "canary-in-a-reply";

/// One input; far more than it takes, on a machine that has other things to do.
const LONGEST: Duration = Duration::from_secs(10);

/// What a Redis answers to the steps, and what it could be taken for.
fn genuine() -> Vec<Vec<u8>> {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let array = |texts: &[&str]| {
        let bulks: String = texts.iter().map(|text| bulk(text)).collect();
        format!("*{}\r\n{bulks}", texts.len())
    };
    let generation = "AAAAAAAAAAAAAAAAAAAAAA";
    let header = ["@g", generation, "@v", "7", "@f", generation, "@c", "1700000000123"];
    let session = [&header[..], &["cart", CANARY, "@w", " AAAAAAAAAAA:9:1700000000"]].concat();
    [
        array(&session) + ":60000\r\n",
        array(&["@t", ""]) + ":5000\r\n",
        "*0\r\n:-2\r\n".to_owned(),
        array(&[generation, "7"]) + ":60000\r\n",
        "*2\r\n$-1\r\n$-1\r\n:-2\r\n".to_owned(),
        format!("*5\r\n:1\r\n:6\r\n:60000\r\n{}{}", bulk("3"), bulk("-1")),
        format!("*4\r\n:2\r\n:60000\r\n{}$-1\r\n", bulk("3")),
        format!("*3\r\n:3\r\n:4\r\n{}", bulk(CANARY)),
        ":0\r\n".to_owned(),
        ":1\r\n".to_owned(),
        ":-1\r\n".to_owned(),
        "+OK\r\n".to_owned(),
        "-NOSCRIPT No matching script.\r\n".to_owned(),
        format!("-WRONGPASS {CANARY} is wrong\r\n"),
        format!("-ERR unknown command 'EVAL', with args beginning with: '{CANARY}'\r\n"),
        format!("-{CANARY}\r\n-{CANARY} {CANARY}\r\n"),
    ]
    .map(String::into_bytes)
    .into()
}

/// Lengths that are none, types that only later protocols have, texts without an end.
fn listed() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "*2147483647\r\n",
        "*9223372036854775807\r\n",
        "*99999999999999999999999999\r\n",
        "*-2\r\n",
        "*-9223372036854775808\r\n",
        "$536870912\r\n",
        "$9223372036854775807\r\n",
        "$18446744073709551615\r\n",
        "$-2\r\n",
        "$+5\r\nvalue\r\n",
        "$5\r\nval\r\n",
        "$5\r\nvalue!!",
        ":\r\n",
        ":9223372036854775808\r\n",
        ":-\r\n",
        "%1\r\n+a\r\n:1\r\n",
        "%4611686018427387904\r\n",
        "~2147483647\r\n",
        ">2147483647\r\n",
        ">2\r\n+invalidate\r\n*0\r\n",
        "|1\r\n+ttl\r\n:3600\r\n:1\r\n",
        "|9223372036854775807\r\n",
        "#t\r\n",
        ",nan\r\n",
        "(99999999999999999999999999999999999999\r\n",
        "=9223372036854775807\r\ntxt:",
        "=1\r\nt\r\n",
        "_\r\n",
        "!9223372036854775807\r\nERR",
        "+",
        "-",
        "\r\n",
        "\0",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "\x16\x03\x01\x00\x05hello",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    all.push(b"+".repeat(100_000));
    all.push(b"*1\r\n".repeat(100_000));
    all.push(b"*100\r\n".repeat(99));
    all.push([&b"*1000000\r\n"[..], &b":1\r\n".repeat(1_000)].concat());
    all.push(b"-ERR \xff\xfe\r\n".to_vec());
    all
}

fn damage(random: &mut Random, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.number() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.number() as u8),
            4 if at < bytes.len() => drop(bytes.remove(at)),
            // Types and lengths.
            5 if at < bytes.len() => bytes[at] = random.pick(b"*$:+-%~>|#,(=_!9\r\n"),
            6 => drop(bytes.splice(at..at, *b"99999")),
            _ => {
                let other = random.pick(others);
                bytes.splice(at.., other[random.below(other.len() + 1)..].iter().copied());
            }
        }
    }
}

/// How many threads and tasks have panicked, whether anybody waits for them or not.
fn panics() -> usize {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    static COUNTING: Once = Once::new();
    COUNTING.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            tell(info);
        }));
    });
    PANICS.load(Ordering::SeqCst)
}

/// Through the transport, at every step and with all manners.
fn ask(bytes: &[u8], first: u8, folder: &TempDir, what: &str) -> Option<Error> {
    assert_eq!(panics(), 0, "another test failed");
    let start = Instant::now();
    let input = [&[first], bytes].concat();
    let error = through_the_transport(&input, folder.path());
    assert!(start.elapsed() < LONGEST, "{what}: {}", input.escape_ascii());
    assert_eq!(panics(), 0, "{what}: {}", input.escape_ascii());
    if let Some(error) = &error {
        assert_clean("an error", &format!("{error} {error:?} {error:#?}"));
    }
    error
}

/// All that the first byte can say.
const MANNERS: std::ops::Range<u8> = 0..24;

#[test]
fn genuine_replies_are_believed() {
    let folder = TempDir::new().unwrap();
    // The step (times four, since it does not wait and has manners) that each of the first ones answers.
    for (reply, step) in genuine().iter().zip([0, 0, 0, 1, 1, 2, 2, 2, 2]) {
        let error = ask(reply, step << 2, &folder, "genuine");
        assert!(error.is_none(), "{}: {error:?}", reply.escape_ascii());
    }
}

/// The number alone may be what is in the way of a commit; what is no counter is always an attribute.
#[test]
fn refusals_without_attributes() {
    for refusal in [3, 4] {
        // An array of one integer, which is told with three added.
        read_replies(&[7, 1, 1, refusal + 3]);
    }
}

#[test]
fn listed_replies() {
    watch(CANARY);
    let folder = TempDir::new().unwrap();
    for reply in listed() {
        for first in MANNERS {
            let Some(error) = ask(&reply, first, &folder, "listed") else {
                panic!("believed with manners {first}: {}", reply.escape_ascii());
            };
            let told = [ErrorKind::OutcomeUnknown, ErrorKind::Unavailable];
            assert!(told.contains(&error.kind()), "{}: {error}", reply.escape_ascii());
        }
    }
    for reply in genuine() {
        for first in MANNERS {
            ask(&reply, first, &folder, "genuine, but to another question");
        }
    }
}

#[test]
fn damaged_replies() {
    watch(CANARY);
    let (seed, folder) = (test_seed(), TempDir::new().unwrap());
    let (mut random, genuine) = (Random::new(seed), genuine());
    for _ in 0..3_000 * soak_factor() {
        let mut reply = random.pick(&genuine);
        damage(&mut random, &mut reply, &genuine);
        ask(&reply, random.number() as u8, &folder, &format!("seed {seed}"));
    }
}

#[test]
fn random_replies() {
    let (seed, folder) = (test_seed(), TempDir::new().unwrap());
    let mut random = Random::new(seed);
    for _ in 0..2_000 * soak_factor() {
        let reply: Vec<u8> = (0..random.below(64)).map(|_| random.number() as u8).collect();
        ask(&reply, random.number() as u8, &folder, &format!("seed {seed}"));
    }
    for _ in 0..30_000 * soak_factor() {
        let reply: Vec<u8> = (0..random.below(400)).map(|_| random.number() as u8).collect();
        read_replies(&reply);
    }
}
