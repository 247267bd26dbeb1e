//! The same bodies as in the fuzz targets, with ids and cookies that are genuine, damaged, or neither.

use http::HeaderMap;
use http::header::COOKIE;
use session_core::{ClientId, Generation, SessionId, WriterId};
use test_support::{Random, soak_factor, test_seed};

use crate::body::{cookie_header, cookies, session_id};

/// One that is right, and headers that have it.
fn genuine() -> Vec<Vec<u8>> {
    let id = SessionId::generate().unwrap();
    let mut all = vec![
        id.expose().into_bytes(),
        id.fingerprint().to_string().into_bytes(),
        Generation::generate().unwrap().to_string().into_bytes(),
        WriterId::generate().unwrap().to_string().into_bytes(),
        b"cart".to_vec(),
        b"@g".to_vec(),
    ];
    for cookie in cookies() {
        let set = cookie.set_cookie(ClientId::Issue(id)).unwrap();
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        for header in [pair.to_owned(), format!("theme=dark; {pair}; lang=de"), format!("theme=dark\n \t{pair} ")] {
            all.push(header.into_bytes());
        }
    }
    all
}

fn damage(random: &mut Random, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.number() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.pick(b";= \t\n\r\"\0{}%AZaz09-_+/\xC3\xFF")),
            4 if at < bytes.len() => drop(bytes.remove(at)),
            5 => drop(bytes.splice(at..at, random.pick(&["; ", "\n  ", "==", ";="]).bytes())),
            _ => drop(bytes.splice(at..at, random.pick(others))),
        }
    }
}

#[test]
fn the_genuine_are_accepted() {
    let id = SessionId::generate().unwrap();
    for cookie in cookies() {
        let set = cookie.set_cookie(ClientId::Issue(id)).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, set.to_str().unwrap().split(';').next().unwrap().parse().unwrap());
        assert_eq!(cookie.id(&headers), Some(id));
    }
    for bytes in genuine() {
        cookie_header(&bytes);
        session_id(&bytes);
    }
}

#[test]
fn what_is_accepted_was_genuine() {
    let mut random = Random::new(test_seed());
    let genuine = genuine();
    for _ in 0..20_000 * soak_factor() {
        let mut bytes = if random.percent(80) {
            random.pick(&genuine)
        } else {
            (0..random.below(100)).map(|_| random.number() as u8).collect()
        };
        damage(&mut random, &mut bytes, &genuine);
        cookie_header(&bytes);
        session_id(&bytes);
    }
}
