//! Keeps the map of a cluster's slots up to date.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::ask::{Inquirer, first_answer, no_answer};
use super::nodes::Nodes;
use super::slots::SlotMap;
use crate::transport::supervisor::runtime;
use crate::transport::{Address, Command};

/// The pause between two inquiries; it doubles with every one that tells nothing new. Every call about the slots of a
/// lost node asks for one, until another node has taken its place.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What is newer than this is not asked for again because of a node that sends us to another one.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// Knows which node has a slot. Asks the nodes when it is told that this may have changed: any of them, and those that
/// the settings name, one inquiry at a time, over connections that are closed afterwards.
pub(super) struct ClusterMap(Arc<Shared>);

struct Shared {
    nodes: Arc<Nodes>,
    /// Where some of the nodes listen, as the settings say.
    seeds: Vec<Address>,
    slots: RwLock<SlotMap>,
    /// The running inquiry.
    inquiry: Mutex<Option<AbortHandle>>,
    state: watch::Sender<State>,
    /// Which of the nodes is asked first: another one every time, since one may know less than the others.
    first: AtomicUsize,
}

/// What is known of the inquiries.
#[derive(Default)]
struct State {
    /// How many have ended.
    ended: u64,
    /// How many in a row have told nothing new.
    in_vain: u32,
    /// When the last one ended.
    last: Option<Instant>,
    /// Why the last one failed.
    failure: Option<Error>,
}

impl ClusterMap {
    pub(super) fn new(nodes: Arc<Nodes>, seeds: Vec<Address>) -> Self {
        Self(Arc::new(Shared {
            nodes,
            seeds,
            slots: RwLock::default(),
            inquiry: Mutex::default(),
            state: watch::Sender::default(),
            first: AtomicUsize::new(0),
        }))
    }

    /// The node that has this slot, as far as is known.
    pub(super) fn owner(&self, slot: u16) -> Option<Address> {
        self.0.slots.read().unwrap_or_else(PoisonError::into_inner).owner(slot).cloned()
    }

    /// A node has said that another has this slot. Probably it is not the only one.
    pub(super) fn moved(&self, slot: u16, owner: Address) {
        self.0.slots.write().unwrap_or_else(PoisonError::into_inner).learn(slot, owner);
        self.may_be_old();
    }

    /// Starts an inquiry, unless there was one just now.
    pub(super) fn may_be_old(&self) {
        let is_fresh = self.0.state.borrow().last.is_some_and(|last| last.elapsed() < FRESH_FOR);
        if !is_fresh {
            // Without a runtime nobody would use the answer either.
            let _ = self.inquire();
        }
    }

    /// Starts an inquiry unless one is under way, and waits for its end, until the deadline.
    ///
    /// # Errors
    ///
    /// No node has answered, or none by then. What was known is kept.
    pub(super) async fn refresh(&self, deadline: Instant) -> Result<()> {
        let (mut state, before) = self.inquire()?;
        match timeout_at(deadline, state.wait_for(|state| state.ended > before)).await {
            Ok(Ok(state)) => state.failure.clone().map_or(Ok(()), Err),
            Ok(Err(_)) | Err(_) => {
                let why = "no node of the cluster has told of the others within the operation timeout";
                Err(Error::new(ErrorKind::Unavailable, Operation::Connect, why))
            }
        }
    }

    /// Starts an inquiry unless one is under way; tells how many had ended before.
    fn inquire(&self) -> Result<(watch::Receiver<State>, u64)> {
        let runtime = runtime()?;
        let mut inquiry = self.0.inquiry.lock().unwrap_or_else(PoisonError::into_inner);
        // One may also have ended with its runtime.
        if inquiry.as_ref().is_none_or(AbortHandle::is_finished) {
            *inquiry = Some(runtime.spawn(self.0.clone().inquire()).abort_handle());
        }
        let state = self.0.state.subscribe();
        let before = state.borrow().ended;
        Ok((state, before))
    }
}

impl Drop for ClusterMap {
    fn drop(&mut self) {
        if let Some(inquiry) = self.0.inquiry.lock().unwrap_or_else(PoisonError::into_inner).take() {
            inquiry.abort();
        }
    }
}

impl Shared {
    async fn inquire(self: Arc<Self>) {
        if let Some(start) = self.earliest_start() {
            sleep_until(start).await;
        }
        let asked = timeout(self.nodes.connect_timeout(), first_answer(self.candidates().map(|node| self.ask(node))));
        let (is_news, failure) = match asked.await {
            Ok(Ok(map)) => {
                self.nodes.keep(|node| map.has_slots(node));
                let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
                let is_news = !map.agrees_with(&slots);
                *slots = map;
                (is_news, None)
            }
            Ok(Err(errors)) => (false, Some(failure(errors))),
            Err(_) => (false, Some(failure([]))),
        };
        // Together, so that whoever finds the inquiry running is told of its end.
        let mut inquiry = self.inquiry.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.send_modify(|state| {
            state.ended += 1;
            state.last = Some(Instant::now());
            if let Some(error) = failure.as_ref().filter(|_| state.failure.is_none()) {
                tracing::warn!(%error, "the cluster's slots are not known");
            }
            state.in_vain = if is_news { 0 } else { state.in_vain.saturating_add(1) };
            state.failure = failure;
        });
        *inquiry = None;
    }

    fn earliest_start(&self) -> Option<Instant> {
        let state = self.state.borrow();
        let pause = LONGEST_PAUSE.min(SHORTEST_PAUSE * 2_u32.pow(state.in_vain.min(10)));
        state.last.map(|last| last + pause)
    }

    /// All nodes, another one first every time, then those of the settings that are not among them.
    fn candidates(&self) -> impl Iterator<Item = Address> {
        let mut nodes = self.slots.read().unwrap_or_else(PoisonError::into_inner).nodes().to_vec();
        let seeds: Vec<_> = self.seeds.iter().filter(|seed| !nodes.contains(seed)).cloned().collect();
        let first = self.first.fetch_add(1, Ordering::Relaxed);
        if !nodes.is_empty() {
            let count = nodes.len();
            nodes.rotate_left(first % count);
        }
        nodes.into_iter().chain(seeds)
    }

    async fn ask(&self, node: Address) -> Result<SlotMap> {
        let mut inquirer = Inquirer::connect(&self.nodes.endpoint(&node)).await?;
        SlotMap::read(inquirer.ask(Command::new("CLUSTER").arg("SLOTS")).await?, &node)
    }
}

/// Why no node has told of the others.
fn failure(errors: impl IntoIterator<Item = Error>) -> Error {
    no_answer(errors, "no node of the cluster answers", "no node of the cluster tells of the others")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::transport::Endpoint;

    /// A node that says who it is with every word, and that it has these slots.
    async fn node(says: &'static str) -> (Address, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
        let inquiries = Arc::new(AtomicUsize::new(0));
        let counting = inquiries.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counting.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    while let Ok(1..) = stream.read(&mut request).await {
                        let answer = if request.windows(4).any(|word| word == b"PING") { "+PONG\r\n" } else { says };
                        stream.write_all(answer.as_bytes()).await.unwrap();
                        request.fill(0);
                    }
                });
            }
        });
        (address, inquiries)
    }

    /// As when a node is lost, and every call about its slots asks whether another one has them.
    #[tokio::test]
    async fn asked_less_often_while_the_answer_is_the_same() {
        let (address, inquiries) = node("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$4\r\nlost\r\n:7000\r\n").await;
        let second = Duration::from_secs(1);
        let nodes = Arc::new(Nodes::new(Endpoint::new(address.clone()), 1, second, second));
        let map = ClusterMap::new(nodes, vec![address]);
        let start = Instant::now();
        while start.elapsed() < second {
            map.refresh(Instant::now() + 5 * second).await.unwrap();
        }
        // Of the pauses of 20, 40, 80, 160 and 250 ms.
        let inquiries = inquiries.load(Ordering::SeqCst);
        assert!((4..=8).contains(&inquiries), "{inquiries}");
        assert_eq!(map.owner(7), Some(Address::Tcp { host: "lost".to_owned(), port: 7000 }));
    }
}
