//! A TwemProxy of the test's own, before Redis servers of its own.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;
use crate::redis_server::{RedisServer, cli, free_port};

/// How many servers are behind the proxy.
const SERVERS: usize = 3;

/// How a [`Nutcracker`] is started.
#[derive(Debug, Default)]
pub struct NutcrackerBuilder {
    arguments: Vec<OsString>,
    server_arguments: Vec<OsString>,
    others: Option<Vec<SocketAddr>>,
    password: Option<String>,
}

impl NutcrackerBuilder {
    /// Adds arguments of `nutcracker`, for instance `["-m", "512"]`.
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds arguments of every `redis-server` behind it.
    pub fn server_arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.server_arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Has these servers behind it instead of three of its own.
    pub fn before(mut self, servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.others = Some(servers.into_iter().collect());
        self
    }

    /// The servers, and the proxy too, ask for this password.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Starts the servers and the proxy, and waits until they accept connections.
    ///
    /// # Errors
    ///
    /// `redis-server` or `nutcracker` is not on the `PATH`, or one ended or did not listen within 10 seconds.
    pub fn start(self) -> Result<Nutcracker> {
        let password = self.password.iter().flat_map(|password| ["--requirepass", password]);
        let arguments: Vec<OsString> = self.server_arguments.iter().cloned().chain(password.map(Into::into)).collect();
        let server = |_| RedisServer::builder().arguments(arguments.clone()).start();
        let own = if self.others.is_some() { 0 } else { SERVERS };
        let servers = (0..own).map(server).collect::<Result<Vec<_>>>()?;
        let addresses = self.others.unwrap_or_else(|| servers.iter().map(RedisServer::address).collect());
        let mut proxy = Nutcracker {
            servers,
            addresses,
            folder: TempDir::with_prefix("nutcracker-")?,
            port: free_port()?,
            statistics_port: free_port()?,
            arguments: self.arguments,
            process: None,
        };
        std::fs::write(proxy.file("nutcracker.yml"), proxy.configuration(self.password.as_deref()))?;
        proxy.start()?;
        Ok(proxy)
    }
}

/// A running `nutcracker` before three `redis-server`s unless others are given, all killed when dropped. Its pool is set as sessions need it; a
/// server that does not answer is given up after 400 ms.
#[derive(Debug)]
pub struct Nutcracker {
    servers: Vec<RedisServer>,
    /// Of those behind it, whoever they belong to.
    addresses: Vec<SocketAddr>,
    folder: TempDir,
    port: u16,
    statistics_port: u16,
    arguments: Vec<OsString>,
    process: Option<Process>,
}

impl Nutcracker {
    /// Settings to change before the start.
    pub fn builder() -> NutcrackerBuilder {
        NutcrackerBuilder::default()
    }

    /// Starts a proxy and its servers on free ports of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// As [`NutcrackerBuilder::start`].
    pub fn spawn() -> Result<Self> {
        Self::builder().start()
    }

    /// The TCP address.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// `redis://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// A Unix socket on which it listens, too, with the same servers.
    pub fn socket(&self) -> PathBuf {
        self.file("nutcracker.sock")
    }

    /// The servers of its own behind it.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// One of the servers, to end or restart it.
    pub fn server_mut(&mut self, index: usize) -> &mut RedisServer {
        &mut self.servers[index]
    }

    /// Ends the proxy as a power cut would (SIGKILL); its servers go on.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the proxy again on the same port.
    ///
    /// # Errors
    ///
    /// As [`NutcrackerBuilder::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        self.start()
    }

    /// Stops the proxy without ending it (SIGSTOP).
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets a stopped proxy go on (SIGCONT).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Runs `redis-cli` through the proxy and returns what it prints. The command needs a key.
    ///
    /// # Panics
    ///
    /// If `redis-cli` cannot be run or fails.
    pub fn cli(&self, arguments: &[&str]) -> String {
        cli(self.port, arguments)
    }

    /// Which of the servers has this key. A key belongs on one.
    ///
    /// # Panics
    ///
    /// If several have it, or `redis-cli` fails.
    pub fn shard_of(&self, key: &str) -> Option<usize> {
        let having: Vec<_> =
            self.servers.iter().enumerate().filter(|(_, server)| server.cli(&["EXISTS", key]) == "1").collect();
        assert!(having.len() <= 1, "several servers have the key");
        having.first().map(|(index, _)| *index)
    }

    /// The keys that match, by server.
    ///
    /// # Panics
    ///
    /// If `redis-cli` fails.
    pub fn keys(&self, pattern: &str) -> Vec<Vec<String>> {
        let keys = |server: &RedisServer| {
            let keys = server.cli(&["KEYS", pattern]);
            keys.lines().filter(|key| !key.is_empty()).map(str::to_owned).collect()
        };
        self.servers.iter().map(keys).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A pool for each of its addresses; servers are found by their names, so both find the same.
    fn configuration(&self, password: Option<&str>) -> String {
        let mut text = String::new();
        for (pool, listen) in
            [("sessions", self.address().to_string()), ("by_socket", self.socket().display().to_string())]
        {
            let _ = writeln!(text, "{pool}:\n  listen: {listen}\n  hash: fnv1a_64\n  distribution: ketama");
            let _ = writeln!(text, "  redis: true\n  auto_eject_hosts: false\n  timeout: 400\n  preconnect: true");
            if let Some(password) = password {
                let _ = writeln!(text, "  redis_auth: {password}");
            }
            let _ = writeln!(text, "  server_connections: 1\n  servers:");
            for (address, number) in self.addresses.iter().zip(1..) {
                let _ = writeln!(text, "    - {address}:1 shard{number}");
            }
        }
        text
    }

    fn signal(&self, signal: &str) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    fn start(&mut self) -> Result<()> {
        // One that was killed has left its socket.
        let _ = std::fs::remove_file(self.socket());
        let log = self.file("nutcracker.log");
        let mut command = Command::new("nutcracker");
        command.arg("-c").arg(self.file("nutcracker.yml")).arg("-o").arg(&log).arg("-p").arg(self.file("pid"));
        // Its statistics would be open to everybody.
        command.args(["-a", "127.0.0.1", "-s", &self.statistics_port.to_string()]).args(&self.arguments);
        self.process = Some(Process::start(command, &log, || self.is_up())?);
        Ok(())
    }

    /// It is up when it answers anything at all: a pong, or that a password is asked for.
    fn is_up(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address()) else { return false };
        let mut first = [0];
        stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
            && stream.write_all(b"*1\r\n$4\r\nPING\r\n").is_ok()
            && stream.read_exact(&mut first).is_ok()
            && self.socket().exists()
    }
}
