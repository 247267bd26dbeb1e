//! Settings of a connection to a TwemProxy.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Result, SessionKey};
use session_redis::{RedisConfig, RedisSettings, Servers};

/// Where a TwemProxy is and how to talk to it.
///
/// The setters cannot fail; everything is checked when the provider is built. A URL or connection string excludes the
/// settings that it stands for: `host`, `port`, `unix_socket` and `access_key`. A user's name, a database other than 0,
/// and TLS are errors wherever they are set, since the proxy knows none of them. `Debug` hides the access key, also in
/// the URL.
///
/// ```
/// use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};
///
/// for config in [
///     TwemproxyConfig::new().host("proxy.internal").port(22121),
///     TwemproxyConfig::new().unix_socket("/run/nutcracker/sessions.sock").access_key("open sesame"),
///     TwemproxyConfig::new().url("redis://:open%20sesame@proxy.internal:22121"),
///     TwemproxyConfig::new().url("proxy.internal:22121,password=open sesame,proxy=Twemproxy"),
/// ] {
///     TwemproxyProvider::new(&config)?;
///     assert!(!format!("{config:?}").contains("sesame"));
/// }
/// let wrong = TwemproxyProvider::new(&TwemproxyConfig::new().database(1)).unwrap_err();
/// assert!(wrong.to_string().contains("`database`"));
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TwemproxyConfig {
    /// What is the same for a TwemProxy and a Redis.
    redis: RedisConfig,
    url: Option<String>,
    connections: Option<usize>,
    mbuf_size: Option<usize>,
}

/// Settings that were checked, with defaults filled in.
pub(crate) struct TwemproxySettings {
    pub(crate) redis: RedisSettings,
    pub(crate) max_key_bytes: usize,
}

impl TwemproxyConfig {
    /// A proxy on this host's port 6379, without a password.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the proxy is, as a URL: `redis://:password@host:port` or `redis+unix:///path?pass=…`; or as a connection
    /// string: `host:port,password=…,proxy=Twemproxy`. As for
    /// [`RedisConfig::url`](session_redis::RedisConfig::url) otherwise.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Asks this closure for what [`url`](Self::url) would be told; not together with `url`. As for
    /// [`RedisConfig::settings_provider`](session_redis::RedisConfig::settings_provider) otherwise.
    #[must_use]
    pub fn settings_provider(mut self, provider: impl Fn() -> Result<String> + Send + Sync + 'static) -> Self {
        self.redis = self.redis.settings_provider(move || as_for_redis(&provider()?));
        self
    }

    /// Host name or address; `127.0.0.1` unless set.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.redis = self.redis.host(host);
        self
    }

    /// Port; 6379 unless set.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.redis = self.redis.port(port);
        self
    }

    /// The path of a Unix socket, instead of host and port.
    #[must_use]
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.redis = self.redis.unix_socket(path);
        self
    }

    /// Always an error when the provider is built: the proxy has one password for all (`redis_auth` of its pool) and no
    /// users. It is here so that settings can be passed on as they are.
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.redis = self.redis.username(username);
        self
    }

    /// The pool's password (its `redis_auth`); none unless set.
    #[must_use]
    pub fn access_key(mut self, access_key: impl Into<String>) -> Self {
        self.redis = self.redis.access_key(access_key);
        self
    }

    /// Database number; any but 0 is an error when the provider is built. It is here so that settings can be passed on
    /// as they are.
    #[must_use]
    pub fn database(mut self, database: u32) -> Self {
        self.redis = self.redis.database(database);
        self
    }

    /// How long one attempt to connect to the proxy may take; 5 seconds unless set.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.redis = self.redis.connect_timeout(timeout);
        self
    }

    /// How long a call may take, waiting for a connection included; 1 second unless set. Longer than the pool's
    /// `timeout`, better more than twice as long: else a server that hangs costs the connections to the proxy, and with
    /// them everybody's replies.
    #[must_use]
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.redis = self.redis.operation_timeout(timeout);
        self
    }

    /// The interval of TCP keep-alive probes; 5 seconds unless set, zero for none.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.redis = self.redis.keep_alive(interval);
        self
    }

    /// How many connections to the proxy to share among all calls; 4 unless set.
    ///
    /// The proxy answers each of them in the order of its requests, so whoever asks a server that hangs holds up those
    /// behind him, by up to the pool's `timeout`. Each call takes the connection with the fewest others under way, so
    /// that with several connections the others find one that moves.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = Some(connections);
        self
    }

    /// The longest attribute value that is sent; 512 MiB unless set, as the servers' own limit (`proto-max-bulk-len`).
    #[must_use]
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.redis = self.redis.max_value_bytes(bytes);
        self
    }

    /// The size of the proxy's buffers, as told to it by `--mbuf-size` (`-m`); 16,384 unless set, as there; 512 to
    /// 16,777,216.
    ///
    /// For a key that is not at least 49 bytes shorter the proxy would close the connection, so it is refused before
    /// anything is sent. Keys have a limit of 1,024 bytes anyway, so only buffers below 1,073 bytes matter.
    #[must_use]
    pub fn mbuf_size(mut self, bytes: usize) -> Self {
        self.mbuf_size = Some(bytes);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] naming the setting that is wrong or contradicts another.
    pub(crate) fn check(&self) -> Result<TwemproxySettings> {
        let mut redis = self.redis.clone().connections(self.connections.unwrap_or(4));
        if let Some(url) = &self.url {
            let url = as_for_redis(url)?;
            redis = redis.url(url);
        }
        let redis = redis.check()?;
        if redis.servers != Servers::Single {
            return Err(wrong("url", "serviceName: a TwemProxy is not found through sentinels"));
        }
        if redis.endpoint.database != 0 {
            return Err(wrong("database", "a TwemProxy has database 0 only"));
        }
        if redis.endpoint.credentials.as_ref().is_some_and(|credentials| credentials.username.is_some()) {
            return Err(wrong("username", "a TwemProxy has one password for all and no users"));
        }
        let mbuf_size = self.mbuf_size.unwrap_or(16 * 1024);
        if !(512..=16 * 1024 * 1024).contains(&mbuf_size) {
            return Err(wrong("mbuf_size", "must be between 512 and 16,777,216"));
        }
        Ok(TwemproxySettings { redis, max_key_bytes: SessionKey::MAX_LENGTH.min(mbuf_size - KEY_OVERHEAD) })
    }
}

/// By how many bytes a key must be shorter than the proxy's buffers: their own header, and one.
const KEY_OVERHEAD: usize = 49;

/// A URL as it is, a connection string without the option that says that this is a proxy. TLS is refused in both.
fn as_for_redis(url: &str) -> Result<String> {
    const NO_TLS: &str = "a TwemProxy speaks no TLS";
    if let Some((scheme, _)) = url.split_once("://").filter(|(scheme, _)| !scheme.contains([',', '='])) {
        return if scheme.eq_ignore_ascii_case("rediss") { Err(wrong("ssl", NO_TLS)) } else { Ok(url.to_owned()) };
    }
    let mut kept = Vec::new();
    for part in url.split(',') {
        let (name, value) = part.split_once('=').map_or((part, ""), |(name, value)| (name.trim(), value.trim()));
        match name.to_ascii_lowercase().as_str() {
            "ssl" if value.eq_ignore_ascii_case("true") => return Err(wrong("ssl", NO_TLS)),
            "proxy" if value.eq_ignore_ascii_case("twemproxy") => {}
            "proxy" => return Err(wrong("url", "proxy: this provider is for a TwemProxy")),
            _ => kept.push(part),
        }
    }
    Ok(kept.join(","))
}

fn wrong(setting: &str, why: &str) -> Error {
    Error::new(ErrorKind::Config, Operation::Configure, format!("`{setting}`: {why}"))
}

impl fmt::Debug for TwemproxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { redis, url, connections, mbuf_size } = self;
        // A URL may hold a password anywhere, also where it is wrong.
        f.debug_struct("TwemproxyConfig")
            .field("url", &url.as_ref().map(|_| "<hidden>"))
            .field("connections", connections)
            .field("mbuf_size", mbuf_size)
            .field("as_for_redis", redis)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use session_redis::transport::Address;

    use super::*;

    #[test]
    fn defaults() {
        let settings = TwemproxyConfig::new().check().unwrap();
        assert_eq!(settings.redis.endpoint.address, Address::Tcp { host: "127.0.0.1".into(), port: 6379 });
        assert_eq!((settings.redis.connections, settings.max_key_bytes), (4, 1024));
        assert_eq!(settings.redis.operation_timeout, Duration::from_secs(1));
        assert!(settings.redis.endpoint.credentials.is_none());
    }

    #[test]
    fn what_the_proxy_has_not_is_refused_wherever_it_is_set() {
        let config = TwemproxyConfig::new;
        for (wrong, setting) in [
            (config().database(1), "database"),
            (config().url("redis://127.0.0.1/1"), "database"),
            (config().url("127.0.0.1:1,defaultDatabase=1"), "database"),
            (config().url("redis+unix:///tmp/socket?db=1"), "database"),
            (config().username("shop").access_key("sesame"), "username"),
            (config().username("shop"), "username"),
            (config().url("redis://shop:sesame@127.0.0.1"), "username"),
            (config().url("127.0.0.1:1,user=shop,password=sesame"), "username"),
            (config().url("rediss://127.0.0.1"), "ssl"),
            (config().url("127.0.0.1:1, SSL = True"), "ssl"),
            (config().url("127.0.0.1:1,proxy=envoy"), "url"),
            (config().url("127.0.0.1:1,serviceName=mymaster"), "url"),
            (config().url("redis://127.0.0.1").port(1), "port"),
            (config().mbuf_size(511), "mbuf_size"),
            (config().mbuf_size(1 << 25), "mbuf_size"),
            (config().connections(0), "connections"),
            (config().operation_timeout(Duration::ZERO), "operation_timeout"),
        ] {
            let error = wrong.check().map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(&format!("`{setting}`")), "{setting}: {error}");
            assert!(!format!("{error} {error:?} {wrong:?}").contains("sesame"));
        }
    }

    #[test]
    fn a_settings_provider_answers_what_a_url_would_say() {
        let answering = |answer: &'static str| TwemproxyConfig::new().settings_provider(move || Ok(answer.to_owned()));
        let endpoint = answering("proxy:1,proxy=Twemproxy,password=x").check().unwrap().redis.endpoint;
        assert_eq!(endpoint.address, Address::Tcp { host: "proxy".into(), port: 1 });
        for (config, setting) in [
            (answering("rediss://:sesame@proxy"), "`ssl`"),
            (answering("redis://:sesame@proxy/1"), "`database`"),
            (answering("redis://proxy").url("redis://:sesame@proxy"), "`settings_provider`"),
        ] {
            let error = config.check().map(|_| ()).unwrap_err();
            assert!(error.to_string().contains(setting), "{error} should name {setting}");
            assert!(!format!("{error:?} {config:?}").contains("sesame"), "{error:?}");
        }
    }

    #[test]
    fn addresses_and_passwords() {
        let tcp = |host: &str, port| Address::Tcp { host: host.into(), port };
        for (config, address, password) in [
            (TwemproxyConfig::new().host("proxy").port(22121), tcp("proxy", 22121), None),
            (TwemproxyConfig::new().url("redis://:sesame@proxy:1/0"), tcp("proxy", 1), Some("sesame")),
            (
                TwemproxyConfig::new().url("proxy:1,proxy=twemproxy,ssl=false,password=a=b,defaultDatabase=0"),
                tcp("proxy", 1),
                Some("a=b"),
            ),
            (TwemproxyConfig::new().unix_socket("/tmp/s").access_key("x"), Address::Unix("/tmp/s".into()), Some("x")),
            (TwemproxyConfig::new().url("redis+unix:///tmp/s?pass=x"), Address::Unix("/tmp/s".into()), Some("x")),
        ] {
            let endpoint = config.check().unwrap().redis.endpoint;
            assert_eq!(endpoint.address, address);
            assert_eq!(endpoint.credentials.map(|it| it.access_key).as_deref(), password);
        }
    }

    #[test]
    fn keys_are_shorter_than_the_buffers() {
        for (mbuf_size, longest) in [(512, 463), (1072, 1023), (1073, 1024), (16_384, 1024)] {
            assert_eq!(TwemproxyConfig::new().mbuf_size(mbuf_size).check().unwrap().max_key_bytes, longest);
        }
    }
}
