//! Keeps caches from handing one client's session cookie to another.

use http::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, VARY};

/// Marks a response that sets a cookie as one client's own.
///
/// `no-store`, because every cache understands it in one way; `private` is the weakest that a handler may have chosen
/// instead, since it keeps shared caches out. Anything weaker (`public, max-age=…`) is replaced: a shared cache would
/// give the id to everybody. `Vary: Cookie` is for caches that were told to ignore `Cache-Control`.
pub(crate) fn forbid_sharing(headers: &mut HeaderMap) {
    if !has(headers, &CACHE_CONTROL, |directive| {
        directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("private")
    }) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if !has(headers, &VARY, |name| name == "*" || name.eq_ignore_ascii_case("cookie")) {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
}

/// Whether a comma-separated header has such an element.
fn has(headers: &HeaderMap, name: &HeaderName, is: impl Fn(&str) -> bool) -> bool {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|element| is(element.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(before: &[(HeaderName, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in before {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        forbid_sharing(&mut headers);
        let mut lines: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn adds_what_is_missing() {
        assert_eq!(marked(&[]), ["cache-control: no-store", "vary: Cookie"]);
        assert_eq!(
            marked(&[(VARY, "Accept, Origin")]),
            ["cache-control: no-store", "vary: Accept, Origin", "vary: Cookie"]
        );
    }

    #[test]
    fn keeps_what_is_as_strict() {
        for kept in ["no-store", "max-age=0, NO-STORE", "private", "private, max-age=60"] {
            assert_eq!(
                marked(&[(CACHE_CONTROL, kept), (VARY, "Accept, cookie")]),
                [format!("cache-control: {kept}"), "vary: Accept, cookie".to_owned()]
            );
        }
        assert_eq!(marked(&[(VARY, "*")]), ["cache-control: no-store", "vary: *"]);
    }

    #[test]
    fn replaces_what_would_share_the_id() {
        for weaker in ["public, max-age=3600", "max-age=60", "no-cache", "private=\"x-name\"", "s-maxage=5"] {
            assert_eq!(marked(&[(CACHE_CONTROL, weaker)]), ["cache-control: no-store", "vary: Cookie"], "{weaker}");
        }
        // All lines of it, not only the first.
        assert_eq!(
            marked(&[(CACHE_CONTROL, "public"), (CACHE_CONTROL, "max-age=9")]),
            ["cache-control: no-store", "vary: Cookie"]
        );
    }
}
