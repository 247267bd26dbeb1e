//! The first implementation of the seam: redis-rs's multiplexed connection, speaking RESP2.

use std::sync::Arc;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, Value};
use session_core::{Error, ErrorKind, Operation, Result};
use tokio::io::{AsyncRead, AsyncWrite};

use super::meter::Sent;
use super::traffic::Counters;
use super::{Command, Connection, Driver, Lost, Reply, ServerError};

/// A connection of redis-rs.
#[derive(Clone)]
pub struct RedisConnection {
    connection: MultiplexedConnection,
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
        Ok((Self { connection, sent, counters }, Box::pin(driver)))
    }
}

impl Connection for RedisConnection {
    async fn request(&self, commands: &[Command]) -> Result<Vec<Reply>, Lost> {
        let sent_before = self.sent.bytes();
        self.counters.commands_sent(commands.len());
        let mut connection = self.connection.clone();
        let values = match commands {
            [command] => connection.send_packed_command(&convert(command)).await.map(|value| vec![value]),
            _ => {
                let mut pipeline = Pipeline::with_capacity(commands.len());
                for command in commands {
                    pipeline.add_command(convert(command));
                }
                connection.send_packed_commands(&pipeline, 0, commands.len()).await
            }
        };
        // An error here is never a server's: those are values. So the stream ended or could not be understood.
        let values = values.map_err(|_| Lost { sent: self.sent.bytes() != sent_before })?;
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
