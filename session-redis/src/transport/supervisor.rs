//! Keeps one connection open.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::Connect;

/// The first pause after a failed attempt to connect; it doubles with every further failure.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause while nobody waits.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause while somebody waits.
const LONGEST_PAUSE_WHEN_WANTED: Duration = Duration::from_millis(250);

/// A connection that lived shorter than this counts as a failed attempt, so that a server which closes every connection
/// is not hammered; unless it had answered a request before it was lost.
const PROVEN_AFTER: Duration = Duration::from_secs(1);

/// Keeps one connection open: connects when it is first asked for, again when it is lost, and never twice at the same
/// time.
///
/// A task owns the connection and publishes it with a number, its epoch. The task is started on the runtime of the
/// first call, again when that runtime has ended, and ends when the supervisor is dropped. Attempts that failed are
/// followed by pauses of 20 ms, doubling up to 1 s, or to 250 ms while somebody waits. After a failure that repetition
/// does not help (credentials), the next attempt waits until somebody asks.
pub struct Supervisor<C: Connect> {
    connector: Arc<C>,
    connect_timeout: Duration,
    epochs: Arc<AtomicU64>,
    task: RwLock<Option<Task<C::Connection>>>,
}

/// What a caller needs of the running task.
struct Task<T> {
    state: watch::Receiver<State<T>>,
    signals: Arc<Signals>,
    handle: AbortHandle,
}

/// The ends of a running task's channels.
type Running<T> = (watch::Receiver<State<T>>, Arc<Signals>);

/// What callers tell the task.
#[derive(Default)]
struct Signals {
    wanted: Notify,
    condemned: Notify,
    /// All connections up to this epoch are no longer trusted.
    condemned_epoch: AtomicU64,
}

/// What the task publishes.
struct State<T> {
    /// How many attempts have failed so far.
    failures: u64,
    last_failure: Option<Error>,
    current: Option<Established<T>>,
}

/// An open connection and its number.
#[derive(Clone)]
pub struct Established<T> {
    /// Greater than that of all connections before.
    pub epoch: u64,
    /// The connection.
    pub connection: T,
    answered: Arc<AtomicBool>,
}

impl<T> Established<T> {
    /// To be told when a request was answered: should the connection be lost, it is replaced at once.
    pub fn has_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }
}

impl<C: Connect> Supervisor<C> {
    /// Nothing is started or connected before the first call. One attempt to connect takes at most `connect_timeout`.
    pub fn new(connector: C, connect_timeout: Duration) -> Self {
        Self { connector: Arc::new(connector), connect_timeout, epochs: Arc::default(), task: RwLock::new(None) }
    }

    /// The open connection, if it is newer than epoch `newer_than`; else waits for one until `deadline`.
    ///
    /// # Errors
    ///
    /// Nothing was sent. Immediately when an attempt that was under way, or the next one, has failed; at the deadline
    /// if none has ended by then.
    pub async fn connection(&self, newer_than: u64, deadline: Instant) -> Result<Established<C::Connection>> {
        if let Some(established) = self.current(newer_than) {
            return Ok(established);
        }
        // Twice, because the task may be on a runtime that is just ending.
        for _ in 0..2 {
            let (mut state, signals) = self.running()?;
            let failures_before = state.borrow().failures;
            signals.wanted.notify_one();
            loop {
                {
                    let state = state.borrow_and_update();
                    let condemned = signals.condemned_epoch.load(Ordering::SeqCst).max(newer_than);
                    if let Some(established) = state.current.as_ref().filter(|it| it.epoch > condemned) {
                        return Ok(established.clone());
                    }
                    if let Some(failure) = state.last_failure.as_ref().filter(|_| state.failures > failures_before) {
                        return Err(failure.clone());
                    }
                }
                match timeout_at(deadline, state.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => break,
                    Err(_) => {
                        let why = "no connection within the operation timeout";
                        return Err(Error::new(ErrorKind::Unavailable, Operation::Connect, why));
                    }
                }
            }
        }
        Err(Error::new(ErrorKind::Unavailable, Operation::Connect, "the runtime is shutting down"))
    }

    /// Drops the connection of this epoch, if it is still the open one: after a timeout or a reply that makes no sense
    /// it is never used again.
    pub fn condemn(&self, epoch: u64) {
        if let Some(task) = &*self.task.read().unwrap_or_else(PoisonError::into_inner) {
            task.signals.condemned_epoch.fetch_max(epoch, Ordering::SeqCst);
            task.signals.condemned.notify_one();
        }
    }

    fn current(&self, newer_than: u64) -> Option<Established<C::Connection>> {
        let task = self.task.read().unwrap_or_else(PoisonError::into_inner);
        let task = task.as_ref()?;
        // A published connection whose task has ended with its runtime is dead.
        task.state.has_changed().ok()?;
        let state = task.state.borrow();
        let condemned = task.signals.condemned_epoch.load(Ordering::SeqCst).max(newer_than);
        state.current.as_ref().filter(|it| it.epoch > condemned).cloned()
    }

    /// The running task; starts it if there is none.
    fn running(&self) -> Result<Running<C::Connection>> {
        let runtime = runtime()?;
        let mut task = self.task.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = task.as_ref().filter(|task| task.state.has_changed().is_ok()) {
            return Ok((running.state.clone(), running.signals.clone()));
        }
        let signals = Arc::<Signals>::default();
        let (publish, state) = watch::channel(State { failures: 0, last_failure: None, current: None });
        let supervision = Supervision {
            connector: self.connector.clone(),
            connect_timeout: self.connect_timeout,
            epochs: self.epochs.clone(),
            signals: signals.clone(),
            publish,
        };
        let handle = runtime.spawn(supervision.run()).abort_handle();
        *task = Some(Task { state: state.clone(), signals: signals.clone(), handle });
        Ok((state, signals))
    }
}

/// The runtime of the present call. Without one even a timeout would panic.
pub(super) fn runtime() -> Result<Handle> {
    Handle::try_current()
        .map_err(|_| Error::new(ErrorKind::Unavailable, Operation::Connect, "must be called on a tokio runtime"))
}

impl<C: Connect> Drop for Supervisor<C> {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.handle.abort();
        }
    }
}

/// The task's own part.
struct Supervision<C: Connect> {
    connector: Arc<C>,
    connect_timeout: Duration,
    epochs: Arc<AtomicU64>,
    signals: Arc<Signals>,
    publish: watch::Sender<State<C::Connection>>,
}

impl<C: Connect> Supervision<C> {
    async fn run(self) {
        let mut failures_in_a_row = 0;
        loop {
            let attempt = timeout(self.connect_timeout, self.connector.connect()).await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Unavailable, Operation::Connect, "connecting took too long"))
            });
            let mut only_when_wanted = false;
            match attempt {
                Ok((connection, driver)) => {
                    tracing::debug!("connected to the session store");
                    let proven = self.hold(connection, driver).await;
                    failures_in_a_row = if proven { 0 } else { failures_in_a_row + 1 };
                }
                Err(error) => {
                    failures_in_a_row += 1;
                    if failures_in_a_row == 1 {
                        tracing::warn!(%error, "no connection to the session store");
                    }
                    only_when_wanted = !error.kind().is_retryable();
                    self.publish.send_modify(|state| {
                        state.failures += 1;
                        state.last_failure = Some(error);
                    });
                }
            }
            self.pause(failures_in_a_row, only_when_wanted).await;
        }
    }

    /// Publishes a connection and drives it until it is lost or condemned; `true` if it was good for something.
    async fn hold(&self, connection: C::Connection, mut driver: super::Driver) -> bool {
        let opened = Instant::now();
        let epoch = self.epochs.fetch_add(1, Ordering::SeqCst) + 1;
        let answered = Arc::<AtomicBool>::default();
        let established = Established { epoch, connection, answered: answered.clone() };
        self.publish.send_modify(|state| state.current = Some(established));
        let was_good = loop {
            tokio::select! {
                biased;
                () = &mut driver => {
                    tracing::debug!("the connection to the session store was closed");
                    break answered.load(Ordering::Relaxed);
                }
                () = self.signals.condemned.notified() => {
                    if self.signals.condemned_epoch.load(Ordering::SeqCst) >= epoch {
                        tracing::warn!("a connection to the session store is no longer trusted and was dropped");
                        // What it answered may have been that it is of no use.
                        break false;
                    }
                }
            }
        };
        self.publish.send_modify(|state| state.current = None);
        was_good || opened.elapsed() >= PROVEN_AFTER
    }

    async fn pause(&self, failures_in_a_row: u32, only_when_wanted: bool) {
        let start = Instant::now();
        let pause = match failures_in_a_row {
            0 => return,
            many => LONGEST_PAUSE.min(SHORTEST_PAUSE * 2_u32.pow(many.min(10) - 1)),
        };
        let when_wanted = async {
            self.signals.wanted.notified().await;
            sleep_until(start + pause.min(LONGEST_PAUSE_WHEN_WANTED)).await;
        };
        if only_when_wanted {
            return when_wanted.await;
        }
        tokio::select! {
            () = sleep_until(start + pause) => {}
            () = when_wanted => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::sleep;

    use super::super::{Command, Connection, Driver, Lost, Reply};
    use super::*;

    #[derive(Clone)]
    struct Nothing;

    impl Connection for Nothing {
        async fn request(&self, _: &[Command]) -> Result<Vec<Reply>, Lost> {
            Err(Lost { sent: false })
        }
    }

    /// Connects after some time or fails, and takes down when it was asked to.
    #[derive(Clone, Default)]
    struct Fake(Arc<FakeState>);

    #[derive(Default)]
    struct FakeState {
        takes: Mutex<Duration>,
        fails_with: Mutex<Option<ErrorKind>>,
        attempts: Mutex<Vec<Instant>>,
        under_way: AtomicBool,
        lost: Notify,
    }

    impl Connect for Fake {
        type Connection = Nothing;

        async fn connect(&self) -> Result<(Nothing, Driver)> {
            let state = self.0.clone();
            state.attempts.lock().unwrap().push(Instant::now());
            assert!(!state.under_way.swap(true, Ordering::SeqCst), "two attempts at a time");
            let takes = *state.takes.lock().unwrap();
            sleep(takes).await;
            state.under_way.store(false, Ordering::SeqCst);
            match *state.fails_with.lock().unwrap() {
                Some(kind) => Err(Error::new(kind, Operation::Connect, "")),
                None => {
                    let state = state.clone();
                    Ok((Nothing, Box::pin(async move { state.lost.notified().await })))
                }
            }
        }
    }

    impl Fake {
        fn supervisor(&self) -> Supervisor<Self> {
            Supervisor::new(self.clone(), Duration::from_secs(5))
        }

        fn fail(&self, kind: impl Into<Option<ErrorKind>>) {
            *self.0.fails_with.lock().unwrap() = kind.into();
        }

        fn attempts(&self) -> usize {
            self.0.attempts.lock().unwrap().len()
        }

        fn pauses(&self) -> Vec<u128> {
            let attempts = self.0.attempts.lock().unwrap();
            attempts.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect()
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn connects_on_first_use_and_once_for_all() {
        let fake = Fake::default();
        *fake.0.takes.lock().unwrap() = Duration::from_millis(100);
        let supervisor = Arc::new(fake.supervisor());
        sleep(Duration::from_secs(10)).await;
        assert_eq!(fake.attempts(), 0);
        let callers: Vec<_> = (0..100)
            .map(|_| {
                let supervisor = supervisor.clone();
                tokio::spawn(async move { supervisor.connection(0, soon()).await.unwrap().epoch })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 1);
        }
        assert_eq!(fake.attempts(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_a_second() {
        let fake = Fake::default();
        fake.fail(ErrorKind::Unavailable);
        let supervisor = fake.supervisor();
        assert!(supervisor.connection(0, soon()).await.is_err());
        sleep(Duration::from_secs(10)).await;
        let pauses = fake.pauses();
        assert_eq!(pauses[1..6], [40, 80, 160, 320, 640]);
        assert!(pauses[6..].iter().all(|pause| *pause == 1000), "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_shortens_the_pause_and_gets_the_next_failure() {
        let fake = Fake::default();
        fake.fail(ErrorKind::Unavailable);
        let supervisor = fake.supervisor();
        let start = Instant::now();
        assert!(supervisor.connection(0, soon()).await.is_err());
        assert_eq!(start.elapsed(), Duration::ZERO, "the first failure is told at once");
        sleep(Duration::from_secs(20)).await;
        for _ in 0..20 {
            let (start, attempts) = (Instant::now(), fake.attempts());
            assert!(supervisor.connection(0, soon()).await.is_err());
            assert!(start.elapsed() <= LONGEST_PAUSE_WHEN_WANTED, "{:?}", start.elapsed());
            assert_eq!(fake.attempts(), attempts + 1);
        }
        fake.fail(None);
        let start = Instant::now();
        assert_eq!(supervisor.connection(0, soon()).await.unwrap().epoch, 1);
        assert!(start.elapsed() <= LONGEST_PAUSE_WHEN_WANTED);
    }

    #[tokio::test(start_paused = true)]
    async fn what_repetition_does_not_help_is_tried_when_wanted() {
        let fake = Fake::default();
        fake.fail(ErrorKind::Auth);
        let supervisor = fake.supervisor();
        assert!(supervisor.connection(0, soon()).await.is_err());
        let attempts = fake.attempts();
        sleep(Duration::from_secs(100)).await;
        assert!(fake.attempts() <= attempts + 1);
        for _ in 0..10 {
            let error = supervisor.connection(0, soon()).await.map(|it| it.epoch).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Auth);
        }
        fake.fail(None);
        assert!(supervisor.connection(0, soon()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn waits_no_longer_than_the_deadline() {
        let fake = Fake::default();
        *fake.0.takes.lock().unwrap() = Duration::from_secs(60);
        let supervisor = fake.supervisor();
        let start = Instant::now();
        let error = supervisor.connection(0, soon()).await.map(|it| it.epoch).unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_millis()), (ErrorKind::Unavailable, 1000));
        // The attempt itself has a limit of its own.
        let deadline = start + Duration::from_secs(10);
        let error = supervisor.connection(0, deadline).await.map(|it| it.epoch).unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_millis()), (ErrorKind::Unavailable, 5000));
    }

    #[tokio::test(start_paused = true)]
    async fn lost_and_condemned_connections_are_replaced() {
        let fake = Fake::default();
        let supervisor = fake.supervisor();
        assert_eq!(supervisor.connection(0, soon()).await.unwrap().epoch, 1);
        sleep(Duration::from_secs(2)).await;
        fake.0.lost.notify_one();
        let start = Instant::now();
        assert_eq!(supervisor.connection(1, soon()).await.unwrap().epoch, 2);
        assert_eq!(start.elapsed(), Duration::ZERO, "at once");
        supervisor.condemn(1);
        tokio::task::yield_now().await;
        assert_eq!(supervisor.connection(0, soon()).await.unwrap().epoch, 2, "that one was gone already");
        supervisor.condemn(2);
        assert_eq!(supervisor.connection(0, soon()).await.unwrap().epoch, 3);
        // A server that closes every connection is not hammered.
        let attempts = fake.attempts();
        for _ in 0..1000 {
            fake.0.lost.notify_one();
            sleep(Duration::from_millis(10)).await;
        }
        assert!(fake.attempts() - attempts < 60, "{}", fake.attempts() - attempts);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_of_use_is_replaced_at_once() {
        let fake = Fake::default();
        let supervisor = fake.supervisor();
        let start = Instant::now();
        for epoch in 1..=100 {
            let established = supervisor.connection(epoch - 1, soon()).await.unwrap();
            assert_eq!(established.epoch, epoch);
            established.has_answered();
            fake.0.lost.notify_one();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        // Not if what it answered was the reason to drop it.
        for epoch in 101..=110 {
            let established = supervisor.connection(epoch - 1, soon()).await.unwrap();
            established.has_answered();
            supervisor.condemn(epoch);
        }
        assert!(start.elapsed() > Duration::from_secs(1), "{:?}", start.elapsed());
    }

    #[test]
    fn another_runtime_and_none() {
        let fake = Fake::default();
        let supervisor = fake.supervisor();
        for epoch in 1..=3 {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            assert_eq!(runtime.block_on(supervisor.connection(0, soon())).unwrap().epoch, epoch);
        }
        drop(supervisor);
        assert_eq!(Arc::strong_count(&fake.0), 1);
    }
}
