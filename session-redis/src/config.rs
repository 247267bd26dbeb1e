//! Settings of a connection.

mod parse;
mod settings_provider;
mod topology;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Result};

use crate::transport::{Address, Credentials, Endpoint};
use parse::Parsed;
use settings_provider::SettingsProvider;
pub use topology::{Servers, Topology};

/// Where Redis is and how to talk to it.
///
/// The setters cannot fail; everything is checked when the provider is built. A URL or connection string excludes the
/// settings that it stands for: `host`, `port`, `unix_socket`, `username`, `access_key` and `ssl`, and `database` if it
/// names one. `Debug` hides the access key, also in the URL.
///
/// ```
/// use session_redis::{RedisConfig, Topology};
///
/// for config in [
///     RedisConfig::new(),
///     RedisConfig::new().host("redis.internal").username("shop").access_key("open sesame").database(2),
///     RedisConfig::new().url("redis://shop:open%20sesame@redis.internal/2"),
///     RedisConfig::new().url("redis+unix:///run/redis/redis.sock?db=2"),
///     RedisConfig::new().url("redis.internal:6379,password=open sesame,defaultDatabase=2,abortConnect=False"),
///     RedisConfig::new().topology(Topology::sentinel("mymaster", ["one.internal", "two.internal", "three.internal"])),
/// ] {
///     config.check()?;
///     assert!(!format!("{config:?}").contains("sesame"));
/// }
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RedisConfig {
    url: Option<String>,
    settings_provider: Option<SettingsProvider>,
    host: Option<String>,
    port: Option<u16>,
    unix_socket: Option<PathBuf>,
    topology: Option<Topology>,
    username: Option<String>,
    access_key: Option<String>,
    database: Option<u32>,
    ssl: Option<bool>,
    ca_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_key: Option<PathBuf>,
    server_name: Option<String>,
    connect_timeout: Option<Duration>,
    operation_timeout: Option<Duration>,
    keep_alive: Option<Duration>,
    connections: Option<usize>,
    max_value_bytes: Option<usize>,
}

impl RedisConfig {
    /// Redis on this host's port 6379, database 0, without credentials and TLS.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where Redis is, as a URL: `redis://`, `rediss://` (with TLS), `redis+unix://` or `unix://`, in general
    /// `redis://username:password@host:port/database`, `redis+unix:///path?user=…&pass=…&db=…`. User name, password,
    /// path and values may be percent-encoded.
    ///
    /// Or as a connection string: `host:port,password=…,ssl=true,defaultDatabase=1`. It may also set `user`, `sslHost`
    /// (here [`server_name`](Self::server_name)), and `connectTimeout`, `syncTimeout` (milliseconds), `keepAlive`
    /// (seconds), where those were not set otherwise. With `serviceName` the servers, one or several, are the sentinels
    /// that know the master of this name, see [`Topology::sentinel`]; they are not told the password. Options that mean nothing here are ignored (`abortConnect`,
    /// `allowAdmin`, `connectRetry`, `resolveDns`, `name`, …), others are an error.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Asks this closure for what [`url`](Self::url) would be told, for instance from a store of secrets; not together
    /// with `url`. It is asked whenever the settings are checked, which is once for each provider that is built of them,
    /// not when a connection is made again.
    ///
    /// If it panics or answers something unusable, that is an error of kind [`ErrorKind::Config`], as is an error of
    /// its own, which becomes the source; what it answered is shown nowhere.
    ///
    /// ```
    /// use session_redis::RedisConfig;
    ///
    /// let config = RedisConfig::new().settings_provider(|| Ok("redis.internal:6379,password=open sesame".to_owned()));
    /// assert!(config.check()?.endpoint.credentials.is_some());
    /// # Ok::<(), session_core::Error>(())
    /// ```
    #[must_use]
    pub fn settings_provider(mut self, provider: impl Fn() -> Result<String> + Send + Sync + 'static) -> Self {
        self.settings_provider = Some(SettingsProvider::new(provider));
        self
    }

    /// Host name or address; `127.0.0.1` unless set.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Port; 6379 unless set, 6380 with TLS.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The path of a Unix socket, instead of host and port.
    #[must_use]
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix_socket = Some(path.into());
        self
    }

    /// How many servers there are, and which of them has a session; [`Topology::single`] unless set. Another names the
    /// servers itself, and excludes `url`, `host`, `port` and `unix_socket`.
    #[must_use]
    pub fn topology(mut self, topology: Topology) -> Self {
        self.topology = Some(topology);
        self
    }

    /// ACL user; the default user unless set.
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Password; none unless set.
    #[must_use]
    pub fn access_key(mut self, access_key: impl Into<String>) -> Self {
        self.access_key = Some(access_key.into());
        self
    }

    /// Database number; 0 unless set.
    #[must_use]
    pub fn database(mut self, database: u32) -> Self {
        self.database = Some(database);
        self
    }

    /// Whether to use TLS; not unless set. There is no fall-back to plain text.
    #[must_use]
    pub fn ssl(mut self, ssl: bool) -> Self {
        self.ssl = Some(ssl);
        self
    }

    /// A PEM file of the authorities to trust; the system's unless set. Needs TLS.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// PEM files of a certificate to show to the server and of its private key; none unless set. Needs TLS.
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.client_certificate = Some(certificate.into());
        self.client_key = Some(key.into());
        self
    }

    /// The name that the server's certificate must be for; the host unless set. Needs TLS.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// How long one attempt to connect may take, from resolving the name to the first reply; 5 seconds unless set.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long a call may take, waiting for a connection included; 1 second unless set.
    #[must_use]
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = Some(timeout);
        self
    }

    /// The interval of TCP keep-alive probes; 5 seconds unless set, zero for none.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = Some(interval);
        self
    }

    /// How many connections to share among all calls; 1 unless set.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = Some(connections);
        self
    }

    /// The longest attribute value that is sent; 512 MiB unless set, as the server's own limit (`proto-max-bulk-len`).
    #[must_use]
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = Some(bytes);
        self
    }

    /// Checks the settings and reads the files they name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] naming the setting that is wrong or contradicts another.
    pub fn check(&self) -> Result<RedisSettings> {
        let parsed = self.parsed()?;
        let ssl = self.ssl.or(parsed.ssl).unwrap_or(false);
        let servers = match self.several().or(parsed.topology.as_ref()) {
            Some(topology) => topology.check(ssl)?,
            None => Servers::Single,
        };
        let address = match &servers {
            Servers::Single => self.address(&parsed, ssl)?,
            Servers::Sentinel { sentinels: nodes, .. } | Servers::Cluster { nodes } => {
                self.require_no_address()?;
                nodes[0].clone()
            }
        };
        let over_unix = matches!(address, Address::Unix(_));
        let server_name = self.server_name.clone().or(parsed.server_name);
        for (setting, set) in [
            ("ca_file", self.ca_file.is_some()),
            ("client_certificate", self.client_certificate.is_some()),
            ("server_name", server_name.is_some()),
        ] {
            require(!set || ssl, setting, "needs `ssl`")?;
        }
        require(!(ssl && over_unix), "ssl", "a Unix socket has no TLS")?;
        let mut endpoint = Endpoint::new(address);
        if ssl {
            self.set_tls(&mut endpoint, server_name.as_deref())?;
        }
        endpoint.credentials =
            credentials(self.username.clone().or(parsed.username), self.access_key.clone().or(parsed.access_key))?;
        endpoint.database = self.database.or(parsed.database).unwrap_or(0);
        endpoint.keep_alive =
            Some(self.keep_alive.or(parsed.keep_alive).unwrap_or(Duration::from_secs(5))).filter(|it| !it.is_zero());
        let settings = RedisSettings {
            endpoint,
            servers,
            connections: self.connections.unwrap_or(1),
            connect_timeout: self.connect_timeout.or(parsed.connect_timeout).unwrap_or(Duration::from_secs(5)),
            operation_timeout: self.operation_timeout.or(parsed.operation_timeout).unwrap_or(Duration::from_secs(1)),
            max_value_bytes: self.max_value_bytes.unwrap_or(MOST_VALUE_BYTES),
        };
        settings.check()?;
        Ok(settings)
    }

    /// What the URL says, after making sure that nothing else says the same.
    fn parsed(&self) -> Result<Parsed> {
        let whole = match (&self.url, &self.settings_provider) {
            (None, None) => return Ok(Parsed::default()),
            (Some(_), None) => "url",
            (None, Some(_)) => "settings_provider",
            (Some(_), Some(_)) => return Err(wrong("settings_provider", "cannot be set together with `url`")),
        };
        for (setting, set) in [
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("unix_socket", self.unix_socket.is_some()),
            ("username", self.username.is_some()),
            ("access_key", self.access_key.is_some()),
            ("ssl", self.ssl.is_some()),
        ] {
            require(!set, setting, &format!("cannot be set together with `{whole}`"))?;
        }
        require(self.several().is_none(), "topology", &format!("cannot be set together with `{whole}`"))?;
        let parsed = match (&self.url, &self.settings_provider) {
            (Some(url), _) => parse::parse(url)?,
            (None, Some(provider)) => provider.parsed()?,
            (None, None) => Parsed::default(),
        };
        let twice = self.database.is_some() && parsed.database.is_some();
        require(!twice, "database", &format!("is also in `{whole}`"))?;
        Ok(parsed)
    }

    /// The topology, if it is one that names the servers.
    fn several(&self) -> Option<&Topology> {
        self.topology.as_ref().filter(|topology| **topology != Topology::single())
    }

    /// Makes sure that nothing but the topology says where the servers are.
    fn require_no_address(&self) -> Result<()> {
        for (set, why) in [
            (self.host.is_some(), "names the servers, so it cannot be set together with `host`"),
            (self.port.is_some(), "names the servers, so it cannot be set together with `port`"),
            (self.unix_socket.is_some(), "names the servers, so it cannot be set together with `unix_socket`"),
        ] {
            require(!set, "topology", why)?;
        }
        Ok(())
    }

    fn address(&self, parsed: &Parsed, ssl: bool) -> Result<Address> {
        if let Some(path) = self.unix_socket.as_ref().or(parsed.unix_socket.as_ref()) {
            let both = self.host.is_some() || self.port.is_some();
            require(!both, "unix_socket", "cannot be set together with `host` or `port`")?;
            require(path.is_absolute(), "unix_socket", "must be an absolute path")?;
            return Ok(Address::Unix(path.clone()));
        }
        let host = self.host.as_ref().or(parsed.host.as_ref()).map_or("127.0.0.1", String::as_str);
        require(is_host(host), "host", "is no host name or address")?;
        let port = self.port.or(parsed.port).unwrap_or(if ssl { 6380 } else { 6379 });
        require(port != 0, "port", "must not be 0")?;
        Ok(Address::Tcp { host: host.to_owned(), port })
    }

    #[cfg(feature = "tls")]
    fn set_tls(&self, endpoint: &mut Endpoint, server_name: Option<&str>) -> Result<()> {
        use crate::transport::{ClientIdentity, Tls};

        let identity = match (&self.client_certificate, &self.client_key) {
            (Some(certificate), Some(key)) => Some(ClientIdentity { certificate, key }),
            _ => None,
        };
        endpoint.tls = Some(Tls::new(self.ca_file.as_deref(), identity, server_name)?.into());
        Ok(())
    }

    #[cfg(not(feature = "tls"))]
    #[allow(clippy::unused_self)]
    fn set_tls(&self, _: &mut Endpoint, _: Option<&str>) -> Result<()> {
        Err(wrong("ssl", "this program was built without TLS (feature `tls`)"))
    }
}

/// As the server's own limit is unless set.
const MOST_VALUE_BYTES: usize = 512 * 1024 * 1024;

/// Settings that were checked, with defaults filled in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RedisSettings {
    /// The server, and how to be let in. Where the settings name several, its address is that of the first.
    pub endpoint: Endpoint,
    /// Which servers there are.
    pub servers: Servers,
    /// How many connections to share.
    pub connections: usize,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// How long a call may take.
    pub operation_timeout: Duration,
    /// The longest attribute value that is sent.
    pub max_value_bytes: usize,
}

impl RedisSettings {
    /// The same in another database.
    pub(crate) fn in_database(mut self, database: u32) -> Result<Self> {
        self.endpoint.database = database;
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<()> {
        /// Longer than anybody waits, and far from where adding to a clock overflows.
        const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
        let Self { endpoint, servers, connections, connect_timeout, operation_timeout, max_value_bytes } = self;
        let possible = endpoint.database == 0 || !matches!(servers, Servers::Cluster { .. });
        require(possible, "database", "a cluster has database 0 only (setting `topology`)")?;
        for (setting, timeout) in [("connect_timeout", connect_timeout), ("operation_timeout", operation_timeout)] {
            require(!timeout.is_zero(), setting, "must not be zero")?;
            require(*timeout <= LONGEST, setting, "must not be longer than a day")?;
        }
        let keep_alive = endpoint.keep_alive.unwrap_or(Duration::from_secs(1));
        let possible = (Duration::from_secs(1)..=Duration::from_secs(32_767)).contains(&keep_alive);
        require(possible, "keep_alive", "must be zero or between 1 and 32,767 seconds")?;
        require((1..=256).contains(connections), "connections", "must be between 1 and 256")?;
        require((1..=MOST_VALUE_BYTES).contains(max_value_bytes), "max_value_bytes", "must be between 1 and 512 MiB")
    }
}

/// Whether this may be the name or address of a host.
fn is_host(host: &str) -> bool {
    let odd = |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"/,@[]".contains(&byte);
    !host.is_empty() && !host.bytes().any(odd)
}

fn credentials(username: Option<String>, access_key: Option<String>) -> Result<Option<Credentials>> {
    require(access_key.as_deref() != Some(""), "access_key", "must not be empty")?;
    require(username.as_deref() != Some(""), "username", "must not be empty")?;
    match (username, access_key) {
        (username, Some(access_key)) => Ok(Some(Credentials { username, access_key })),
        (Some(_), None) => Err(wrong("username", "needs `access_key`")),
        (None, None) => Ok(None),
    }
}

fn require(condition: bool, setting: &str, why: &str) -> Result<()> {
    if condition { Ok(()) } else { Err(wrong(setting, why)) }
}

fn wrong(setting: &str, why: &str) -> Error {
    Error::new(ErrorKind::Config, Operation::Configure, format!("`{setting}`: {why}"))
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            settings_provider,
            host,
            port,
            unix_socket,
            topology,
            username,
            access_key,
            database,
            ssl,
            ca_file,
            client_certificate,
            client_key,
            server_name,
            connect_timeout,
            operation_timeout,
            keep_alive,
            connections,
            max_value_bytes,
        } = self;
        // Only what was set is shown. A URL may hold a password anywhere, also where it is wrong, so it is not.
        let mut debug = f.debug_struct("RedisConfig");
        let mut show = |name: &str, value: Option<&dyn fmt::Debug>| {
            if let Some(value) = value {
                debug.field(name, value);
            }
        };
        let hidden: &dyn fmt::Debug = &"<hidden>";
        show("url", url.as_ref().map(|_| hidden));
        show("settings_provider", settings_provider.as_ref().map(|it| it as _));
        show("host", host.as_ref().map(|it| it as _));
        show("port", port.as_ref().map(|it| it as _));
        show("unix_socket", unix_socket.as_ref().map(|it| it as _));
        show("topology", topology.as_ref().map(|it| it as _));
        show("username", username.as_ref().map(|it| it as _));
        show("access_key", access_key.as_ref().map(|_| hidden));
        show("database", database.as_ref().map(|it| it as _));
        show("ssl", ssl.as_ref().map(|it| it as _));
        show("ca_file", ca_file.as_ref().map(|it| it as _));
        show("client_certificate", client_certificate.as_ref().map(|it| it as _));
        show("client_key", client_key.as_ref().map(|it| it as _));
        show("server_name", server_name.as_ref().map(|it| it as _));
        show("connect_timeout", connect_timeout.as_ref().map(|it| it as _));
        show("operation_timeout", operation_timeout.as_ref().map(|it| it as _));
        show("keep_alive", keep_alive.as_ref().map(|it| it as _));
        show("connections", connections.as_ref().map(|it| it as _));
        show("max_value_bytes", max_value_bytes.as_ref().map(|it| it as _));
        debug.finish()
    }
}
