//! The provider that keeps sessions in Redis.

use std::fmt;

use async_trait::async_trait;
use session_core::{
    Capabilities, Checked, Commit, Committed, Destroyed, Destruction, Loaded, Renewal, Renewed, Result, Retired,
    Retirement, SessionKey, SessionProvider, Traffic, WriterId,
};

use crate::config::{RedisConfig, RedisSettings};
use crate::error;
use crate::reach::Reach;
use crate::steps::Steps;
use crate::transport::Endpoint;

/// Keeps sessions in Redis, a single server, a master behind sentinels or a cluster (see
/// [`Topology`](crate::Topology)): one hash per session, read in one round trip and written in one.
///
/// Needs servers of version 7.0 or later, and a tokio runtime with I/O and time for every call (not for
/// [`new`](Self::new)). It connects when it is first used, and again whenever the connection was lost. Every call answers
/// within the operation timeout.
///
/// A server can tell its clients of changes unasked
/// ([`Capabilities::server_push`](session_core::Capabilities::server_push)), since a connection reaches it directly.
/// [`traffic`](SessionProvider::traffic) counts all connections, also those that were lost; a reply that arrives after
/// its request was given up is counted by its bytes only.
///
/// The server needs to permit `EVAL`, `EVALSHA`, `HGETALL`, `HMGET`, `PTTL`, `PING`, and inside scripts `HSET`, `HDEL`,
/// `HEXISTS`, `EXISTS`, `PEXPIRE`, `UNLINK` and `TIME`; beyond database 0 also `SELECT`; behind sentinels also `ROLE`, and
/// in a cluster `CLUSTER SLOTS` and `ASKING`.
///
/// ```no_run
/// use session_redis::{RedisConfig, RedisProvider};
///
/// let provider = RedisProvider::new(&RedisConfig::new().host("redis.internal").access_key("not in the source code"))?;
/// # Ok::<(), session_core::Error>(())
/// ```
pub struct RedisProvider {
    steps: Steps<Reach>,
    /// Shares the counters of all connections.
    endpoint: Endpoint,
    capabilities: Capabilities,
    config: RedisConfig,
}

impl RedisProvider {
    /// Checks the settings and reads the files they name. Does not connect, and does not need a runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](session_core::ErrorKind::Config) naming the setting that is wrong.
    pub fn new(config: &RedisConfig) -> Result<Self> {
        Ok(Self::with_settings(config, config.check()?))
    }

    /// With these settings, to which the configuration has led.
    pub(crate) fn with_settings(config: &RedisConfig, settings: RedisSettings) -> Self {
        let endpoint = settings.endpoint.clone();
        let reach = Reach::new(&settings);
        let refusals = reach.refusals();
        let steps = Steps::new(reach, settings.max_value_bytes).with_refusals(refusals, error::should_reconnect);
        Self {
            steps,
            capabilities: Capabilities::unlimited()
                .with_operation_timeout(settings.operation_timeout)
                .with_max_value_bytes(settings.max_value_bytes)
                .with_server_push(true),
            endpoint,
            config: config.clone(),
        }
    }
}

impl fmt::Debug for RedisProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps: _, endpoint: _, capabilities, config } = self;
        f.debug_struct("RedisProvider").field("capabilities", capabilities).field("config", config).finish()
    }
}

#[async_trait]
impl SessionProvider for RedisProvider {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn traffic(&self) -> Traffic {
        self.endpoint.traffic()
    }

    async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded> {
        self.steps.load(key, writer).await
    }

    async fn check(&self, key: &SessionKey) -> Result<Checked> {
        self.steps.check(key).await
    }

    async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        self.steps.commit(key, commit).await
    }

    async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed> {
        self.steps.renew(key, renewal).await
    }

    async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        self.steps.destroy(key, destruction).await
    }

    async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired> {
        self.steps.retire(key, retirement).await
    }
}
