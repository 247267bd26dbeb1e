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

#[cfg(test)]
mod tests {
    use session_core::{ErrorKind, Operation};
    use session_redis::transport::Address;
    use test_support::{Nutcracker, Recorder};

    use super::*;

    #[tokio::test]
    async fn what_is_not_forwarded_is_unsupported_and_not_sent() {
        let nutcracker = Nutcracker::spawn().unwrap();
        let recorder = Recorder::start(nutcracker.address()).unwrap();
        let address = Address::Tcp { host: "127.0.0.1".into(), port: recorder.address().port() };
        let (connection, driver) = Proxy::new(Endpoint::new(address)).connect().await.unwrap();
        let driver = tokio::spawn(driver);
        let tracking = Command::new("CLIENT").arg("TRACKING").arg("ON");
        for commands in [
            vec![tracking.clone()],
            vec![Command::new("SUBSCRIBE").arg("__redis__:invalidate")],
            vec![Command::new("HELLO").arg("3")],
            // Not even the one of them that is possible.
            vec![Command::new("PTTL").arg("key"), tracking],
        ] {
            let replies = connection.request(&commands).await.unwrap();
            assert_eq!(replies.len(), commands.len());
            for reply in replies {
                let Reply::Error(refused) = reply else { panic!("{reply:?}") };
                assert_eq!(error::refusal(&refused, Operation::Load).kind(), ErrorKind::Unsupported);
            }
        }
        // The connection lives on.
        let possible = connection.request(&[Command::new("PTTL").arg("key")]).await.unwrap();
        assert_eq!(possible, [Reply::Integer(-2)]);
        let sent: Vec<_> = recorder.commands().into_keys().map(|it| it.name).collect();
        assert_eq!(sent, ["PING", "PTTL"]);
        driver.abort();
    }
}
