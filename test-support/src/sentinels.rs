//! A Redis server with replicas, watched by sentinels, of the test's own.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{Read as _, Result, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;
use crate::redis_server::{RedisServer, cli, free_port};
use crate::tls_files::TlsFiles;
use crate::wait::until;

const SENTINELS: usize = 3;

/// How [`Sentinels`] are started.
#[derive(Debug, Default)]
pub struct SentinelsBuilder {
    password: Option<String>,
    sentinel_password: Option<String>,
    tls: Option<TlsFiles>,
    arguments: Vec<OsString>,
}

impl SentinelsBuilder {
    /// The servers ask for this password.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The sentinels ask for this password.
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel_password = Some(password.into());
        self
    }

    /// Servers and sentinels listen with TLS, too, and speak with each other by it: that is where
    /// [`Sentinels::addresses`] are, and those that they name.
    pub fn tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self
    }

    /// Adds arguments of every `redis-server` that is watched.
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Starts the servers, then the sentinels, and waits until all sentinels know all servers and each other.
    ///
    /// # Errors
    ///
    /// `redis-server` is not on the `PATH`, or one did not start, or they did not find each other within 20 seconds.
    ///
    /// # Panics
    ///
    /// If `redis-cli` cannot be run or fails.
    pub fn start(self) -> Result<Sentinels> {
        let password = self.password.as_deref();
        let password_arguments = password.iter().flat_map(|it| ["--requirepass", it, "--masterauth", it]);
        let mut arguments: Vec<OsString> = password_arguments.map(OsString::from).collect();
        arguments.extend(["--repl-diskless-sync-delay", "0"].map(OsString::from));
        arguments.extend(self.arguments);
        let tls_ports = self.tls.iter().flat_map(|_| 0..2).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
        let server = |index: usize| {
            let tls = self.tls.iter().flat_map(|files| files.arguments("--tls-replication", tls_ports[index]));
            RedisServer::builder().arguments(arguments.clone()).arguments(tls)
        };
        let master = server(0).start()?;
        let port = tls_ports.first().copied().unwrap_or_else(|| master.port());
        let replica = server(1).arguments(["--replicaof", "127.0.0.1", &port.to_string()]).start()?;
        let servers = vec![master, replica];
        let with_password: Vec<&str> = password.iter().flat_map(|it| ["--no-auth-warning", "-a", it]).collect();
        until("the replica has the master's data", || {
            let replication = servers[1].cli(&[&with_password[..], &["INFO", "replication"]].concat());
            replication.contains("master_link_status:up")
        })?;
        let sentinel = |_| Sentinel::start(port, password, self.sentinel_password.as_deref(), self.tls.as_ref());
        let sentinels = Sentinels {
            sentinels: (0..SENTINELS).map(sentinel).collect::<Result<_>>()?,
            sentinel_password: self.sentinel_password,
            password: self.password,
            tls_ports,
            servers,
        };
        until("the sentinels know each other and the replica", || {
            (0..SENTINELS).all(|index| {
                let known = sentinels.sentinel_cli(index, &["SENTINEL", "MASTER", Sentinels::MASTER_NAME]);
                let known: Vec<_> = known.lines().collect();
                let is = |name: &str, value: &str| known.chunks_exact(2).any(|pair| pair == [name, value]);
                is("num-slaves", "1") && is("num-other-sentinels", "2") && is("flags", "master")
            })
        })?;
        Ok(sentinels)
    }
}

/// A running `redis-server` with a replica, watched by three sentinels, all killed when dropped.
///
/// A master that does not answer for half a second is replaced; the servers are numbered, and the first one is the
/// master at the beginning.
#[derive(Debug)]
pub struct Sentinels {
    servers: Vec<RedisServer>,
    /// Of the servers; empty without TLS.
    tls_ports: Vec<u16>,
    sentinels: Vec<Sentinel>,
    password: Option<String>,
    sentinel_password: Option<String>,
}

impl Sentinels {
    /// The master's name.
    pub const MASTER_NAME: &str = "mymaster";

    /// Settings to change before the start.
    pub fn builder() -> SentinelsBuilder {
        SentinelsBuilder::default()
    }

    /// Starts servers and sentinels without passwords.
    ///
    /// # Errors
    ///
    /// As [`SentinelsBuilder::start`].
    pub fn spawn() -> Result<Self> {
        Self::builder().start()
    }

    /// Where the sentinels listen, as `host:port`.
    pub fn addresses(&self) -> Vec<String> {
        let port = |sentinel: &Sentinel| sentinel.tls_port.unwrap_or(sentinel.port);
        self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", port(sentinel))).collect()
    }

    /// The servers that are watched.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// One of the servers, to end or restart it.
    pub fn server_mut(&mut self, index: usize) -> &mut RedisServer {
        &mut self.servers[index]
    }

    /// Runs `redis-cli` at a server.
    ///
    /// # Panics
    ///
    /// If `redis-cli` cannot be run or fails.
    pub fn cli(&self, server: usize, arguments: &[&str]) -> String {
        with_password(self.servers[server].port(), self.password.as_deref(), arguments)
    }

    /// Runs `redis-cli` at a sentinel.
    ///
    /// # Panics
    ///
    /// If `redis-cli` cannot be run or fails.
    pub fn sentinel_cli(&self, sentinel: usize, arguments: &[&str]) -> String {
        with_password(self.sentinels[sentinel].port, self.sentinel_password.as_deref(), arguments)
    }

    /// Ends a sentinel as a power cut would (SIGKILL).
    pub fn kill_sentinel(&mut self, sentinel: usize) {
        self.sentinels[sentinel].process = None;
    }

    /// Stops a sentinel without ending it (SIGSTOP).
    pub fn pause_sentinel(&self, sentinel: usize) {
        if let Some(process) = &self.sentinels[sentinel].process {
            process.signal("-STOP");
        }
    }

    /// The server that a sentinel names as the master.
    ///
    /// # Panics
    ///
    /// If it names none of these servers, or `redis-cli` fails.
    pub fn master_as_known_by(&self, sentinel: usize) -> usize {
        let named = self.sentinel_cli(sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::MASTER_NAME]);
        let port = named.lines().nth(1).and_then(|port| port.parse().ok());
        let port_of = |index: usize| self.tls_ports.get(index).copied().unwrap_or_else(|| self.servers[index].port());
        (0..self.servers.len()).find(|index| Some(port_of(*index)) == port).expect("one of the servers")
    }

    /// Asks the sentinels to make the replica the master, and waits until all of them name it, and it is. The old
    /// one goes on for some seconds, and loses what it takes meanwhile.
    ///
    /// # Panics
    ///
    /// If that does not happen within 20 seconds.
    pub fn fail_over(&self) {
        let old = self.master_as_known_by(0);
        until("a sentinel begins with the fail-over", || {
            let answer = self.sentinel_cli(0, &["SENTINEL", "FAILOVER", Self::MASTER_NAME]);
            answer == "OK" || answer.contains("INPROG")
        })
        .expect("a replica can take over");
        self.await_fail_over_from(old);
    }

    /// Waits until all sentinels name another master than this one, and it is.
    ///
    /// # Panics
    ///
    /// If that does not happen within 20 seconds.
    pub fn await_fail_over_from(&self, old: usize) {
        let new = 1 - old;
        until("the replica is the master", || {
            let living = (0..SENTINELS).filter(|index| self.sentinels[*index].process.is_some());
            living.into_iter().all(|sentinel| self.master_as_known_by(sentinel) == new)
                && self.cli(new, &["ROLE"]).starts_with("master")
        })
        .expect("the sentinels agree");
    }
}

/// A running sentinel.
#[derive(Debug)]
struct Sentinel {
    folder: TempDir,
    port: u16,
    tls_port: Option<u16>,
    process: Option<Process>,
}

impl Sentinel {
    fn start(master: u16, password: Option<&str>, own_password: Option<&str>, tls: Option<&TlsFiles>) -> Result<Self> {
        let mut sentinel = Self {
            folder: TempDir::with_prefix("sentinel-")?,
            port: free_port()?,
            tls_port: tls.map(|_| free_port()).transpose()?,
            process: None,
        };
        let folder = sentinel.folder.path();
        let (settings, log) = (folder.join("sentinel.conf"), folder.join("sentinel.log"));
        let name = Sentinels::MASTER_NAME;
        let mut text = format!(
            "port {}\nbind 127.0.0.1\ndir {}\nlogfile {}\n\
             sentinel monitor {name} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {name} 500\n\
             sentinel failover-timeout {name} 3000\n",
            sentinel.port,
            folder.display(),
            log.display(),
        );
        if let Some(password) = password {
            let _ = writeln!(text, "sentinel auth-pass {name} {password}");
        }
        if let Some(password) = own_password {
            let _ = writeln!(text, "requirepass {password}\nsentinel sentinel-pass {password}");
        }
        std::fs::write(&settings, text)?;
        let mut command = Command::new("redis-server");
        command.arg(settings).arg("--sentinel");
        if let (Some(files), Some(port)) = (tls, sentinel.tls_port) {
            command.args(files.arguments("--tls-replication", port));
        }
        sentinel.process = Some(Process::start(command, &log, || sentinel.is_up())?);
        Ok(sentinel)
    }

    fn is_up(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut first = [0];
        stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
            && stream.write_all(b"PING\r\n").is_ok()
            && stream.read_exact(&mut first).is_ok()
    }
}

fn with_password(port: u16, password: Option<&str>, arguments: &[&str]) -> String {
    let password: Vec<&str> = password.iter().flat_map(|it| ["--no-auth-warning", "-a", it]).collect();
    cli(port, &[&password[..], arguments].concat())
}
