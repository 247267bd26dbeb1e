//! All settings, and what is made of them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use session_core::{KeyDerivation, Result, SessionManager, SessionManagerBuilder, SessionSerializer};
use session_serde::Codec;
use session_tower::{SameSite, SessionCookie, SessionLayer};

use crate::choice::SizeHandling;
use crate::connection::{ConnectionSettings, given};
use crate::error::wrong;
use crate::secret::SigningKeys;
use crate::table::settings;

/// The name of the connection whose settings stand at the top level.
pub(crate) const DEFAULT: &str = "default";

settings! {
    /// The settings of web sessions, in code, from the environment, or from any serde source; the [crate](crate) tells
    /// more.
    ///
    /// The setters cannot fail; everything is checked when something is made of the settings. `Debug` shows what is set,
    /// and hides secrets.
    ///
    /// ```
    /// use session_settings::{ConnectionSettings, Settings};
    ///
    /// let settings = Settings::new()
    ///     .with_connection("default", ConnectionSettings::new().url("redis://:open%20sesame@127.0.0.1"))
    ///     .application_name("shop")
    ///     .idle_timeout(std::time::Duration::from_secs(30 * 60))
    ///     .overlay_env()?; // what the environment sets, wins
    /// let manager = settings.manager()?; // nothing is connected yet
    /// # Ok::<(), session_core::Error>(())
    /// ```
    pub struct Settings {
        default_connection: ConnectionSettings,
        connections: BTreeMap<String, ConnectionSettings>,
    }

    /// What all keys begin with. The SHA-256 of the session's id follows.
    key_prefix (into): String, default "session:";

    /// The application's name, which becomes part of the key prefix: `shop` makes it `session:@shop:`. Applications that
    /// share a Redis have different names. It may hold anything: it is escaped, so that no two names yield one prefix.
    application_name (into): String, example "shop", also "applicationName" Written;

    /// How long a session lives after its last request, at least; 1ms to 100 years.
    idle_timeout: Duration, default "20m", also "timeout" Minutes;

    /// By how many percent of the idle timeout the expiry is set later, so that not every read has to renew it; 0 to 100.
    expiry_slack: u8, default 10;

    /// How long a session lives at most, whatever happens; 1ms to 100 years, or `off`.
    absolute_timeout (into): Option<Duration>, default "off";

    /// How many bytes a session's attributes may have, names and values.
    max_session_bytes: usize, default 30000;

    /// What happens to a session that would become larger: `refuse` refuses what would make it so, `clear` clears it. A
    /// function of the application's own is given to the builder in code.
    size_handler: SizeHandling, default "refuse";

    /// The cookie's name. Unless set, `session` without cookie_secure. Browsers take one that starts with `__Host-` only
    /// if it is secure, with path `/` and without a domain.
    cookie_name (into): String, default "__Host-session", also "cookieName" Written;

    /// Lets all hosts below this domain have the cookie, instead of only the host that set it. Needs another cookie_name.
    cookie_domain (into): String, example "shop.example";

    /// The path below which the cookie is sent. Any other needs another cookie_name.
    cookie_path (into): String, default "/";

    /// Whether scripts in the page are kept from reading the cookie.
    cookie_http_only: bool, default true;

    /// Whether the cookie is only sent over https. Only to be switched off for plain http on a developer's machine.
    cookie_secure: bool, default true;

    /// With which requests from other sites a browser sends the cookie: `lax`, when the user follows a link; `strict`,
    /// with none; `none`, with all.
    cookie_same_site: SameSite, default "lax", also "cookieSameSite" Written;

    /// How long the browser keeps the cookie, in whole seconds; `off`: until it is closed.
    cookie_max_age (into): Option<Duration>, default "off";

    /// Keys that sign the cookie: base64 of at least 64 random bytes each, as `openssl rand -base64 64` makes them. The
    /// first one signs, all of them verify. Separated by commas in the environment. Hidden.
    signing_keys (into): SigningKeys, example ["the newest key, in base64", "the one before"];

    /// How long a live copy is kept in memory after its last request, to be validated when it is next used; 0 keeps none.
    keep_for: Duration, default "2m";

    /// How much memory kept copies may occupy in all, in bytes.
    keep_bytes: usize, default 67108864;

    /// How often kept copies whose time is over are dropped.
    check_interval: Duration, default "5s";

    /// Into how many parts the table of live sessions is divided, each with a lock of its own; 1 to 65536, rounded up to a
    /// power of two. Unless set, four per core.
    shards: usize, example 16;

    /// Whether errors of the store reach the caller. If not, they are kept as the last error and the request goes on.
    throw_on_error: bool, default true, also "throwOnError" Written;

    /// How long failed calls of the store are made again, at most 5 minutes; 0: not at all.
    retry_timeout: Duration, default "0s", also "retryTimeoutInMilliseconds" Milliseconds;

    /// With what attributes are written: `json`, `msgpack` or `postcard`, as far as they are compiled in. What any of these
    /// wrote is read.
    serializer: Codec, default "json", also "redisSerializerType" Written;

    /// How often the observer is told how much went over each connection; 0: never.
    figures_interval: Duration, default "30s";
}

impl Settings {
    /// Nothing is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The settings of the connection of this name, over what was set for it before. That named `default` is the one that
    /// is used unless [`connection_callback`](SessionManagerBuilder::connection_callback) chooses another.
    #[must_use]
    pub fn with_connection(mut self, name: impl Into<String>, connection: ConnectionSettings) -> Self {
        let place = self.connection_mut(name.into());
        *place = std::mem::take(place).overlay(connection);
        self
    }

    /// What is set for the connection of this name.
    pub fn connection(&self, name: &str) -> Option<&ConnectionSettings> {
        if name == DEFAULT { Some(&self.default_connection) } else { self.connections.get(name) }
    }

    /// The place of a connection's settings.
    pub(crate) fn connection_mut(&mut self, name: String) -> &mut ConnectionSettings {
        if name == DEFAULT { &mut self.default_connection } else { self.connections.entry(name).or_default() }
    }

    /// These settings, and where they say nothing, those of `self`; each connection as
    /// [`ConnectionSettings::overlay`] does it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use session_settings::Settings;
    /// let built_in = Settings::new().key_prefix("shop:").idle_timeout(Duration::from_secs(60));
    /// let file: Settings = toml::from_str(r#"idle_timeout = "1h""#)?;
    /// let expected = Settings::new().key_prefix("shop:").idle_timeout(Duration::from_secs(3600));
    /// assert_eq!(built_in.overlay(file), expected);
    /// # Ok::<(), toml::de::Error>(())
    /// ```
    #[must_use]
    pub fn overlay(mut self, mut over: Self) -> Self {
        self.default_connection = self.default_connection.overlay(std::mem::take(&mut over.default_connection));
        for (name, connection) in std::mem::take(&mut over.connections) {
            self = self.with_connection(name, connection);
        }
        self.overlay_values(over)
    }

    /// A builder of the manager, for what is only set in code: callbacks, an observer, a size handler of one's own.
    /// Nothing is connected yet, and the builder checks what remains to be checked.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use session_core::Observer;
    /// # use session_settings::Settings;
    /// # fn f(observer: Arc<dyn Observer>) -> session_core::Result<()> {
    /// let manager = Settings::from_env()?.manager_builder()?.observer(observer).build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](session_core::ErrorKind::Config) naming the setting that is wrong or contradicts another,
    /// and the connection, if it is not the one named `default`.
    pub fn manager_builder(&self) -> Result<SessionManagerBuilder<Codec>> {
        let Self {
            key_prefix: _,
            application_name: _,
            idle_timeout,
            expiry_slack,
            absolute_timeout,
            max_session_bytes,
            size_handler,
            cookie_name: _,
            cookie_domain: _,
            cookie_path: _,
            cookie_http_only: _,
            cookie_secure: _,
            cookie_same_site: _,
            cookie_max_age: _,
            signing_keys: _,
            keep_for,
            keep_bytes,
            check_interval,
            shards,
            throw_on_error,
            retry_timeout,
            serializer: _,
            figures_interval,
            default_connection,
            connections,
        } = self;
        let first = default_connection.provider_kind().unwrap_or_default();
        let mut builder = SessionManager::builder(default_connection.build(first)?, self.codec()?);
        for (name, connection) in connections {
            check_name(name)?;
            let provider = connection.provider_kind().unwrap_or(first);
            let given = connection.give(builder, name, provider);
            builder = given.map_err(|error| error.with_connection(name.as_str()))?;
        }
        builder = builder.key_derivation(self.key_derivation());
        builder = given(builder, idle_timeout, SessionManagerBuilder::idle_timeout);
        builder = given(builder, expiry_slack, SessionManagerBuilder::expiry_slack);
        builder = given(builder, &absolute_timeout.flatten(), SessionManagerBuilder::absolute_timeout);
        builder = given(builder, max_session_bytes, SessionManagerBuilder::max_session_bytes);
        builder = given(builder, size_handler, |builder, handling| builder.size_handler(handling.handler()));
        builder = given(builder, keep_for, SessionManagerBuilder::keep_for);
        builder = given(builder, keep_bytes, SessionManagerBuilder::keep_bytes);
        builder = given(builder, check_interval, SessionManagerBuilder::check_interval);
        builder = given(builder, shards, SessionManagerBuilder::shards);
        builder = given(builder, throw_on_error, SessionManagerBuilder::throw_on_error);
        builder = given(builder, retry_timeout, SessionManagerBuilder::retry_timeout);
        Ok(given(builder, figures_interval, SessionManagerBuilder::figures_interval))
    }

    /// The manager. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// As [`manager_builder`](Self::manager_builder).
    pub fn manager(&self) -> Result<SessionManager<Codec>> {
        self.manager_builder()?.build()
    }

    /// The cookie.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](session_core::ErrorKind::Config) naming the setting that is wrong, if browsers would refuse
    /// the cookie.
    pub fn cookie(&self) -> Result<SessionCookie> {
        let mut cookie = SessionCookie::builder();
        cookie = given(cookie, &self.cookie_name, |cookie, name| cookie.name(name));
        cookie = given(cookie, &self.cookie_domain, |cookie, domain| cookie.domain(domain));
        cookie = given(cookie, &self.cookie_path, |cookie, path| cookie.path(path));
        cookie = given(cookie, &self.cookie_http_only, |cookie, http_only| cookie.http_only(http_only));
        cookie = given(cookie, &self.cookie_secure, |cookie, secure| cookie.secure(secure));
        cookie = given(cookie, &self.cookie_same_site, |cookie, same_site| cookie.same_site(same_site));
        cookie = given(cookie, &self.cookie_max_age.flatten(), |cookie, max_age| cookie.max_age(max_age));
        cookie = given(cookie, &self.signing_keys, |cookie, keys| cookie.signing_keys(keys.into_keys()));
        cookie.build()
    }

    /// The layer, with the manager and the cookie. Where the manager needs something that is only set in code:
    /// `SessionLayer::new(manager).with_cookie(settings.cookie()?)`.
    ///
    /// # Errors
    ///
    /// As [`manager_builder`](Self::manager_builder) and [`cookie`](Self::cookie).
    pub fn layer(&self) -> Result<SessionLayer<Codec>> {
        Ok(SessionLayer::new(self.manager()?).with_cookie(self.cookie()?))
    }

    pub(crate) fn key_derivation(&self) -> KeyDerivation {
        let keys = self.key_prefix.as_deref().map_or_else(KeyDerivation::default, KeyDerivation::hashed);
        given(keys, &self.application_name, KeyDerivation::with_application_name)
    }

    /// That which was chosen, else JSON, which may not be compiled in.
    pub(crate) fn codec(&self) -> Result<Codec> {
        let json = || Codec::ALL.iter().copied().find(|codec| codec.name() == "json");
        self.serializer.or_else(json).ok_or_else(|| {
            let names: Vec<_> = Codec::ALL.iter().map(SessionSerializer::name).collect();
            wrong(
                "serializer",
                format_args!("must be set, since json is not compiled in; there is: {}", names.join(", ")),
            )
        })
    }
}

/// A name of a connection is one that an environment variable can have in it.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let possible = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if (1..=64).contains(&name.len()) && name.bytes().all(possible) && !name.starts_with('_') && !name.ends_with('_') {
        return Ok(());
    }
    Err(wrong("connection", "a connection's name has 1 to 64 letters a to z, digits and, between them, underscores"))
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Settings");
        self.show_values(&mut debug);
        debug.field("default_connection", &self.default_connection).field("connections", &self.connections).finish()
    }
}
