//! A TCP proxy that does to a connection what networks do.

use std::io::{Read as _, Result, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use session_core::conformance::Random;

/// One of the two ways through a [`FaultProxy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server: requests.
    ToServer,
    /// From the server to the client: replies.
    ToClient,
}

/// A TCP proxy before a server, with faults on demand. Ends its connections when dropped.
///
/// Faults by byte count start counting when they are asked for, over all connections, and happen once.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    lanes: [Lane; 2],
    accepted: AtomicU64,
    /// Connections with a number up to this one pass nothing any more.
    swallowed: AtomicU64,
    stopped: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// One direction, of all connections.
#[derive(Debug, Default)]
struct Lane {
    bytes: AtomicU64,
    plan: Mutex<Plan>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Plan {
    cut_after: Option<u64>,
    hold_after: Option<u64>,
    replace: Option<Vec<u8>>,
    delay: Duration,
    drip: Option<Duration>,
    lottery: Option<Lottery>,
}

/// Which chunks end their connection.
#[derive(Debug)]
struct Lottery {
    percent: usize,
    random: Random,
    cuts: u64,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1 and passes everything on to `upstream`.
    ///
    /// # Errors
    ///
    /// No port can be opened.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            lanes: Default::default(),
            accepted: AtomicU64::new(0),
            swallowed: AtomicU64::new(0),
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

    /// The address to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `redis://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many bytes were passed on.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.lane(direction).bytes.load(Ordering::SeqCst)
    }

    /// Passes `bytes` more bytes, then closes the connection that is carrying them, on both sides.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.plan(direction).cut_after = Some(bytes);
    }

    /// Whether a cut that was asked for has not happened yet.
    pub fn cut_is_pending(&self, direction: Direction) -> bool {
        self.plan(direction).cut_after.is_some()
    }

    /// Passes `bytes` more bytes, then holds back all others until [`release`](Self::release).
    pub fn hold_after(&self, direction: Direction, bytes: u64) {
        self.plan(direction).hold_after = Some(bytes);
    }

    /// Lets go what was held back.
    pub fn release(&self, direction: Direction) {
        self.plan(direction).hold_after = None;
        self.lane(direction).changed.notify_all();
    }

    /// Passes these bytes instead of what comes next.
    pub fn replace_next(&self, direction: Direction, bytes: impl Into<Vec<u8>>) {
        self.plan(direction).replace = Some(bytes.into());
    }

    /// Waits this long before passing anything on; zero to stop that.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.plan(direction).delay = delay;
    }

    /// Passes single bytes with this time between them; `None` to stop that.
    pub fn drip(&self, direction: Direction, interval: Option<Duration>) {
        self.plan(direction).drip = interval;
    }

    /// From now on, closes the connection instead of passing a chunk on, with this probability for each chunk.
    pub fn cut_at_random(&self, direction: Direction, percent: usize, seed: u64) {
        self.plan(direction).lottery = Some(Lottery { percent, random: Random::new(seed), cuts: 0 });
    }

    /// Ends [`cut_at_random`](Self::cut_at_random); the answer is how many connections that has closed.
    pub fn stop_cutting(&self, direction: Direction) -> u64 {
        self.plan(direction).lottery.take().map_or(0, |lottery| lottery.cuts)
    }

    /// Existing connections stay open and pass nothing any more; new ones work.
    pub fn swallow_existing(&self) {
        self.shared.swallowed.store(self.accepted(), Ordering::SeqCst);
    }

    /// Closes all existing connections; new ones work.
    pub fn cut_all(&self) {
        for stream in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn lane(&self, direction: Direction) -> &Lane {
        &self.shared.lanes[direction as usize]
    }

    fn plan(&self, direction: Direction) -> MutexGuard<'_, Plan> {
        self.lane(direction).plan()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.release(direction);
        }
        self.cut_all();
        // Wakes the accepting thread, which then ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream) -> Result<()> {
        let number = self.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        let server = TcpStream::connect(self.upstream)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        self.open.lock().unwrap_or_else(PoisonError::into_inner).extend([client.try_clone()?, server.try_clone()?]);
        for (direction, from, to) in
            [(Direction::ToServer, client.try_clone()?, server.try_clone()?), (Direction::ToClient, server, client)]
        {
            let shared = self.clone();
            thread::spawn(move || {
                let _ = shared.pump(number, direction, &from, &to);
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
        Ok(())
    }

    /// Passes bytes on until the connection ends or a plan ends it.
    fn pump(&self, number: u64, direction: Direction, mut from: &TcpStream, mut to: &TcpStream) -> Result<()> {
        let lane = &self.lanes[direction as usize];
        let mut buffer = [0; 16 * 1024];
        loop {
            let length = from.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            let mut chunk = buffer[..length].to_vec();
            let (delay, drip) = {
                let mut plan = lane.plan();
                if plan.lottery.as_mut().is_some_and(Lottery::draw) {
                    return Ok(());
                }
                if let Some(other) = plan.replace.take() {
                    chunk = other;
                }
                (plan.delay, plan.drip)
            };
            thread::sleep(delay);
            let step = if drip.is_some() { 1 } else { chunk.len() };
            let mut rest = chunk.as_slice();
            while !rest.is_empty() {
                thread::sleep(drip.unwrap_or_default());
                let (passing, then) = lane.admit(rest.len().min(step));
                if number > self.swallowed.load(Ordering::SeqCst) {
                    // Counted first, so that who has seen a reply finds it counted.
                    lane.bytes.fetch_add(passing as u64, Ordering::SeqCst);
                    to.write_all(&rest[..passing])?;
                }
                rest = &rest[passing..];
                match then {
                    Then::GoOn => {}
                    Then::Cut => return Ok(()),
                    Then::Hold => lane.wait_for_release(),
                }
            }
        }
    }
}

impl Lottery {
    /// Whether this chunk ends its connection.
    fn draw(&mut self) -> bool {
        let cut = self.random.percent(self.percent);
        self.cuts += u64::from(cut);
        cut
    }
}

enum Then {
    GoOn,
    Cut,
    Hold,
}

impl Lane {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of so many bytes may pass now, and what happens after them.
    fn admit(&self, bytes: usize) -> (usize, Then) {
        let mut plan = self.plan();
        let limit = |left: Option<u64>| left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let passing = bytes.min(limit(plan.cut_after)).min(limit(plan.hold_after));
        plan.cut_after = plan.cut_after.map(|left| left - passing as u64);
        plan.hold_after = plan.hold_after.map(|left| left - passing as u64);
        if plan.cut_after == Some(0) {
            plan.cut_after = None;
            return (passing, Then::Cut);
        }
        (passing, if plan.hold_after == Some(0) { Then::Hold } else { Then::GoOn })
    }

    fn wait_for_release(&self) {
        let plan = self.plan();
        let held = self.changed.wait_while(plan, |plan| plan.hold_after == Some(0));
        drop(held.unwrap_or_else(PoisonError::into_inner));
    }
}
