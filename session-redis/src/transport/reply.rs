//! Replies.

use std::fmt;

use bytes::Bytes;

/// A server's reply to one command. `Debug` shows no values.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing.
    Nil,
    /// A number.
    Integer(i64),
    /// A word such as `OK`.
    Status(Bytes),
    /// Bytes, as a slice of the buffer they arrived in where the client allows it.
    Bulk(Bytes),
    /// Several replies.
    Array(Vec<Reply>),
    /// The command failed.
    Error(ServerError),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("Nil"),
            Self::Integer(_) => f.write_str("Integer(..)"),
            Self::Status(_) => f.write_str("Status(..)"),
            Self::Bulk(bytes) => write!(f, "Bulk({} bytes)", bytes.len()),
            Self::Array(replies) => write!(f, "Array({})", replies.len()),
            Self::Error(error) => write!(f, "Error({error:?})"),
        }
    }
}

/// An error that a server replied. Its text may repeat parts of the command, so `Debug` shows the code only.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerError {
    code: String,
    text: String,
}

impl ServerError {
    /// An error of this code (its first word, for instance `OOM`) and the text that follows it.
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: text.into() }
    }

    /// Takes an error line apart, without its leading `-`.
    pub(crate) fn parse(line: &str) -> Self {
        let (code, text) = line.split_once(' ').unwrap_or((line, ""));
        Self::new(code, text)
    }

    /// Its first word, if that looks like the code of an error: up to 32 capital letters, digits and underscores.
    ///
    /// What looks like that is safe to show; the rest of the line is not.
    pub fn code(&self) -> &str {
        let safe = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if (1..=32).contains(&self.code.len()) && self.code.bytes().all(safe) { &self.code } else { "ERR" }
    }

    /// What follows the code. Not to be shown to anybody.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
