//! The first words on a new connection.

use std::io;

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::connect::{Credentials, stream_error};
use super::traffic::Counters;
use super::{Command, ServerError};
use crate::error;

/// Longer than any status or error line that a server sends here.
const LONGEST_LINE: usize = 4096;

/// Authenticates, chooses the database, and makes sure that something answers there.
///
/// Done before any client library sees the stream, because a server that has no room for another client says so without
/// being asked, and a library that waits for a reply to something would drop it.
pub(super) async fn shake_hands(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    credentials: Option<&Credentials>,
    database: u32,
    is_encrypted: bool,
    counters: &Counters,
) -> Result<()> {
    let mut steps = Vec::with_capacity(3);
    if let Some(Credentials { username, access_key }) = credentials {
        let auth = Command::new("AUTH");
        let auth = match username {
            Some(username) => auth.arg(username.clone()),
            None => auth,
        };
        steps.push((auth.arg(access_key.clone()), Step::Authenticate));
    }
    if database != 0 {
        steps.push((Command::new("SELECT").arg(database.to_string()), Step::Select));
    }
    steps.push((Command::new("PING"), Step::Ping));

    let mut request = Vec::with_capacity(128);
    for (command, _) in &steps {
        command.write(&mut request);
    }
    counters.commands_sent(steps.len());
    stream.write_all(&request).await.map_err(|error| stream_error(&error))?;
    stream.flush().await.map_err(|error| stream_error(&error))?;
    for (index, (_, step)) in steps.into_iter().enumerate() {
        let line = match read_line(stream).await {
            Ok(line) => line.ok_or_else(not_redis)?,
            Err(error) if index == 0 && !is_encrypted => return Err(lost_without_a_word(&error)),
            Err(error) => return Err(stream_error(&error)),
        };
        counters.replies_received(1);
        step.judge(&line)?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Step {
    Authenticate,
    Select,
    Ping,
}

impl Step {
    fn judge(self, line: &str) -> Result<()> {
        let Some(refusal) = line.strip_prefix('-') else {
            return if line.starts_with('+') { Ok(()) } else { Err(not_redis()) };
        };
        let refusal = ServerError::parse(refusal);
        let failed = |kind, why| Err(Error::new(kind, Operation::Connect, why));
        match (self, refusal.code()) {
            (_, "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED") => {}
            (_, "ERR") if error::no_room(&refusal) => {}
            (Self::Authenticate, "ERR") => {
                return failed(ErrorKind::Auth, "the server refused AUTH (settings `username`, `access_key`)");
            }
            (Self::Select, "ERR") => {
                return failed(ErrorKind::Config, "`database`: the server does not have it");
            }
            // It speaks Redis and may soon do more: loading, busy. The requests' own replies will tell.
            (Self::Ping, _) => return Ok(()),
            _ => {}
        }
        Err(error::refusal(&refusal, Operation::Connect))
    }
}

/// Reads up to the end of a line; `None` if what comes is none. Byte by byte, so that nothing is read that belongs to
/// the client library.
async fn read_line(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = Vec::with_capacity(64);
    loop {
        match stream.read_u8().await? {
            b'\n' if line.last() == Some(&b'\r') => {
                line.pop();
                return Ok(String::from_utf8(line).ok());
            }
            byte if line.len() < LONGEST_LINE => line.push(byte),
            _ => return Ok(None),
        }
        // The first byte of a plain-text refusal of TLS, or of another protocol.
        if !matches!(line[0], b'+' | b'-') {
            return Ok(None);
        }
    }
}

/// Some servers that expect TLS close a connection without a word on which somebody speaks plain text.
fn lost_without_a_word(error: &io::Error) -> Error {
    let why = "the connection ended before the server answered; if it expects TLS, set `ssl`";
    Error::new(ErrorKind::Unavailable, Operation::Connect, why).with_source(stream_error(error))
}

fn not_redis() -> Error {
    let why = "what answers there does not speak the Redis protocol; if it expects TLS, set `ssl`";
    Error::new(ErrorKind::Unavailable, Operation::Connect, why)
}
