//! Connections to a TwemProxy: opened as to a Redis, and unable to send anything but a [`ProxyCommand`].

use session_core::Result;
use session_redis::transport::{
    Command, Connect, Connection, Driver, Endpoint, Lost, RedisConnection, Reply, ServerError,
};

use crate::command::ProxyCommand;
use crate::error;

/// A TwemProxy. Connecting says `AUTH` with a password, if there is one, and `PING`: nothing else.
#[derive(Clone)]
pub(crate) struct Proxy(Endpoint);

impl Proxy {
    /// The proxy at this endpoint, which has neither a user's name nor a database other than 0.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self(endpoint)
    }
}

impl Connect for Proxy {
    type Connection = ProxyConnection;

    async fn connect(&self) -> Result<(ProxyConnection, Driver)> {
        let (connection, driver) = self.0.connect().await?;
        Ok((ProxyConnection(connection), driver))
    }
}

/// A connection on which nothing can be said but what the proxy understands.
#[derive(Clone)]
pub(crate) struct ProxyConnection(RedisConnection);

impl ProxyConnection {
    /// The only use of the connection inside.
    async fn send(&self, commands: &[ProxyCommand<'_>]) -> Result<Vec<Reply>, Lost> {
        let commands: Vec<_> = commands.iter().map(|command| command.to_command()).collect();
        self.0.request(&commands).await
    }
}

impl Connection for ProxyConnection {
    async fn request(&self, commands: &[Command]) -> Result<Vec<Reply>, Lost> {
        match commands.iter().map(ProxyCommand::from_command).collect::<Option<Vec<_>>>() {
            Some(commands) => self.send(&commands).await,
            // Nothing is sent, also not those of them that are possible.
            None => Ok(vec![Reply::Error(ServerError::new(error::NOT_FORWARDED, "")); commands.len()]),
        }
    }
}
