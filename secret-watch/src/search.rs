//! What is looked for, and what happens when it is found.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::thread;

use crate::encodings::encodings;
use crate::recording;

/// The length of a session id as text.
const ID_LENGTH: usize = 43;

/// The number of bytes of a session id.
const ID_BYTES: usize = 32;

/// Shorter ones are found where they are none.
const SHORTEST_SECRET: usize = 8;

static SECRETS: RwLock<Vec<String>> = RwLock::new(Vec::new());

static SEARCHED: AtomicU64 = AtomicU64::new(0);

/// From now on, nothing that is logged may contain this: as it is, quoted, as base64, in hexadecimal or percent-encoded
/// digits, or as a list of bytes.
///
/// # Panics
///
/// If it is shorter than eight bytes, and so could be found by chance.
pub fn watch(secret: impl AsRef<[u8]>) {
    let secret = secret.as_ref();
    assert!(secret.len() >= SHORTEST_SECRET, "too short to be told from other text");
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    for encoded in encodings(secret) {
        if !secrets.contains(&encoded) {
            secrets.push(encoded);
        }
    }
}

/// Makes sure that there is no secret in a text that is shown elsewhere than in a log.
///
/// # Panics
///
/// If there is one; `what` says in what it was found.
#[track_caller]
pub fn assert_clean(what: &str, text: &str) {
    if let Some(found) = find(text, &SECRETS.read().unwrap_or_else(PoisonError::into_inner)) {
        panic!("{what} shows a secret: {found}, in: {text}");
    }
}

/// How many texts were searched.
pub(crate) fn searched() -> u64 {
    SEARCHED.load(Ordering::Relaxed)
}

/// Ends the program if there is a secret in this text; `origin` says where it was logged.
pub(crate) fn search(text: &str, origin: std::fmt::Arguments<'_>) {
    SEARCHED.fetch_add(1, Ordering::Relaxed);
    recording::note(text);
    let found = find(text, &SECRETS.read().unwrap_or_else(PoisonError::into_inner));
    if let Some(found) = found {
        end(text, &found, origin);
    }
}

/// A panic would be lost in a task that nobody waits for, so it is the whole program that ends. What `eprintln` prints is
/// lost with it in a test, so it is written to the stream itself.
fn end(text: &str, found: &str, origin: std::fmt::Arguments<'_>) -> ! {
    let thread = thread::current();
    let name = thread.name().unwrap_or("without name");
    let _ = write!(
        std::io::stderr(),
        "\nA secret was logged: {found}\n  at: {origin}\n  on thread: {name}\n  in: {text}\n"
    );
    std::process::abort()
}

/// What in this text looks like a secret, or is one of these.
fn find(text: &str, secrets: &[String]) -> Option<String> {
    if let Some(token) = tokens(text).find(|token| token.len() >= ID_LENGTH && !is_variable(token)) {
        return Some(format!("{token:?} is as long as an id"));
    }
    if lists_bytes(text) {
        return Some("a list of as many bytes as an id has".to_owned());
    }
    secrets.iter().find(|secret| text.contains(secret.as_str())).map(|secret| format!("{secret:?} is watched"))
}

/// The longest pieces that consist of base64url's characters.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
}

/// Whether this is the name of an environment variable: capital words. No random id has neither small letters nor digits.
fn is_variable(token: &str) -> bool {
    token.contains('_') && token.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// Whether there is a list of so many numbers, as `Debug` writes that of bytes.
fn lists_bytes(text: &str) -> bool {
    text.split('[').skip(1).any(|list| {
        let numbers = list.split([',', ']']).map(|number| number.trim().parse::<u8>());
        numbers.take_while(Result::is_ok).count() >= ID_BYTES
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_environment_variables_are_no_ids() {
        assert_eq!(find("SESSION_CONNECTION_DEFAULT_FIGURES_INTERVAL", &[]), None);
        assert!(find(&"A".repeat(ID_LENGTH), &[]).is_some());
        assert!(find("SESSION_CONNECTION_DEFAULT_FIGURES_INTERVAl", &[]).is_some());
    }

    #[test]
    fn ids_are_found_by_their_shape() {
        let id = "zK3-bX_0aQ9wYt5LrE7uHn2mVd8sGc4jFp6iOo1Aq0M";
        assert_eq!(id.len(), ID_LENGTH);
        for text in [id.to_owned(), format!("GET session:{id}\r\n"), format!("a={id}; b"), format!("key-{id}-1")] {
            assert!(find(&text, &[]).is_some(), "{text}");
        }
        assert!(find(&format!("SessionId({:?})", [7_u8; ID_BYTES]), &[]).is_some());
        assert!(find(&format!("{:#?}", [250_u8; ID_BYTES]), &[]).is_some());
    }

    #[test]
    fn other_texts_are_not() {
        // A fingerprint, a script's digest, numbers, a path.
        for text in [
            "",
            "session=pV2kT0xqYb7sLw9RzJ4mCg error=the store could not be reached",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "[1, 2, 3] [300, 301, 302, 303, 304, 305, 306, 307, 308, 309, 310, 311, 312, 313, 314, 315, 316, 317, 318]",
            "/tmp/redis-server-Xy12Za/redis.sock/and/a/long/path/which/is/no/id/at/all",
        ] {
            assert_eq!(find(text, &["open sesame".to_owned()]), None, "{text}");
        }
    }

    #[test]
    fn secrets_are_found_in_every_encoding() {
        let secret = "pässword \"1\"/+";
        let secrets = encodings(secret.as_bytes());
        for text in [
            format!("with {secret} inside"),
            format!("{secret:?}"),
            format!("{:?}", secret.as_bytes()),
            format!("{:?}", bytes_of(secret)),
            "cMOkc3N3b3JkICIxIi8r".to_owned(),
            "70c3a4737377".to_owned() + "6f7264202231222f2b",
            "redis://:p%C3%A4ssword%20%221%22%2F%2B@localhost".to_owned(),
        ] {
            assert!(find(&text, &secrets).is_some(), "{text}");
        }
    }

    fn bytes_of(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }
}
