//! The settings of one connection, and the provider that they describe.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use session_core::{MemoryProvider, Result, SessionManagerBuilder, SessionProvider, SessionSerializer};
use session_redis::{RedisConfig, RedisProvider, Topology};

use crate::choice::{Provider, TopologyKind};
use crate::error::wrong;
use crate::secret::Secret;
use crate::table::settings;
use crate::value::List;

settings! {
    /// The settings of one connection: where sessions are kept, and how to get there.
    ///
    /// In code, for [`Settings::with_connection`](crate::Settings::with_connection). The setters cannot fail; everything
    /// is checked when the manager is built. `Debug` shows what is set, and hides secrets.
    ///
    /// ```
    /// use session_settings::{ConnectionSettings, Settings};
    ///
    /// let europe = ConnectionSettings::new().host("eu.redis.internal").access_key("open sesame");
    /// assert!(!format!("{europe:?}").contains("sesame"));
    /// let manager = Settings::new().with_connection("eu", europe).manager()?;
    /// # Ok::<(), session_core::Error>(())
    /// ```
    pub struct ConnectionSettings {
        settings_provider: Option<SettingsProvider>,
    }

    /// Where sessions are kept: `redis`, `twemproxy`, or `memory`, which ends with the process and looks at none of the
    /// settings below. A further connection has that of the first one, unless it says otherwise.
    provider: Provider, default "redis";

    /// Where Redis is, as `redis://user:access_key@host:port/database`, `rediss://` for TLS, `redis+unix:///path?db=0`, or
    /// a connection string like `host:port,password=...,ssl=true,defaultDatabase=1`. Not together with what it stands
    /// for: host, port, unix_socket, username, access_key, ssl. Hidden, since it may hold the access key.
    url (into): Secret, example "redis://127.0.0.1:6379", also "connection_string" Written, "connectionString" Written;

    /// Host name or address.
    host (into): String, default "127.0.0.1";

    /// Port; unless set, 6380 with TLS.
    port: u16, default 6379;

    /// The path of a Unix socket, instead of host and port.
    unix_socket (into): PathBuf, example "/run/redis/redis.sock";

    /// The ACL user. Needs access_key. Not for a TwemProxy, which has no users.
    username (into): String, example "shop";

    /// The password; with a TwemProxy, its `redis_auth`. Hidden.
    access_key (into): Secret, example "open sesame", also "accessKey" Written;

    /// Whether to use TLS; there is no fall-back to plain text. Not for a TwemProxy.
    ssl: bool, default false;

    /// A PEM file of the authorities to trust, instead of the system's. Needs TLS.
    ca_file (into): PathBuf, example "/etc/shop/ca.pem";

    /// A PEM file of the certificate to show to the server. Needs TLS and client_key.
    client_certificate (into): PathBuf, example "/etc/shop/client.pem";

    /// A PEM file of the private key of client_certificate.
    client_key (into): PathBuf, example "/etc/shop/client.key";

    /// The name that the server's certificate must be for, if not the host. Needs TLS.
    server_name (into): String, example "redis.internal";

    /// The number of the database. 0 is the only one of a TwemProxy and of a cluster.
    database: u32, default 0, also "databaseId" Written;

    /// How long one attempt to connect may take.
    connect_timeout: Duration, default "5s", also "connectionTimeoutInMilliseconds" Milliseconds;

    /// How long a call may take, waiting for a connection included. With a TwemProxy, longer than its pool's `timeout`.
    operation_timeout: Duration, default "1s", also "operationTimeoutInMilliseconds" Milliseconds;

    /// The interval of TCP keep-alive probes; 0 for none.
    keep_alive: Duration, default "5s";

    /// How many connections to share among all calls, 1 to 256; unless set, 4 to a TwemProxy.
    connections: usize, default 1;

    /// The longest attribute value that is sent, in bytes; as the server's own limit, `proto-max-bulk-len`.
    max_value_bytes: usize, default 536870912;

    /// The size of a TwemProxy's buffers, as it is told by `--mbuf-size`, in bytes. Only for a TwemProxy.
    mbuf_size: usize, example 16384;

    /// What stands behind the address: `single`, one server; `sentinel`, a master that Sentinels watch; `cluster`, a Redis
    /// Cluster.
    topology: TopologyKind, default "single";

    /// The addresses of Sentinels, or of some nodes of the cluster, instead of url, host and port; from any of them the
    /// others are found. Separated by commas in the environment.
    nodes (into): List, example ["10.0.0.1:26379", "10.0.0.2:26379", "10.0.0.3:26379"];

    /// How the Sentinels call the master.
    master_name (into): String, example "mymaster";

    /// The ACL user at the Sentinels. Needs sentinel_access_key.
    sentinel_username (into): String, example "shop";

    /// The Sentinels' own password; that of the servers is access_key. Hidden.
    sentinel_access_key (into): Secret, example "open sesame";
}

impl ConnectionSettings {
    /// Nothing is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks this closure for what [`url`](Self::url) would be told, whenever a manager is built; not together with `url`.
    /// Only in code. [`RedisConfig::settings_provider`] tells more.
    #[must_use]
    pub fn settings_provider(mut self, provider: impl Fn() -> Result<String> + Send + Sync + 'static) -> Self {
        self.settings_provider = Some(SettingsProvider(Arc::new(provider)));
        self
    }

    /// These settings, and where they say nothing, those of `self`.
    ///
    /// A `url` in `over` says all of what it stands for at once (`host`, `port`, `unix_socket`, `username`, `access_key`,
    /// `ssl`), so none of that remains of `self`. The other way round, a `host` over a `url` stays an error when the
    /// manager is built: nobody can tell what of the URL was meant to remain.
    #[must_use]
    pub fn overlay(mut self, over: Self) -> Self {
        if over.url.is_some() {
            let kept = Self { host: None, port: None, unix_socket: None, username: None, access_key: None, ..self };
            self = Self { ssl: None, ..kept };
        }
        let settings_provider = over.settings_provider.clone().or(self.settings_provider.take());
        Self { settings_provider, ..self.overlay_values(over) }
    }

    /// The settings of a connection to a Redis, for programs that make the provider themselves.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](session_core::ErrorKind::Config) naming a setting that is not for a Redis, or lacks another
    /// one. Everything else is checked by [`RedisConfig::check`].
    pub fn redis_config(&self) -> Result<RedisConfig> {
        let Self {
            provider: _,
            url,
            host,
            port,
            unix_socket,
            username,
            access_key,
            ssl,
            ca_file,
            client_certificate,
            client_key,
            server_name,
            database,
            connect_timeout,
            operation_timeout,
            keep_alive,
            connections,
            max_value_bytes,
            mbuf_size,
            topology: _,
            nodes: _,
            master_name: _,
            sentinel_username: _,
            sentinel_access_key: _,
            settings_provider,
        } = self;
        refuse("is only for a TwemProxy", [("mbuf_size", mbuf_size.is_some())])?;
        let mut config = RedisConfig::new();
        config = given(config, &self.several()?, RedisConfig::topology);
        config = given(config, url, |config, url| config.url(url.into_text()));
        config = given(config, settings_provider, |config, provider| config.settings_provider(move || (provider.0)()));
        config = given(config, host, RedisConfig::host);
        config = given(config, port, RedisConfig::port);
        config = given(config, unix_socket, RedisConfig::unix_socket);
        config = given(config, username, RedisConfig::username);
        config = given(config, access_key, |config, key| config.access_key(key.into_text()));
        config = given(config, ssl, RedisConfig::ssl);
        config = given(config, ca_file, RedisConfig::ca_file);
        config = match (client_certificate, client_key) {
            (Some(certificate), Some(key)) => config.client_certificate(certificate, key),
            (None, None) => config,
            (Some(_), None) => return Err(wrong("client_certificate", "needs `client_key`")),
            (None, Some(_)) => return Err(wrong("client_key", "needs `client_certificate`")),
        };
        config = given(config, server_name, RedisConfig::server_name);
        config = given(config, database, RedisConfig::database);
        config = given(config, connect_timeout, RedisConfig::connect_timeout);
        config = given(config, operation_timeout, RedisConfig::operation_timeout);
        config = given(config, keep_alive, RedisConfig::keep_alive);
        config = given(config, connections, RedisConfig::connections);
        Ok(given(config, max_value_bytes, RedisConfig::max_value_bytes))
    }

    /// The topology, if it is not a single server; with nothing missing for it, and nothing set for another one.
    fn several(&self) -> Result<Option<Topology>> {
        let of_sentinels = [
            ("master_name", self.master_name.is_some()),
            ("sentinel_username", self.sentinel_username.is_some()),
            ("sentinel_access_key", self.sentinel_access_key.is_some()),
        ];
        let kind = self.topology_kind();
        if kind != TopologyKind::Sentinel {
            refuse("needs `topology` sentinel", of_sentinels)?;
        }
        if kind == TopologyKind::Single {
            refuse("needs `topology` sentinel or cluster", [("nodes", self.nodes.is_some())])?;
            return Ok(None);
        }
        let nodes = self.nodes.clone().map(List::into_texts).unwrap_or_default();
        if nodes.is_empty() {
            return Err(wrong("topology", "sentinel and cluster need `nodes`"));
        }
        if kind == TopologyKind::Cluster {
            return Ok(Some(Topology::cluster(nodes)));
        }
        let Some(master_name) = &self.master_name else {
            return Err(wrong("topology", "sentinel needs `master_name`"));
        };
        let topology = Topology::sentinel(master_name, nodes);
        match (&self.sentinel_username, &self.sentinel_access_key) {
            (username, Some(access_key)) => {
                Ok(Some(topology.with_sentinel_credentials(username.clone(), access_key.clone().into_text())))
            }
            (Some(_), None) => Err(wrong("sentinel_username", "needs `sentinel_access_key`")),
            (None, None) => Ok(Some(topology)),
        }
    }

    /// The settings of a connection to a TwemProxy, for programs that make the provider themselves.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](session_core::ErrorKind::Config) naming a setting of something that a TwemProxy does not
    /// have. Everything else is checked when the provider is made.
    #[cfg(feature = "twemproxy")]
    pub fn twemproxy_config(&self) -> Result<session_twemproxy::TwemproxyConfig> {
        use session_twemproxy::TwemproxyConfig;

        let Self {
            provider: _,
            url,
            host,
            port,
            unix_socket,
            username,
            access_key,
            ssl,
            ca_file,
            client_certificate,
            client_key,
            server_name,
            database,
            connect_timeout,
            operation_timeout,
            keep_alive,
            connections,
            max_value_bytes,
            mbuf_size,
            topology,
            nodes,
            master_name,
            sentinel_username,
            sentinel_access_key,
            settings_provider,
        } = self;
        let no_tls = [
            ("ssl", *ssl == Some(true)),
            ("ca_file", ca_file.is_some()),
            ("client_certificate", client_certificate.is_some()),
            ("client_key", client_key.is_some()),
            ("server_name", server_name.is_some()),
        ];
        refuse("a TwemProxy speaks no TLS", no_tls)?;
        let one_address = [
            ("topology", topology.is_some_and(|topology| topology != TopologyKind::Single)),
            ("nodes", nodes.is_some()),
            ("master_name", master_name.is_some()),
            ("sentinel_username", sentinel_username.is_some()),
            ("sentinel_access_key", sentinel_access_key.is_some()),
        ];
        refuse("a TwemProxy has one address", one_address)?;
        let mut config = TwemproxyConfig::new();
        config = given(config, url, |config, url| config.url(url.into_text()));
        config = given(config, settings_provider, |config, provider| config.settings_provider(move || (provider.0)()));
        config = given(config, host, TwemproxyConfig::host);
        config = given(config, port, TwemproxyConfig::port);
        config = given(config, unix_socket, TwemproxyConfig::unix_socket);
        config = given(config, username, TwemproxyConfig::username);
        config = given(config, access_key, |config, key| config.access_key(key.into_text()));
        config = given(config, database, TwemproxyConfig::database);
        config = given(config, connect_timeout, TwemproxyConfig::connect_timeout);
        config = given(config, operation_timeout, TwemproxyConfig::operation_timeout);
        config = given(config, keep_alive, TwemproxyConfig::keep_alive);
        config = given(config, connections, TwemproxyConfig::connections);
        config = given(config, max_value_bytes, TwemproxyConfig::max_value_bytes);
        Ok(given(config, mbuf_size, TwemproxyConfig::mbuf_size))
    }

    /// The provider of the connection, or of the first connection where this one does not say.
    pub(crate) fn provider_kind(&self) -> Option<Provider> {
        self.provider
    }

    /// What stands behind the address.
    pub(crate) fn topology_kind(&self) -> TopologyKind {
        self.topology.unwrap_or_default()
    }

    /// Gives it to the builder under this name, with all that it takes to open it in another database, too.
    pub(crate) fn give<S: SessionSerializer>(
        &self,
        builder: SessionManagerBuilder<S>,
        name: &str,
        provider: Provider,
    ) -> Result<SessionManagerBuilder<S>> {
        match provider {
            Provider::Memory => Ok(builder.connection(name, MemoryProvider::new())),
            Provider::Redis => Ok(builder.connection_with_options(name, self.redis_config()?)),
            #[cfg(feature = "twemproxy")]
            Provider::Twemproxy => Ok(builder.connection_with_options(name, self.twemproxy_config()?)),
            #[cfg(not(feature = "twemproxy"))]
            Provider::Twemproxy => Err(without_twemproxy()),
        }
    }

    /// Makes the provider. Nothing is connected yet.
    pub(crate) fn build(&self, provider: Provider) -> Result<Arc<dyn SessionProvider>> {
        match provider {
            Provider::Memory => Ok(Arc::new(MemoryProvider::new())),
            Provider::Redis => Ok(Arc::new(RedisProvider::new(&self.redis_config()?)?)),
            #[cfg(feature = "twemproxy")]
            Provider::Twemproxy => Ok(Arc::new(session_twemproxy::TwemproxyProvider::new(&self.twemproxy_config()?)?)),
            #[cfg(not(feature = "twemproxy"))]
            Provider::Twemproxy => Err(without_twemproxy()),
        }
    }
}

#[cfg(not(feature = "twemproxy"))]
fn without_twemproxy() -> session_core::Error {
    wrong("provider", "this program was built without the feature `twemproxy` of session-settings")
}

impl fmt::Debug for ConnectionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ConnectionSettings");
        self.show_values(&mut debug);
        if self.settings_provider.is_some() {
            debug.field("settings_provider", &"<closure>");
        }
        debug.finish()
    }
}

/// Equal are only clones of one.
#[derive(Clone)]
struct SettingsProvider(Arc<dyn Fn() -> Result<String> + Send + Sync>);

impl PartialEq for SettingsProvider {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Passes a value on, if there is one.
pub(crate) fn given<C, T: Clone>(config: C, value: &Option<T>, set: impl FnOnce(C, T) -> C) -> C {
    match value {
        Some(value) => set(config, value.clone()),
        None => config,
    }
}

/// None of these is to be set.
fn refuse<const N: usize>(why: &'static str, settings: [(&str, bool); N]) -> Result<()> {
    match settings.iter().find(|(_, set)| *set) {
        Some((setting, _)) => Err(wrong(setting, why)),
        None => Ok(()),
    }
}
