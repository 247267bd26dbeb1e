//! Opens one connection.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Result, Traffic};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::client::RedisConnection;
use super::handshake::shake_hands;
use super::meter::Meter;
#[cfg(feature = "tls")]
use super::tls::Tls;
use super::traffic::Counters;
use super::{Connect, Driver};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host name or address, and a port. A name is resolved anew at every attempt to connect.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What a server is told to let us in. `Debug` shows no access key.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// ACL user; `None` for the default user.
    pub username: Option<String>,
    /// Password.
    pub access_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, access_key: _ } = self;
        f.debug_struct("Credentials").field("username", username).field("access_key", &"<hidden>").finish()
    }
}

/// A server, and how to be let in. Connects with RESP2 commands that every server and a TwemProxy understand: `AUTH` if
/// there are credentials, `SELECT` if the database is not 0, `PING`.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where it listens.
    pub address: Address,
    /// How to encrypt; `None`: not at all. There is no fall-back from one to the other.
    #[cfg(feature = "tls")]
    pub tls: Option<Arc<Tls>>,
    /// How to be let in.
    pub credentials: Option<Credentials>,
    /// The database to select.
    pub database: u32,
    /// The interval of TCP keep-alive probes; `None` for none.
    pub keep_alive: Option<Duration>,
    /// Of all connections that were opened by this endpoint and its clones.
    counters: Arc<Counters>,
}

impl Endpoint {
    /// A server without TLS and credentials, database 0, TCP keep-alive after 5 seconds.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            #[cfg(feature = "tls")]
            tls: None,
            credentials: None,
            database: 0,
            keep_alive: Some(Duration::from_secs(5)),
            counters: Arc::default(),
        }
    }

    /// The same at another address.
    pub(super) fn at(&self, address: Address) -> Self {
        Self { address, ..self.clone() }
    }

    /// What went over all connections that this endpoint and its clones have opened, those that were lost included.
    /// A reply that nobody waits for any more when it arrives is counted by its bytes only.
    pub fn traffic(&self) -> Traffic {
        self.counters.traffic()
    }

    async fn open(&self) -> Result<RedisConnectionParts> {
        let stream: Box<dyn Stream> = match &self.address {
            Address::Tcp { host, port } => self.open_tcp(host, *port).await?,
            #[cfg(unix)]
            Address::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(|error| stream_error(&error))?),
            #[cfg(not(unix))]
            Address::Unix(_) => {
                let why = "`unix_socket`: this system has none";
                return Err(Error::new(ErrorKind::Config, Operation::Connect, why));
            }
        };
        let (mut stream, sent) = Meter::new(stream, self.counters.clone());
        #[cfg(feature = "tls")]
        let is_encrypted = self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let is_encrypted = false;
        shake_hands(&mut stream, self.credentials.as_ref(), self.database, is_encrypted, &self.counters).await?;
        RedisConnection::over(stream, sent, self.counters.clone()).await
    }

    async fn open_tcp(&self, host: &str, port: u16) -> Result<Box<dyn Stream>> {
        let stream = TcpStream::connect((host, port)).await.map_err(|error| stream_error(&error))?;
        stream.set_nodelay(true).map_err(|error| stream_error(&error))?;
        if let Some(interval) = self.keep_alive {
            // Linux gives up after this many probes without an answer: a dead peer is noticed after five intervals.
            let probes = TcpKeepalive::new().with_time(interval).with_interval(interval);
            SockRef::from(&stream).set_tcp_keepalive(&probes).map_err(|error| stream_error(&error))?;
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return Ok(Box::new(tls.handshake(host, stream).await?));
        }
        Ok(Box::new(stream))
    }
}

type RedisConnectionParts = (RedisConnection, Driver);

impl Connect for Endpoint {
    type Connection = RedisConnection;

    async fn connect(&self) -> Result<RedisConnectionParts> {
        self.open().await
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Why a stream could not be opened or was lost before it was ready: nothing was executed.
pub(super) fn stream_error(error: &io::Error) -> Error {
    #[cfg(feature = "tls")]
    if let Some(why) = super::tls::explain(error) {
        return Error::new(ErrorKind::Unavailable, Operation::Connect, why);
    }
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::NotFound => "there is no such socket",
        io::ErrorKind::PermissionDenied => "the system does not permit this connection",
        io::ErrorKind::TimedOut => "connecting took too long",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            "the server reset the connection"
        }
        io::ErrorKind::UnexpectedEof => "the server closed the connection",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "the host cannot be reached",
        _ if error.raw_os_error().is_none() => "the host name cannot be resolved",
        _ => "the connection failed",
    };
    Error::new(ErrorKind::Unavailable, Operation::Connect, why).with_source(Cause(error.kind()))
}

/// The system's own error, without texts that others may have put into it.
#[derive(Debug)]
struct Cause(io::ErrorKind);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Cause {}
