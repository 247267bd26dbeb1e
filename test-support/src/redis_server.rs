//! A redis-server of the test's own.

use std::ffi::OsString;
use std::io::{Error, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;

/// How a [`RedisServer`] is started.
#[derive(Debug, Default)]
pub struct RedisServerBuilder {
    arguments: Vec<OsString>,
    port: Option<u16>,
    tls: bool,
    cluster: bool,
}

impl RedisServerBuilder {
    /// Adds arguments of `redis-server`, for instance `["--appendonly", "yes"]`.
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Listens on this port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The port is given to TLS only; the arguments must name certificate and key.
    pub fn tls_only(mut self) -> Self {
        self.tls = true;
        self
    }

    /// It is a node of a cluster, without slots yet, and knows no others.
    pub fn cluster_node(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// Starts the server and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// `redis-server` is not on the `PATH`, or it ended or did not listen within 10 seconds.
    pub fn start(self) -> Result<RedisServer> {
        let folder = TempDir::with_prefix("redis-server-")?;
        let port = match self.port {
            Some(port) => port,
            None => free_port()?,
        };
        let mut arguments = self.arguments;
        if self.cluster {
            // Unless set it is the port and 10,000, which may be somebody's.
            let bus = free_port()?.to_string();
            arguments.extend(["--cluster-enabled", "yes", "--cluster-port", bus.as_str()].map(OsString::from));
        }
        let mut server = RedisServer { folder, port, tls: self.tls, arguments, process: None };
        server.start()?;
        Ok(server)
    }
}

/// A running `redis-server`, killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    tls: bool,
    arguments: Vec<OsString>,
    process: Option<Process>,
}

impl RedisServer {
    /// Settings to change before the start.
    pub fn builder() -> RedisServerBuilder {
        RedisServerBuilder::default()
    }

    /// Starts a server on a free port of 127.0.0.1, without persistence.
    ///
    /// # Errors
    ///
    /// As [`RedisServerBuilder::start`].
    pub fn spawn() -> Result<Self> {
        Self::builder().start()
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The TCP address.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// `redis://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The server's own folder, where its socket `redis.sock` and its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The server's Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Ends the server as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port and in the same folder.
    ///
    /// # Errors
    ///
    /// As [`RedisServerBuilder::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        self.start()
    }

    /// Whether it was started and not ended; also while it is stopped.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Stops the process without ending it (SIGSTOP).
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets a stopped process go on (SIGCONT).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Runs `redis-cli` with these arguments and returns what it prints.
    ///
    /// # Panics
    ///
    /// If `redis-cli` cannot be run or fails.
    pub fn cli(&self, arguments: &[&str]) -> String {
        cli(self.port, arguments)
    }

    /// How often each command was called since the last `CONFIG RESETSTAT`, by lower-case name; commands called by
    /// scripts count too. Without `info` and `config`, which the counting itself uses.
    pub fn command_counts(&self) -> std::collections::BTreeMap<String, u64> {
        self.cli(&["INFO", "commandstats"])
            .lines()
            .filter_map(|line| {
                let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
                let calls = rest.strip_prefix("calls=")?.split(',').next()?.parse().ok()?;
                (!matches!(name, "info" | "config|resetstat" | "config")).then(|| (name.to_owned(), calls))
            })
            .collect()
    }

    fn signal(&self, signal: &str) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    fn start(&mut self) -> Result<()> {
        let log = self.folder.path().join("redis.log");
        let port = self.port.to_string();
        let (plain, tls) = if self.tls { ("0", port.as_str()) } else { (port.as_str(), "0") };
        let mut command = Command::new("redis-server");
        command.args(["--port", plain, "--bind", "127.0.0.1", "--save", "", "--unixsocket"]);
        command.arg(self.socket()).arg("--dir").arg(self.folder.path()).arg("--logfile").arg(&log);
        if self.tls {
            command.args(["--tls-port", tls]);
        }
        command.args(&self.arguments);
        self.process = Some(Process::start(command, &log, || self.is_up())?);
        Ok(())
    }

    /// It is up when it answers anything at all: a pong, or that a password is asked for.
    fn is_up(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address()) else { return false };
        if self.tls {
            return true;
        }
        let mut first = [0];
        stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
            && stream.write_all(b"PING\r\n").is_ok()
            && stream.read_exact(&mut first).is_ok()
    }
}

pub(crate) fn free_port() -> Result<u16> {
    /// Below the ports that the system gives to outgoing connections, which could take one between the look and the
    /// start of the server.
    const PORTS: std::ops::Range<u32> = 15_000..32_000;
    /// Counted, so that no two servers of this process look at the same one.
    static LOOKED_AT: AtomicU32 = AtomicU32::new(0);
    for _ in PORTS {
        let number = std::process::id().wrapping_mul(131).wrapping_add(LOOKED_AT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + number % (PORTS.end - PORTS.start);
        if let Ok(port) = u16::try_from(port)
            && TcpListener::bind(("127.0.0.1", port)).is_ok()
        {
            return Ok(port);
        }
    }
    Err(Error::other("no port is free"))
}

/// Runs `redis-cli` against this port of 127.0.0.1.
pub(crate) fn cli(port: u16, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(arguments)
        .output()
        .expect("redis-cli is on the PATH");
    assert!(output.status.success(), "redis-cli {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
