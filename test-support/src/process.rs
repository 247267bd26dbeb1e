//! A server's process.

use std::io::{Error, Result};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running process, killed when dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts a server and waits until it is up; `log` is where it writes why it is not.
    pub(crate) fn start(mut command: Command, log: &Path, is_up: impl Fn() -> bool) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut process =
            Self(child.map_err(|error| Error::new(error.kind(), format!("{name} cannot be started: {error}")))?);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            // First, since the answer may have come from another server on the same port.
            if let Some(status) = process.0.try_wait()? {
                let text = std::fs::read_to_string(log).unwrap_or_default();
                return Err(Error::other(format!("{name} ended ({status}): {text}")));
            }
            if is_up() {
                return Ok(process);
            }
            if Instant::now() > deadline {
                return Err(Error::other(format!("{name} did not listen within 10 seconds")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal, for instance `-STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let _ = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
