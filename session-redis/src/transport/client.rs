//! The first implementation of the seam: redis-rs's multiplexed connection, speaking RESP2.

use std::sync::Arc;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, Value};
use session_core::{Error, ErrorKind, Operation, Result};
use tokio::io::{AsyncRead, AsyncWrite};

use super::end::End;
use super::meter::Sent;
use super::traffic::Counters;
use super::{Command, Connection, Driver, Lost, Reply, ServerError};

/// A connection of redis-rs.
#[derive(Clone)]
pub struct RedisConnection {
    connection: MultiplexedConnection,
    end: End,
    sent: Sent,
    counters: Arc<Counters>,
}

impl RedisConnection {
    /// Takes over a stream on which the handshake is done, and which counts what is `sent`.
    pub(crate) async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        sent: Sent,
        counters: Arc<Counters>,
    ) -> Result<(Self, Driver)> {
        // Nothing is sent here: credentials and database were dealt with, a library name is not asked for (a TwemProxy
        // would close the connection). Timeouts are the link's, which then also drops the connection.
        let nothing_to_set_up = RedisConnectionInfo::default().set_skip_set_lib_name();
        let no_timeouts = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&nothing_to_set_up, stream, no_timeouts).await.map_err(|_| {
                Error::new(ErrorKind::Unavailable, Operation::Connect, "the connection was lost while it was set up")
            })?;
        let (driver, end) = End::of(driver);
        Ok((Self { connection, end, sent, counters }, driver))
    }
}

impl Connection for RedisConnection {
    async fn request(&self, commands: &[Command]) -> Result<Vec<Reply>, Lost> {
        let sent_before = self.sent.bytes();
        self.counters.commands_sent(commands.len());
        let mut connection = self.connection.clone();
        let values = async {
            match commands {
                [command] => connection.send_packed_command(&convert(command)).await.map(|value| vec![value]),
                _ => {
                    let mut pipeline = Pipeline::with_capacity(commands.len());
                    for command in commands {
                        pipeline.add_command(convert(command));
                    }
                    connection.send_packed_commands(&pipeline, 0, commands.len()).await
                }
            }
        };
        // An error here is never a server's: those are values. So the stream ended or could not be understood.
        let Some(Ok(values)) = self.end.or(values).await else {
            return Err(Lost { sent: self.sent.bytes() != sent_before });
        };
        self.counters.replies_received(values.len());
        let replies: Option<Vec<_>> = values.into_iter().map(reply).collect();
        replies.filter(|replies| replies.len() == commands.len()).ok_or(Lost { sent: true })
    }
}

fn convert(command: &Command) -> Cmd {
    let parts = command.parts();
    let mut converted = Cmd::with_capacity(parts.len(), parts.iter().map(Bytes::len).sum());
    for part in parts {
        converted.arg(&part[..]);
    }
    converted
}

/// `None` for what RESP2 does not have.
fn reply(value: Value) -> Option<Reply> {
    Some(match value {
        Value::Nil => Reply::Nil,
        Value::Int(number) => Reply::Integer(number),
        Value::BulkString(bytes) => Reply::Bulk(bytes.into()),
        Value::SimpleString(text) => Reply::Status(text.into()),
        Value::Okay => Reply::Status(Bytes::from_static(b"OK")),
        Value::Array(values) => Reply::Array(values.into_iter().map(reply).collect::<Option<_>>()?),
        Value::ServerError(error) => Reply::Error(ServerError::new(error.code(), error.details().unwrap_or_default())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::hint::spin_loop;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::super::meter::Meter;
    use super::*;

    async fn connection() -> (RedisConnection, Driver, DuplexStream) {
        let (ours, theirs) = duplex(1024);
        let (stream, sent) = Meter::new(ours, Arc::default());
        let (connection, driver) = RedisConnection::over(stream, sent, Arc::default()).await.unwrap();
        (connection, driver, theirs)
    }

    #[tokio::test]
    async fn replies_before_the_end_of_the_stream_are_delivered() {
        let (connection, driver, mut server) = connection().await;
        let serve = async move {
            server.read_exact(&mut [0; 2 * 14]).await.unwrap();
            server.write_all(b"+PONG\r\n+PO").await.unwrap();
        };
        let ping = [Command::new("PING")];
        let (answered, cut, (), ()) = tokio::join!(connection.request(&ping), connection.request(&ping), driver, serve);
        assert_eq!(answered, Ok(vec![Reply::Status("PONG".into())]));
        assert_eq!(cut, Err(Lost { sent: true }));
        assert_eq!(connection.request(&ping).await, Err(Lost { sent: false }), "surely not sent");
    }

    /// Another thread drops the driver a little sooner or later after the request was begun.
    #[tokio::test]
    async fn a_request_that_is_handed_over_while_the_driver_ends_is_told() {
        const ROUNDS: usize = 20_000;
        // About as long as handing over takes.
        const LATEST: usize = 60;
        let begun = Arc::new(AtomicUsize::new(0));
        let (drivers, to_drop) = mpsc::channel::<Driver>();
        let dropping = thread::spawn({
            let begun = begun.clone();
            move || {
                for (round, driver) in to_drop.into_iter().enumerate() {
                    begun.store(round + 1, Ordering::SeqCst);
                    for _ in 0..round % LATEST {
                        spin_loop();
                    }
                    drop(driver);
                }
            }
        });
        let ping = [Command::new("PING")];
        for round in 0..ROUNDS {
            let (connection, driver, _server) = connection().await;
            drivers.send(driver).unwrap();
            while begun.load(Ordering::SeqCst) <= round {
                thread::yield_now();
            }
            let told = timeout(Duration::from_secs(10), connection.request(&ping)).await;
            assert_eq!(told, Ok(Err(Lost { sent: false })), "round {round}");
        }
        drop(drivers);
        dropping.join().unwrap();
    }
}
