//! Finds a cookie in request headers.

use http::HeaderMap;
use http::header::COOKIE;

/// The value of the cookie of this name; `None` if there is none, or if there are several.
///
/// Works on bytes and trims spaces and tabs only. Parsers that trim all of Unicode's white space read a cookie named
/// U+2000 and `__Host-session` as `__Host-session`; a neighbouring subdomain may set the former, and so get round the
/// prefix. Other cookies in the header are not looked at, whatever bytes they are made of.
pub(super) fn only_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    for header in headers.get_all(COOKIE) {
        for pair in header.as_bytes().split(|byte| *byte == b';') {
            let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
            if trim(&pair[..equals]) == name.as_bytes() && found.replace(trim(&pair[equals + 1..])).is_some() {
                return None;
            }
        }
    }
    found
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    fn found(lines: &[&[u8]]) -> Option<Vec<u8>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        only_value(&headers, "__Host-s").map(<[u8]>::to_vec)
    }

    #[test]
    fn finds_the_only_one() {
        for lines in [
            &[&b"__Host-s=v"[..]][..],
            &[b"a=1; __Host-s=v; b=2"],
            &[b"a=1;__Host-s=v;b=2"],
            &[b"a=1", b"__Host-s=v"],
            &[b" \t__Host-s \t= v\t "],
            &[b"; ;=;a;__Host-s=v;"],
            // Another application's cookie may be made of anything.
            &[b"a=\xff\xfe\"; __Host-s=v"],
            // Names are case-sensitive, and a name in a value is none.
            &[b"__host-s=x; a=__Host-s=x; __Host-s=v"],
            // Not our name: see above.
            &[b"\xe2\x80\x80__Host-s=x; __Host-s=v"],
        ] {
            assert_eq!(found(lines).as_deref(), Some(&b"v"[..]), "{lines:?}");
        }
        assert_eq!(found(&[b"__Host-s=a=b"]).as_deref(), Some(&b"a=b"[..]));
    }

    #[test]
    fn several_are_none() {
        for lines in [
            &[&b"__Host-s=v; __Host-s=v"[..]][..],
            &[b"__Host-s=v", b"__Host-s=v"],
            &[b"__Host-s=v; __Host-s="],
            &[b"__Host-s=v; __Host-s=\xff"],
            &[b"__Host-s"],
            &[b"\xe2\x80\x80__Host-s=x"],
            &[b"\xc2\xa0__Host-s=x"],
            &[b""],
            &[],
        ] {
            assert_eq!(found(lines), None, "{lines:?}");
        }
    }
}
