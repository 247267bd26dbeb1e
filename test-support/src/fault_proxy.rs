//! A TCP proxy that does to a connection what networks do.

use std::io::{Read as _, Result, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use session_core::conformance::Random;
use socket2::SockRef;

use crate::relay::{Direction, Ends, Pass, Relay};

/// A TCP proxy before a server, with faults on demand. Ends its connections when dropped.
///
/// Faults by byte count start counting when they are asked for, over all connections, and happen once.
#[derive(Debug)]
pub struct FaultProxy(Relay<Faults>);

#[derive(Debug, Default)]
struct Faults {
    lanes: [Lane; 2],
    /// Connections with a number up to this one pass nothing any more.
    swallowed: AtomicU64,
    /// Connections with a number up to this one end with a reset.
    reset: AtomicU64,
    refuses: AtomicBool,
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
    /// So many chunks, this one included, until one ends its connection.
    cut_at_chunk: Option<u64>,
    hold_after: Option<u64>,
    /// Connections with a number up to this one are held back.
    held: u64,
    swallows: bool,
    replace: Option<Vec<u8>>,
    garble: Option<Vec<u8>>,
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
        Ok(Self(Relay::start(upstream, Faults::default())?))
    }

    /// The address to connect to.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// `redis://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> u64 {
        self.0.accepted()
    }

    /// How many bytes were passed on.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.lane(direction).bytes.load(Ordering::SeqCst)
    }

    /// Passes `bytes` more bytes, then closes the connection that is carrying them, on both sides.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.plan(direction).cut_after = Some(bytes);
    }

    /// Closes the connection, on both sides, that carries the `number`th chunk from now on, counted from 1, instead of
    /// passing that on. Where one waits for the reply of the other, a chunk is a request or a reply.
    pub fn cut_at_chunk(&self, direction: Direction, number: u64) {
        self.plan(direction).cut_at_chunk = Some(number);
    }

    /// Whether a cut that was asked for has not happened yet.
    pub fn cut_is_pending(&self, direction: Direction) -> bool {
        let plan = self.plan(direction);
        plan.cut_after.is_some() || plan.cut_at_chunk.is_some()
    }

    /// Takes back a cut that has not happened yet.
    pub fn cancel_cut(&self, direction: Direction) {
        let mut plan = self.plan(direction);
        plan.cut_after = None;
        plan.cut_at_chunk = None;
    }

    /// Passes `bytes` more bytes, then holds back all others until [`release`](Self::release).
    pub fn hold_after(&self, direction: Direction, bytes: u64) {
        self.plan(direction).hold_after = Some(bytes);
    }

    /// Holds back what existing connections carry until [`release`](Self::release), also if one side closes them
    /// meanwhile; new ones work.
    pub fn hold_existing(&self, direction: Direction) {
        self.plan(direction).held = self.accepted();
    }

    /// Lets go what was held back.
    pub fn release(&self, direction: Direction) {
        {
            let mut plan = self.plan(direction);
            plan.hold_after = None;
            plan.held = 0;
        }
        self.lane(direction).changed.notify_all();
    }

    /// Passes these bytes instead of what comes next.
    pub fn replace_next(&self, direction: Direction, bytes: impl Into<Vec<u8>>) {
        self.plan(direction).replace = Some(bytes.into());
    }

    /// Passes these bytes instead of every chunk; `None` to stop that.
    pub fn garble(&self, direction: Direction, bytes: Option<&[u8]>) {
        self.plan(direction).garble = bytes.map(<[u8]>::to_vec);
    }

    /// Passes nothing any more on any connection, and keeps them open; `false` to stop that.
    pub fn swallow(&self, direction: Direction, swallows: bool) {
        self.plan(direction).swallows = swallows;
    }

    /// Closes new connections as soon as they were accepted; `false` to stop that.
    pub fn refuse(&self, refuses: bool) {
        self.0.pass().refuses.store(refuses, Ordering::SeqCst);
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
        self.0.pass().swallowed.store(self.accepted(), Ordering::SeqCst);
    }

    /// Closes all existing connections; new ones work.
    pub fn cut_all(&self) {
        self.0.cut_all();
    }

    /// Tells the receiving side of all existing connections that nothing more will come, as if the sending side had
    /// said so; new ones work.
    pub fn half_close_all(&self, direction: Direction) {
        for Ends { client, server } in &*self.0.open() {
            let receiver = if direction == Direction::ToServer { server } else { client };
            let _ = receiver.shutdown(Shutdown::Write);
        }
    }

    /// Ends all existing connections with a reset (RST) on the client's side; new ones work.
    pub fn reset_all(&self) {
        self.0.pass().reset.store(self.accepted(), Ordering::SeqCst);
        for Ends { client, server } in self.0.open().drain(..) {
            // Closing it then resets it. That happens when the threads that pass its bytes have let go of it, too.
            let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
            let _ = client.shutdown(Shutdown::Read);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    fn lane(&self, direction: Direction) -> &Lane {
        &self.0.pass().lanes[direction as usize]
    }

    fn plan(&self, direction: Direction) -> MutexGuard<'_, Plan> {
        self.lane(direction).plan()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.release(direction);
        }
    }
}

impl Pass for Faults {
    fn accepts(&self) -> bool {
        !self.refuses.load(Ordering::SeqCst)
    }

    fn says_goodbye(&self, number: u64) -> bool {
        number > self.reset.load(Ordering::SeqCst)
    }

    /// Passes bytes on until the connection ends or a plan ends it.
    fn pass(&self, number: u64, direction: Direction, mut from: &TcpStream, mut to: &TcpStream) -> Result<()> {
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
                if plan.lottery.as_mut().is_some_and(Lottery::draw) || plan.is_cut_chunk() {
                    return Ok(());
                }
                if let Some(other) = plan.replace.take().or_else(|| plan.garble.clone()) {
                    chunk = other;
                }
                (plan.delay, plan.drip)
            };
            thread::sleep(delay);
            lane.wait_while_held(number);
            let step = if drip.is_some() { 1 } else { chunk.len() };
            let mut rest = chunk.as_slice();
            while !rest.is_empty() {
                thread::sleep(drip.unwrap_or_default());
                let (passing, then) = lane.admit(rest.len().min(step));
                if number > self.swallowed.load(Ordering::SeqCst) && !lane.plan().swallows {
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

impl Plan {
    /// Whether the chunk that has come is the one at which its connection is to be closed.
    fn is_cut_chunk(&mut self) -> bool {
        match &mut self.cut_at_chunk {
            None => false,
            Some(left) => {
                *left = left.saturating_sub(1);
                let is_last = *left == 0;
                if is_last {
                    self.cut_at_chunk = None;
                }
                is_last
            }
        }
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

    fn wait_while_held(&self, number: u64) {
        let held = self.changed.wait_while(self.plan(), |plan| number <= plan.held);
        drop(held.unwrap_or_else(PoisonError::into_inner));
    }

    fn wait_for_release(&self) {
        let plan = self.plan();
        let held = self.changed.wait_while(plan, |plan| plan.hold_after == Some(0));
        drop(held.unwrap_or_else(PoisonError::into_inner));
    }
}
