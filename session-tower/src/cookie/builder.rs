//! The cookie's settings, and the checks that they can work together.

use std::fmt;
use std::time::Duration;

use cookie::{Cookie, Key, KeyError};
use session_core::{Error, ErrorKind, Operation, Result};

use super::{SessionCookie, SigningKeys, checked};

/// With which requests from other sites a browser sends the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SameSite {
    /// With none.
    Strict,
    /// Only when the user follows a link.
    #[default]
    Lax,
    /// With all. Browsers take such a cookie only if it is `Secure`. The application must then protect itself against
    /// cross-site request forgery.
    None,
}

/// Settings of a [`SessionCookie`]. The setters cannot fail; [`build`](Self::build) checks everything.
///
/// ```
/// use std::time::Duration;
/// use session_tower::{SameSite, SessionCookie};
///
/// let cookie = SessionCookie::builder()
///     .same_site(SameSite::Strict)
///     .max_age(Duration::from_secs(14 * 24 * 3600))
///     .build()?;
/// assert_eq!(cookie.name(), "__Host-session");
/// # Ok::<(), session_core::Error>(())
/// ```
#[must_use]
pub struct SessionCookieBuilder {
    name: Option<String>,
    domain: Option<String>,
    path: String,
    http_only: bool,
    secure: bool,
    same_site: SameSite,
    max_age: Option<Duration>,
    signing_keys: Option<Vec<Result<Key, KeyError>>>,
}

impl Default for SessionCookieBuilder {
    fn default() -> Self {
        Self {
            name: None,
            domain: None,
            path: "/".to_owned(),
            http_only: true,
            secure: true,
            same_site: SameSite::default(),
            max_age: None,
            signing_keys: None,
        }
    }
}

impl SessionCookieBuilder {
    /// The cookie's name. Default: `__Host-session`; `session` if the cookie is not [`secure`](Self::secure).
    ///
    /// Browsers take a cookie whose name starts with `__Host-` only from this very host, over https, for all paths: no
    /// other host of the domain can plant one. It must be `Secure`, with path `/` and without a domain. One whose name
    /// starts with `__Secure-` must be `Secure`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Lets all hosts below this domain have the cookie. Default: none, only the host that set it. Needs another
    /// [`name`](Self::name) than the default.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// The path below which the cookie is sent. Default: `/`. Any other needs another [`name`](Self::name) than the
    /// default.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Whether scripts in the page are kept from reading the cookie. Default: yes.
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Whether the cookie is only sent over https. Default: yes. Without it, everybody on the way can take the session
    /// over; see [`SessionCookie::insecure_development`].
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// With which requests from other sites the cookie is sent. Default: [`SameSite::Lax`].
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// How long the browser keeps the cookie, in whole seconds, at least one; it is then sent again whenever the
    /// session's expiry is renewed. Default: none, until the browser is closed.
    ///
    /// The session itself ends by the store's timeouts; a max-age below the idle timeout ends it earlier.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Signs the cookie. Default: not signed; ids are 256 random bits and cannot be guessed. A signature only spares
    /// the store the question for ids that this application never made.
    ///
    /// Each key is at least 64 random bytes (the first 64 count), kept secret, and the same in all processes. The first
    /// key signs, all of them verify: to rotate, put the new key first, and keep the old one as long as sessions live,
    /// since a cookie keeps its signature until it is issued or refreshed. A cookie that was signed by none of them is
    /// treated as absent.
    pub fn signing_keys<K: AsRef<[u8]>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.signing_keys = Some(keys.into_iter().map(|key| Key::try_from(key.as_ref())).collect());
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting (`cookie_name`, `cookie_domain`, `cookie_path`, `cookie_secure`,
    /// `cookie_max_age`, `signing_keys`), if browsers would refuse the cookie or it could not be written as a header.
    pub fn build(self) -> Result<SessionCookie> {
        let Self { name, domain, path, http_only, secure, same_site, max_age, signing_keys } = self;
        let name = name.unwrap_or_else(|| if secure { "__Host-session" } else { "session" }.to_owned());
        check_name(&name)?;
        check_domain(domain.as_deref())?;
        check_path(&path)?;
        check_prefix(&name, secure, &path, domain.as_deref())?;
        if same_site == SameSite::None && !secure {
            return wrong("`cookie_secure`: browsers refuse SameSite=None without Secure");
        }

        let mut cookie =
            Cookie::build((name, "")).path(path).http_only(http_only).secure(secure).same_site(match same_site {
                SameSite::Strict => cookie::SameSite::Strict,
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::None => cookie::SameSite::None,
            });
        if let Some(domain) = domain {
            cookie = cookie.domain(domain);
        }
        if let Some(max_age) = max_age {
            if max_age.as_secs() == 0 {
                return wrong("`cookie_max_age`: at least one second");
            }
            let Ok(max_age) = max_age.try_into() else { return wrong("`cookie_max_age`: too long") };
            cookie = cookie.max_age(max_age);
        }
        let keys = match signing_keys {
            None => None,
            Some(keys) => {
                let Ok(keys) = keys.into_iter().collect::<Result<Vec<_>, _>>() else {
                    return wrong("`signing_keys`: a key has at least 64 bytes");
                };
                let Some(keys) = SigningKeys::new(keys) else { return wrong("`signing_keys`: at least one key") };
                Some(keys)
            }
        };
        match checked(cookie.build(), keys) {
            Some(cookie) => Ok(cookie),
            None => wrong("`cookie_name`, `cookie_domain`, `cookie_path`: cannot be written as a header"),
        }
    }
}

impl fmt::Debug for SessionCookieBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, domain, path, http_only, secure, same_site, max_age, signing_keys } = self;
        f.debug_struct("SessionCookieBuilder")
            .field("name", name)
            .field("domain", domain)
            .field("path", path)
            .field("http_only", http_only)
            .field("secure", secure)
            .field("same_site", same_site)
            .field("max_age", max_age)
            .field("signing_keys", &signing_keys.as_ref().map(Vec::len))
            .finish()
    }
}

fn wrong<T>(text: &'static str) -> Result<T> {
    Err(Error::new(ErrorKind::Config, Operation::Configure, text))
}

/// A token, as RFC 6265 asks for. Browsers refuse a name and value of more than 4,096 bytes; so long a name is a
/// mistake already.
fn check_name(name: &str) -> Result<()> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 256 || !name.bytes().all(is_token) {
        return wrong("`cookie_name`: 1 to 256 letters, digits or !#$%&'*+-.^_`|~");
    }
    Ok(())
}

fn check_domain(domain: Option<&str>) -> Result<()> {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    match domain {
        Some(domain) if domain.is_empty() || domain.len() > 253 || !domain.bytes().all(is_host) => {
            wrong("`cookie_domain`: letters, digits, hyphens and dots; other scripts in their ASCII form")
        }
        _ => Ok(()),
    }
}

fn check_path(path: &str) -> Result<()> {
    let is_path = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b';';
    if !path.starts_with('/') || path.len() > 1024 || !path.bytes().all(is_path) {
        return wrong("`cookie_path`: starts with a slash, visible ASCII without semicolons, at most 1,024 bytes");
    }
    Ok(())
}

/// What the prefixes of names promise. Browsers compare them without regard to case.
fn check_prefix(name: &str, secure: bool, path: &str, domain: Option<&str>) -> Result<()> {
    let starts_with = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let host = starts_with("__Host-");
    if (host || starts_with("__Secure-")) && !secure {
        return wrong("`cookie_secure`: a name that starts with __Host- or __Secure- needs Secure");
    }
    if host && domain.is_some() {
        return wrong("`cookie_domain`: not with a name that starts with __Host-; set another `cookie_name`");
    }
    if host && path != "/" {
        return wrong("`cookie_path`: only / with a name that starts with __Host-; set another `cookie_name`");
    }
    Ok(())
}
