//! The provider that keeps sessions in Redis servers behind a TwemProxy.

use std::fmt;

use async_trait::async_trait;
use session_core::{
    Capabilities, Checked, Commit, Committed, Destroyed, Destruction, Error, ErrorKind, Loaded, Operation, Renewal,
    Renewed, Result, Retired, Retirement, SessionKey, SessionProvider, Traffic, WriterId,
};
use session_redis::steps::Steps;
use session_redis::transport::{Endpoint, Link};

use crate::config::TwemproxyConfig;
use crate::connection::Proxy;
use crate::error;

/// Keeps sessions in the Redis servers behind a TwemProxy: one hash per session, which lies on one of them; read in one
/// round trip and written in one. The same hashes and scripts as of
/// [`RedisProvider`](session_redis::RedisProvider), so that one session can be reached by both.
///
/// Needs servers of version 7.0 or later, and a tokio runtime with I/O and time for every call (not for
/// [`new`](Self::new)). It connects when it is first used, and again whenever the connection was lost. Every call answers
/// within the operation timeout. No server can tell it of changes unasked
/// ([`Capabilities::server_push`] is `false`): the proxy passes answers only. How the proxy's pool must be set: see the [crate's documentation](crate).
///
/// ```no_run
/// use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};
///
/// let provider = TwemproxyProvider::new(&TwemproxyConfig::new().host("proxy.internal").port(22121))?;
/// # Ok::<(), session_core::Error>(())
/// ```
pub struct TwemproxyProvider {
    steps: Steps<Link<Proxy>>,
    /// Shares the counters of all connections.
    endpoint: Endpoint,
    capabilities: Capabilities,
    config: TwemproxyConfig,
}

impl TwemproxyProvider {
    /// Checks the settings. Does not connect, and does not need a runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] naming the setting that is wrong.
    pub fn new(config: &TwemproxyConfig) -> Result<Self> {
        let settings = config.check()?;
        let redis = settings.redis;
        let endpoint = redis.endpoint.clone();
        let link =
            Link::new(Proxy::new(redis.endpoint), redis.connections, redis.connect_timeout, redis.operation_timeout);
        Ok(Self {
            steps: Steps::new(link, redis.max_value_bytes).with_refusals(error::refusal, error::never_reconnect),
            capabilities: Capabilities::unlimited()
                .with_operation_timeout(redis.operation_timeout)
                .with_max_key_bytes(settings.max_key_bytes)
                .with_max_value_bytes(redis.max_value_bytes)
                .with_server_push(false),
            endpoint,
            config: config.clone(),
        })
    }

    /// The steps, if the key is one that the proxy takes: for a longer one it would close the connection.
    fn steps(&self, key: &SessionKey, operation: Operation) -> Result<&Steps<Link<Proxy>>> {
        let longest = self.capabilities.max_key_bytes;
        if key.as_bytes().len() > longest {
            let why = format!("the key is longer than the {longest} bytes that the proxy takes (setting `mbuf_size`)");
            return Err(Error::new(ErrorKind::KeyCallback, operation, why));
        }
        Ok(&self.steps)
    }
}

impl fmt::Debug for TwemproxyProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps: _, endpoint: _, capabilities, config } = self;
        f.debug_struct("TwemproxyProvider").field("capabilities", capabilities).field("config", config).finish()
    }
}

#[async_trait]
impl SessionProvider for TwemproxyProvider {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn traffic(&self) -> Traffic {
        self.endpoint.traffic()
    }

    async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded> {
        self.steps(key, Operation::Load)?.load(key, writer).await
    }

    async fn check(&self, key: &SessionKey) -> Result<Checked> {
        self.steps(key, Operation::Load)?.check(key).await
    }

    async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        self.steps(key, Operation::Commit)?.commit(key, commit).await
    }

    async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed> {
        self.steps(key, Operation::Renew)?.renew(key, renewal).await
    }

    async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        self.steps(key, Operation::Destroy)?.destroy(key, destruction).await
    }

    async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired> {
        self.steps(key, Operation::Rotate)?.retire(key, retirement).await
    }
}
