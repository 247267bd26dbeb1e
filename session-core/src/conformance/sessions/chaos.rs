//! A store in front of which every step waits until the test lets it go, and may be lost on its way.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::id::WriterId;
use crate::key::SessionKey;
use crate::provider::{
    Capabilities, Checked, Commit, Committed, Destroyed, Destruction, Loaded, Renewal, Renewed, Retired, Retirement,
    SessionProvider,
};

/// What becomes of a step that waits before the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is executed; the answer waits once more on its way back.
    Run,
    /// The store is not reached.
    Unavailable,
    /// The store refuses for now.
    Rejected,
    /// The request is lost, and nobody knows.
    LoseRequest,
    /// It is executed and the answer is lost.
    LoseAnswer,
    /// It is executed some time later, when nobody waits for it any more.
    Delay,
}

/// A write that is executed later.
pub(super) enum Late {
    Commit(SessionKey, Commit),
    Renew(SessionKey, Renewal),
    Destroy(SessionKey, Destruction),
    Retire(SessionKey, Retirement),
}

/// The store, and who waits before it.
pub(super) struct Chaos {
    inner: Arc<dyn SessionProvider>,
    control: Mutex<Control>,
    executed: Notify,
}

/// Where a step waits.
struct Gate {
    step: &'static str,
    answered: bool,
    open: oneshot::Sender<Verdict>,
}

#[derive(Default)]
struct Control {
    /// Who waits, in the order of arrival.
    gates: BTreeMap<u64, Gate>,
    next_gate: u64,
    /// Nobody waits any more, and nothing is lost.
    open: bool,
    running: usize,
    late: Vec<Late>,
    keys: HashSet<SessionKey>,
}

impl Chaos {
    pub(super) fn new(inner: Arc<dyn SessionProvider>) -> Self {
        Self { inner, control: Mutex::default(), executed: Notify::new() }
    }

    /// From now on nobody waits and nothing is lost.
    pub(super) fn calm(&self) {
        let mut control = self.control();
        control.open = true;
        for gate in std::mem::take(&mut control.gates).into_values() {
            // Whoever waited there may have been cancelled.
            let _ = gate.open.send(Verdict::Run);
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        let mut control = self.control();
        control.gates.retain(|_, gate| !gate.open.is_closed());
        control.gates.len()
    }

    /// What the one is about that came at this place.
    pub(super) fn describe(&self, place: usize) -> String {
        let control = self.control();
        control.gates.values().nth(place).map_or_else(String::new, |gate| {
            format!("{} {}", if gate.answered { "the answer to a" } else { "a" }, gate.step)
        })
    }

    /// Lets the one go that came at this place.
    pub(super) fn release(&self, place: usize, verdict: Verdict) {
        let mut control = self.control();
        let Some(number) = control.gates.keys().nth(place).copied() else { return };
        if let Some(gate) = control.gates.remove(&number) {
            let _ = gate.open.send(verdict);
        }
    }

    /// Every key under which something was ever written.
    pub(super) fn keys(&self) -> Vec<SessionKey> {
        self.control().keys.iter().cloned().collect()
    }

    pub(super) fn count_late(&self) -> usize {
        self.control().late.len()
    }

    /// Executes a write that was delayed. Nobody is told its outcome.
    pub(super) async fn execute_late(&self, place: usize) {
        let late = self.control().late.swap_remove(place);
        let ignored = match late {
            Late::Commit(key, commit) => self.inner.commit(&key, &commit).await.err(),
            Late::Renew(key, renewal) => self.inner.renew(&key, &renewal).await.err(),
            Late::Destroy(key, destruction) => self.inner.destroy(&key, &destruction).await.err(),
            Late::Retire(key, retirement) => self.inner.retire(&key, &retirement).await.err(),
        };
        // What comes too late may find another session's key.
        assert!(ignored.is_none_or(|error| error.kind() == ErrorKind::ForeignKey), "a late write failed");
    }

    /// Waits until everybody who can go on has arrived at a gate or ended.
    pub(super) async fn quiet(&self) {
        loop {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            let executed = self.executed.notified();
            if self.control().running == 0 {
                return;
            }
            executed.await;
        }
    }

    async fn pass(&self, step: &'static str, answered: bool) -> Verdict {
        let arrived = {
            let mut control = self.control();
            if control.open {
                return Verdict::Run;
            }
            let (open, arrived) = oneshot::channel();
            control.next_gate += 1;
            let number = control.next_gate;
            control.gates.insert(number, Gate { step, answered, open });
            arrived
        };
        arrived.await.unwrap_or(Verdict::Run)
    }

    async fn step<T>(&self, name: &'static str, late: Option<Late>, run: impl Future<Output = Result<T>>) -> Result<T> {
        let lost = || Err(Error::new(ErrorKind::OutcomeUnknown, Operation::Commit, "lost on its way"));
        let keep_answer = match self.pass(name, false).await {
            Verdict::Run => true,
            Verdict::LoseAnswer => false,
            Verdict::Unavailable => return Err(Error::new(ErrorKind::Unavailable, Operation::Commit, "not reached")),
            Verdict::Rejected => return Err(Error::new(ErrorKind::Rejected, Operation::Commit, "refused")),
            Verdict::LoseRequest => return lost(),
            Verdict::Delay => {
                self.control().late.extend(late);
                return lost();
            }
        };
        let answer = {
            let _running = Running::new(self);
            run.await
        };
        if !keep_answer {
            return lost();
        }
        // What is said here does not matter: the answer is on its way.
        self.pass(name, true).await;
        answer
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step that the store is executing.
struct Running<'a>(&'a Chaos);

impl<'a> Running<'a> {
    fn new(chaos: &'a Chaos) -> Self {
        chaos.control().running += 1;
        Self(chaos)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.control().running -= 1;
        self.0.executed.notify_one();
    }
}

#[async_trait]
impl SessionProvider for Chaos {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded> {
        self.step("load", None, self.inner.load(key, writer)).await
    }

    async fn check(&self, key: &SessionKey) -> Result<Checked> {
        self.step("check", None, self.inner.check(key)).await
    }

    async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        self.control().keys.insert(key.clone());
        let late = Late::Commit(key.clone(), commit.clone());
        self.step("commit", Some(late), self.inner.commit(key, commit)).await
    }

    async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed> {
        let late = Late::Renew(key.clone(), renewal.clone());
        self.step("renew", Some(late), self.inner.renew(key, renewal)).await
    }

    async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        let late = Late::Destroy(key.clone(), destruction.clone());
        self.step("destroy", Some(late), self.inner.destroy(key, destruction)).await
    }

    async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired> {
        let late = Late::Retire(key.clone(), retirement.clone());
        self.step("retire", Some(late), self.inner.retire(key, retirement)).await
    }
}
