//! Commands.

use std::fmt;

use bytes::Bytes;

/// A command and its arguments. `Debug` shows the command's name only.
#[derive(Clone, PartialEq, Eq)]
pub struct Command(Vec<Bytes>);

impl Command {
    /// A command without arguments.
    pub fn new(name: &'static str) -> Self {
        Self(vec![Bytes::from_static(name.as_bytes())])
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<Bytes>) -> Self {
        self.0.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = Bytes>) -> Self {
        self.0.extend(arguments);
        self
    }

    /// The name and the arguments.
    pub fn parts(&self) -> &[Bytes] {
        &self.0
    }

    /// Appends the command as it is sent.
    pub(crate) fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(format!("*{}\r\n", self.0.len()).as_bytes());
        for part in &self.0 {
            into.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
            into.extend_from_slice(part);
            into.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = String::from_utf8_lossy(&self.0[0]);
        write!(f, "Command({name}, {} arguments)", self.0.len() - 1)
    }
}
