//! A provider that lets others go on before and after each of its steps, and may fail there.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;

use super::super::random::Random;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::id::WriterId;
use crate::key::SessionKey;
use crate::provider::{
    Action, Capabilities, Checked, Commit, Committed, Destroyed, Destruction, Loaded, Renewal, Renewed, Retired,
    Retirement, SessionProvider,
};

/// What the providers of all processes of an episode share.
pub(super) struct Gates {
    closed: AtomicBool,
    /// Steps of the store that are being done.
    running: AtomicUsize,
    /// Gates that were reached.
    reached: AtomicUsize,
    faults: Mutex<Faults>,
    created: Mutex<Created>,
}

/// How often steps fail.
pub(super) struct Faults {
    percent: usize,
    random: Random,
}

impl Faults {
    pub(super) fn none() -> Self {
        Self::new(0, 0)
    }

    pub(super) fn new(percent: usize, seed: u64) -> Self {
        Self { percent, random: Random::new(seed) }
    }
}

/// The keys at which something was created, by their bytes, and what marks the session of the episode.
#[derive(Default)]
struct Created {
    keys: BTreeMap<Vec<u8>, SessionKey>,
    mark: Option<Bytes>,
}

/// The attribute by which the episode's session is known.
pub(super) const MARK: &str = "mark";

impl Gates {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            closed: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            reached: AtomicUsize::new(0),
            faults: Mutex::new(faults),
            created: Mutex::default(),
        }
    }

    pub(super) fn over(self: &Arc<Self>, inner: Arc<dyn SessionProvider>) -> Gated {
        Gated { inner, gates: self.clone() }
    }

    /// From now on nothing waits, and nothing fails.
    pub(super) fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Whether the store is at work.
    pub(super) fn are_passed(&self) -> bool {
        self.running.load(Ordering::SeqCst) > 0
    }

    pub(super) fn reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }

    pub(super) fn keys(&self) -> Vec<SessionKey> {
        self.created().keys.values().cloned().collect()
    }

    /// The bytes of the mark, once the session was created.
    pub(super) fn mark(&self) -> Option<Bytes> {
        self.created().mark.clone()
    }

    fn created(&self) -> std::sync::MutexGuard<'_, Created> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One gate.
    async fn pass(&self) {
        if self.closed.load(Ordering::SeqCst) {
            self.reached.fetch_add(1, Ordering::SeqCst);
            once_pending().await;
        }
    }

    fn fails(&self) -> bool {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let percent = faults.percent;
        self.closed.load(Ordering::SeqCst) && faults.random.percent(percent)
    }

    /// One step of the store between two gates.
    async fn step<T>(&self, operation: Operation, step: impl Future<Output = Result<T>>) -> Result<T> {
        self.pass().await;
        if self.fails() {
            return Err(Error::new(ErrorKind::Unavailable, operation, "it was not done"));
        }
        let running = Running::new(&self.running);
        let answer = step.await;
        drop(running);
        self.pass().await;
        if self.fails() {
            return Err(Error::new(ErrorKind::OutcomeUnknown, operation, "it was done"));
        }
        answer
    }
}

/// Lets whoever polls this do something else once.
pub(super) async fn once_pending() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Counts a step as running, also if it is dropped.
struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The provider of one process.
pub(super) struct Gated {
    inner: Arc<dyn SessionProvider>,
    gates: Arc<Gates>,
}

#[async_trait]
impl SessionProvider for Gated {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded> {
        self.gates.step(Operation::Load, self.inner.load(key, writer)).await
    }

    async fn check(&self, key: &SessionKey) -> Result<Checked> {
        self.gates.step(Operation::Load, self.inner.check(key)).await
    }

    async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        if commit.creation.is_some() {
            let mut created = self.gates.created();
            created.keys.insert(key.as_bytes().to_vec(), key.clone());
            if created.mark.is_none() {
                created.mark = commit.changes.iter().find_map(|change| match &change.action {
                    Action::Set(bytes) if change.name.as_str() == MARK => Some(bytes.clone()),
                    _ => None,
                });
            }
        }
        self.gates.step(Operation::Commit, self.inner.commit(key, commit)).await
    }

    async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed> {
        self.gates.step(Operation::Renew, self.inner.renew(key, renewal)).await
    }

    async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        self.gates.step(Operation::Destroy, self.inner.destroy(key, destruction)).await
    }

    async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired> {
        self.gates.step(Operation::Rotate, self.inner.retire(key, retirement)).await
    }
}
