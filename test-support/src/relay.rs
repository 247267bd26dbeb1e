//! Stands between clients and a server: what the proxies here have in common.

use std::fmt;
use std::io::Result;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// One of the two ways through a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server: requests.
    ToServer,
    /// From the server to the client: replies.
    ToClient,
}

/// What a proxy does with the bytes that come.
pub(crate) trait Pass: fmt::Debug + Send + Sync + 'static {
    /// Whether a new connection is made to the server, too; else it is closed.
    fn accepts(&self) -> bool {
        true
    }

    /// Passes bytes on until the connection is to end. Connections are numbered from 1.
    fn pass(&self, number: u64, direction: Direction, from: &TcpStream, to: &TcpStream) -> Result<()>;

    /// Whether the other side is to be told when [`pass`](Self::pass) is done. If not, the connection ends as somebody
    /// else has prepared it.
    fn says_goodbye(&self, _number: u64) -> bool {
        true
    }
}

/// Accepts connections, and has one to the server for each. Ends them when dropped.
#[derive(Debug)]
pub(crate) struct Relay<P: Pass> {
    address: SocketAddr,
    shared: Arc<Shared<P>>,
}

#[derive(Debug)]
struct Shared<P> {
    upstream: SocketAddr,
    pass: P,
    accepted: AtomicU64,
    stopped: AtomicBool,
    open: Mutex<Vec<Ends>>,
}

/// The two sides of a connection.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) client: TcpStream,
    pub(crate) server: TcpStream,
}

impl Ends {
    fn shut_down(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

impl<P: Pass> Relay<P> {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) fn start(upstream: SocketAddr, pass: P) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            pass,
            accepted: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(client) = client {
                    let _ = accepting.connect(client);
                }
            }
        });
        Ok(Self { address, shared })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pass(&self) -> &P {
        &self.shared.pass
    }

    /// How many connections were accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// All connections that nobody has ended yet.
    pub(crate) fn open(&self) -> MutexGuard<'_, Vec<Ends>> {
        self.shared.open()
    }

    /// Closes all connections; new ones work.
    pub(crate) fn cut_all(&self) {
        self.open().drain(..).for_each(|ends| ends.shut_down());
    }
}

impl<P: Pass> Drop for Relay<P> {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.cut_all();
        // Wakes the accepting thread, which then ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl<P: Pass> Shared<P> {
    fn open(&self) -> MutexGuard<'_, Vec<Ends>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(self: &Arc<Self>, client: TcpStream) -> Result<()> {
        let number = self.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        if !self.pass.accepts() {
            return Ok(());
        }
        let server = TcpStream::connect(self.upstream)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        self.open().push(Ends { client: client.try_clone()?, server: server.try_clone()? });
        for (direction, from, to) in
            [(Direction::ToServer, client.try_clone()?, server.try_clone()?), (Direction::ToClient, server, client)]
        {
            let shared = self.clone();
            thread::spawn(move || {
                let _ = shared.pass.pass(number, direction, &from, &to);
                if shared.pass.says_goodbye(number) {
                    let _ = from.shutdown(Shutdown::Both);
                    let _ = to.shutdown(Shutdown::Both);
                }
            });
        }
        Ok(())
    }
}
