//! The cookie: an id from request headers, and what to tell the client about its id.

mod builder;
mod request;
mod signing;

use std::fmt;
use std::sync::Arc;

use cookie::Cookie;
use http::HeaderMap;
use http::header::{HeaderValue, SET_COOKIE};
use session_core::{ClientId, SessionId};

pub use self::builder::{SameSite, SessionCookieBuilder};
use self::signing::SigningKeys;
use crate::cache;

/// Translates between session ids and cookies.
///
/// [`SessionLayer`](crate::SessionLayer) uses one; it is public for pipelines without the layer. Cheap to clone.
///
/// # Defaults
///
/// Name `__Host-session`, `HttpOnly`, `Secure`, `SameSite=Lax`, `Path=/`, no domain, no max-age (the cookie ends with
/// the browser), not signed.
///
/// # Examples
///
/// A WebSocket or a raw hyper service, where no layer does it:
///
/// ```
/// # use http::HeaderMap;
/// # use session_core::{RequestContext, Result, SessionManager, SessionSerializer};
/// # use session_tower::SessionCookie;
/// async fn serve<S: SessionSerializer>(
///     manager: &SessionManager<S>,
///     cookie: &SessionCookie,
///     request: &HeaderMap,
///     response: &mut HeaderMap,
/// ) -> Result<()> {
///     let id = cookie.id(request);
///     let session = manager.open(&RequestContext::default(), id.as_ref()).await?;
///     session.insert("theme", "dark")?;
///     let closed = session.close().await;
///     closed.result?;
///     cookie.answer(closed.client, response);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct SessionCookie(Arc<Checked>);

/// Settings that were checked; only the builder makes one.
struct Checked {
    name: String,
    /// The cookie with all its attributes and an empty value.
    template: Cookie<'static>,
    /// The whole header value that removes the cookie.
    removal: HeaderValue,
    keys: Option<SigningKeys>,
}

impl SessionCookie {
    /// Starts from the defaults.
    pub fn builder() -> SessionCookieBuilder {
        SessionCookieBuilder::default()
    }

    /// For plain http on a developer's machine only: name `session`, not `Secure`; everybody on the way can read the
    /// id and use it.
    pub fn insecure_development() -> Self {
        Self::of_valid_settings(Self::builder().secure(false))
    }

    fn of_valid_settings(builder: SessionCookieBuilder) -> Self {
        // Only called for the two combinations of defaults, and tests build both.
        builder.build().expect("the defaults are valid together")
    }

    /// The name of the cookie.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The id that a request carries.
    ///
    /// Everything that cannot be an id of ours is treated as absent: malformed, quoted, oversized or non-ASCII values,
    /// several cookies of this name (nobody can tell which one is the client's own), a signature that does not verify.
    /// That the id is well-formed does not mean that there is such a session.
    pub fn id(&self, headers: &HeaderMap) -> Option<SessionId> {
        let value = request::only_value(headers, &self.0.name)?;
        let text = std::str::from_utf8(value).ok()?;
        match &self.0.keys {
            None => SessionId::parse(text).ok(),
            Some(keys) => SessionId::parse(&keys.verified(text)?).ok(),
        }
    }

    /// The value of the `Set-Cookie` header that tells the client this; `None` if there is nothing to tell.
    ///
    /// [`ClientId::Refresh`] is only told where a max-age is set: other cookies live as long as the browser does.
    pub fn set_cookie(&self, client: ClientId) -> Option<HeaderValue> {
        match client {
            ClientId::Keep => None,
            ClientId::Refresh(_) if self.0.template.max_age().is_none() => None,
            ClientId::Refresh(id) | ClientId::Issue(id) => Some(self.issue(&id)),
            ClientId::Forget => Some(self.0.removal.clone()),
        }
    }

    /// Tells the client this in the headers of a response: appends `Set-Cookie` if there is something to tell, and then
    /// keeps caches from sharing the response (`Cache-Control: no-store` unless it says `no-store` or `private`
    /// already, `Vary: Cookie`).
    pub fn answer(&self, client: ClientId, headers: &mut HeaderMap) {
        if let Some(value) = self.set_cookie(client) {
            headers.append(SET_COOKIE, value);
            cache::forbid_sharing(headers);
        }
    }

    fn issue(&self, id: &SessionId) -> HeaderValue {
        let text = id.expose();
        let mut cookie = self.0.template.clone();
        cookie.set_value(match &self.0.keys {
            None => text,
            Some(keys) => keys.signed(text),
        });
        header_value(&cookie).expect("the builder made a header of this template, and base64 is visible ASCII")
    }
}

impl Default for SessionCookie {
    fn default() -> Self {
        Self::of_valid_settings(Self::builder())
    }
}

impl fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checked { name: _, template, removal: _, keys } = &*self.0;
        f.debug_struct("SessionCookie")
            .field("template", &template.to_string())
            .field("signing_keys", &keys.as_ref().map(SigningKeys::count))
            .finish()
    }
}

/// Marked sensitive, so that HTTP/2 header compression and `Debug` treat it as the secret it is.
fn header_value(cookie: &Cookie<'_>) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(cookie.to_string()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A cookie in the making: the parts that only [`SessionCookieBuilder::build`] may join.
fn checked(template: Cookie<'static>, keys: Option<SigningKeys>) -> Option<SessionCookie> {
    header_value(&template)?;
    let mut removal = template.clone();
    removal.make_removal();
    let removal = header_value(&removal)?;
    Some(SessionCookie(Arc::new(Checked { name: template.name().to_owned(), template, removal, keys })))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::{CACHE_CONTROL, COOKIE, VARY};
    use session_core::ErrorKind;

    use super::*;

    fn id() -> SessionId {
        SessionId::parse(&"A".repeat(43)).unwrap()
    }

    fn with_cookie(value: impl AsRef<[u8]>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_bytes(value.as_ref()).unwrap());
        headers
    }

    /// What a browser would send back.
    fn sent_back(set: &HeaderValue) -> HeaderMap {
        with_cookie(set.to_str().unwrap().split(';').next().unwrap())
    }

    #[test]
    fn defaults() {
        let set = SessionCookie::default().set_cookie(ClientId::Issue(id())).unwrap();
        let expected = format!("__Host-session={}; HttpOnly; SameSite=Lax; Secure; Path=/", "A".repeat(43));
        assert_eq!(set.to_str().unwrap(), expected);
        assert!(set.is_sensitive());
        assert!(!format!("{set:?}").contains("AAAA"));
        assert_eq!(SessionCookie::default().id(&sent_back(&set)), Some(id()));
    }

    #[test]
    fn insecure_development() {
        let set = SessionCookie::insecure_development().set_cookie(ClientId::Issue(id())).unwrap();
        let expected = format!("session={}; HttpOnly; SameSite=Lax; Path=/", "A".repeat(43));
        assert_eq!(set.to_str().unwrap(), expected);
    }

    #[test]
    fn everything_set() {
        let cookie = SessionCookie::builder()
            .name("__Secure-shop")
            .domain("shop.example")
            .path("/cart")
            .same_site(SameSite::None)
            .http_only(false)
            .max_age(Duration::from_secs(3600))
            .build()
            .unwrap();
        let text = "SameSite=None; Secure; Path=/cart; Domain=shop.example; Max-Age=";
        let set = cookie.set_cookie(ClientId::Issue(id())).unwrap();
        assert_eq!(set.to_str().unwrap(), format!("__Secure-shop={}; {text}3600", "A".repeat(43)));
        let removal = cookie.set_cookie(ClientId::Forget).unwrap();
        let removal = removal.to_str().unwrap();
        // A browser removes only a cookie of the same name, domain and path, and takes `Secure` ones only so.
        assert!(removal.starts_with(&format!("__Secure-shop=; {text}0; Expires=")), "{removal}");
    }

    #[test]
    fn refreshed_only_with_max_age() {
        assert_eq!(SessionCookie::default().set_cookie(ClientId::Refresh(id())), None);
        assert_eq!(SessionCookie::default().set_cookie(ClientId::Keep), None);
        let lasting = SessionCookie::builder().max_age(Duration::from_secs(60)).build().unwrap();
        assert_eq!(lasting.set_cookie(ClientId::Refresh(id())), lasting.set_cookie(ClientId::Issue(id())));
        assert_eq!(lasting.set_cookie(ClientId::Keep), None);
    }

    #[test]
    fn answer_marks_only_what_it_tells() {
        let cookie = SessionCookie::default();
        let mut headers = HeaderMap::new();
        cookie.answer(ClientId::Keep, &mut headers);
        cookie.answer(ClientId::Refresh(id()), &mut headers);
        assert!(headers.is_empty());
        headers.append(SET_COOKIE, HeaderValue::from_static("other=1"));
        cookie.answer(ClientId::Forget, &mut headers);
        assert_eq!(headers.get_all(SET_COOKIE).iter().count(), 2);
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        assert_eq!(headers[VARY], "Cookie");
    }

    fn key(byte: u8) -> Vec<u8> {
        vec![byte; 64]
    }

    fn signed(keys: &[Vec<u8>]) -> SessionCookie {
        SessionCookie::builder().signing_keys(keys).build().unwrap()
    }

    #[test]
    fn signing_keys_rotate() {
        let set_by = |cookie: &SessionCookie| sent_back(&cookie.set_cookie(ClientId::Issue(id())).unwrap());
        let (old, both, new) = (signed(&[key(1)]), signed(&[key(2), key(1)]), signed(&[key(2)]));
        assert_eq!(both.id(&set_by(&old)), Some(id()));
        assert_eq!(both.id(&set_by(&new)), Some(id()));
        assert_eq!(new.id(&set_by(&both)), Some(id()), "the first key signs");
        assert_eq!(old.id(&set_by(&both)), None);
        let unsigned = SessionCookie::default();
        assert_eq!(unsigned.id(&set_by(&old)), None);
        assert_eq!(old.id(&set_by(&unsigned)), None);
    }

    #[test]
    fn any_tampering_is_absence() {
        let cookie = signed(&[key(1)]);
        let set = cookie.set_cookie(ClientId::Issue(id())).unwrap();
        let pair = set.to_str().unwrap().split(';').next().unwrap().as_bytes().to_vec();
        assert_eq!(cookie.id(&with_cookie(&pair)), Some(id()));
        for at in "__Host-session=".len()..pair.len() {
            for with in [b'A', b'b', b'=', b'"', b' ', 0xC3] {
                let mut tampered = pair.clone();
                tampered[at] = with;
                let same = tampered == pair;
                assert_eq!(cookie.id(&with_cookie(&tampered)).is_some(), same, "byte {at} as {with:#x}");
            }
        }
    }

    #[test]
    fn no_secret_in_debug() {
        let cookie = signed(&[b"0123456789abcdef".repeat(4)]);
        let shown = format!("{cookie:?} {:?}", SessionCookie::builder().signing_keys([b"0123456789abcdef".repeat(4)]));
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
        assert!(!shown.contains("48, 49, 50"), "{shown}");
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let new = SessionCookie::builder;
        for (setting, builder) in [
            ("cookie_name", new().name("")),
            ("cookie_name", new().name("a b")),
            ("cookie_name", new().name("a=b")),
            ("cookie_name", new().name("a;b")),
            ("cookie_name", new().name("größe")),
            ("cookie_name", new().name("a\r\nSet-Cookie: x")),
            ("cookie_name", new().name("x".repeat(257))),
            ("cookie_domain", new().domain("shop.example")),
            ("cookie_domain", new().name("s").domain("")),
            ("cookie_domain", new().name("s").domain("a; Secure")),
            ("cookie_domain", new().name("s").domain("größe.example")),
            ("cookie_path", new().path("/cart")),
            ("cookie_path", new().name("s").path("cart")),
            ("cookie_path", new().name("s").path("/a; Secure")),
            ("cookie_path", new().name("s").path("/a\n")),
            ("cookie_secure", new().name("__Host-session").secure(false)),
            ("cookie_secure", new().name("__host-session").secure(false)),
            ("cookie_secure", new().name("__Secure-session").secure(false)),
            ("cookie_secure", new().secure(false).same_site(SameSite::None)),
            ("cookie_max_age", new().max_age(Duration::ZERO)),
            ("cookie_max_age", new().max_age(Duration::from_millis(999))),
            ("cookie_max_age", new().max_age(Duration::MAX)),
            ("signing_keys", new().signing_keys::<Vec<u8>>([])),
            ("signing_keys", new().signing_keys([key(1), vec![2; 63]])),
        ] {
            let shown = format!("{builder:?}");
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{shown}");
            assert!(error.to_string().contains(setting), "{error} should name {setting}");
        }
    }
}
