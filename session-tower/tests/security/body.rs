//! What is done with bytes of unknown origin in the place of cookies and ids: not to panic, and to take nothing for an id
//! that is none. Used by the fuzz targets, and by ordinary tests.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use session_core::{
    AttributeName, ClientId, ErrorKind, Fingerprint, Generation, KeyDerivation, RequestContext, SessionId, SessionKey,
    WriterId,
};
use session_tower::SessionCookie;

/// The key of [`cookies`] that sign.
pub const SIGNING_KEY: [u8; 64] = [7; 64];

/// With a prefix, without, and signed.
pub fn cookies() -> [SessionCookie; 3] {
    let signed = SessionCookie::builder().signing_keys([SIGNING_KEY]).build();
    [SessionCookie::default(), SessionCookie::insecure_development(), signed.expect("the key is long enough")]
}

/// Takes the bytes for the lines of `Cookie` headers. An id that is found is one that was set, and stands there once.
pub fn cookie_header(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, value);
        }
    }
    for cookie in cookies() {
        let Some(id) = cookie.id(&headers) else { continue };
        let set = cookie.set_cookie(ClientId::Issue(id)).expect("something new is told");
        let pair = set.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        let value = &pair[cookie.name().len() + 1..];
        let names = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        let spaces = |byte: &u8| matches!(byte, b' ' | b'\t');
        let named: Vec<_> = names
            .filter_map(|pair| {
                let equals = pair.iter().position(|byte| *byte == b'=')?;
                let trimmed: Vec<u8> = pair[..equals].iter().copied().skip_while(spaces).collect();
                let end = trimmed.iter().rposition(|byte| !spaces(byte)).map_or(0, |last| last + 1);
                (&trimmed[..end] == cookie.name().as_bytes()).then_some(&pair[equals + 1..])
            })
            .collect();
        let [only] = named[..] else { panic!("{} cookies of one name were taken for one", named.len()) };
        let only: Vec<u8> = only.iter().copied().filter(|byte| !spaces(byte)).collect();
        assert_eq!(only, value, "the value is what was set");
    }
}

/// Takes the bytes for everything that an id, or a part of a session's header, could be. What is accepted is written the
/// same way again.
pub fn session_id(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        match SessionId::parse(text) {
            Ok(id) => {
                assert_eq!(id.expose(), text);
                assert!(!format!("{id:?}").contains(text));
                for keys in [KeyDerivation::hashed("session:"), KeyDerivation::plain("session:")] {
                    keys.derive(&RequestContext::default(), &id).expect("an id makes a key");
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidId);
                let same = SessionId::parse("").expect_err("it is too short");
                assert_eq!(format!("{error} {error:?}"), format!("{same} {same:?}"), "whatever the text was");
            }
        }
        if let Ok(name) = AttributeName::new(text) {
            assert_eq!(name.as_str(), text);
            assert!(!text.starts_with('@'));
        }
    }
    let same = |shown: Option<String>| assert!(shown.is_none_or(|shown| shown.as_bytes() == bytes));
    same(Fingerprint::parse(bytes).map(|it| it.to_string()));
    same(Generation::parse(bytes).map(|it| it.to_string()));
    same(WriterId::parse(bytes).map(|it| it.to_string()));
    if let Ok(key) = SessionKey::new(bytes.to_vec()) {
        assert_eq!(key.as_bytes(), bytes);
        assert!(!bytes.iter().any(u8::is_ascii_control) && (1..=SessionKey::MAX_LENGTH).contains(&bytes.len()));
    }
}
