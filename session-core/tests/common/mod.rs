//! A process's way to a store in memory, which can be watched, held up, cut and delayed.

// Each test program uses another part of it.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Action, Capabilities, Checked, Commit, Committed, Destroyed, Destruction, Error, ErrorKind, Loaded, MemoryProvider,
    Operation, Renewal, Renewed, RequestContext, Result, Retired, Retirement, Session, SessionId, SessionKey,
    SessionManager, SessionManagerBuilder, SessionProvider, WriterId,
};
use session_serde::Json;
use tokio::sync::Semaphore;

/// The methods of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Load,
    Check,
    Commit,
    Renew,
    Destroy,
    Retire,
}

/// Where a call stands when it is held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Nothing has been done yet.
    Before,
    /// It is done and not answered.
    After,
}

/// One process's way to the store.
pub struct Path {
    pub memory: Arc<MemoryProvider>,
    calls: Mutex<Vec<Call>>,
    commits: Mutex<Vec<Commit>>,
    keys: Mutex<HashSet<SessionKey>>,
    renewals: AtomicUsize,
    yields: AtomicUsize,
    failing: Mutex<Option<(Call, Side, ErrorKind)>>,
    stops: Mutex<Vec<(Call, Side, Arc<Stop>)>>,
    delayed: Mutex<Option<Arc<Semaphore>>>,
    crashed: AtomicBool,
}

impl Path {
    /// The way to a store of its own.
    pub fn new() -> Arc<Self> {
        Self::to(&Arc::new(MemoryProvider::new()))
    }

    /// Another process's way to a store.
    pub fn to(memory: &Arc<MemoryProvider>) -> Arc<Self> {
        Arc::new(Self {
            memory: memory.clone(),
            calls: Mutex::default(),
            commits: Mutex::default(),
            keys: Mutex::default(),
            renewals: AtomicUsize::new(0),
            yields: AtomicUsize::new(0),
            failing: Mutex::default(),
            stops: Mutex::default(),
            delayed: Mutex::default(),
            crashed: AtomicBool::new(false),
        })
    }

    /// The calls since this was last asked.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// The commits since this was last asked.
    pub fn take_commits(&self) -> Vec<Commit> {
        std::mem::take(&mut self.commits.lock().unwrap())
    }

    /// The keys that commits went to.
    pub fn keys(&self) -> Vec<SessionKey> {
        self.keys.lock().unwrap().iter().cloned().collect()
    }

    /// What the commits carried since this was last asked, as text: `name=value`, `name-`, `name+1`, `name:old>new`.
    pub fn take_written(&self) -> Vec<Vec<String>> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let optional = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or_else(String::new, |bytes| text(bytes));
        let written = |commit: Commit| {
            let mut changes: Vec<String> = commit
                .changes
                .iter()
                .map(|change| match (change.name.as_str(), &change.action) {
                    (name, Action::Set(bytes)) => format!("{name}={}", text(bytes)),
                    (name, Action::Remove) => format!("{name}-"),
                    (name, Action::Increment(by)) => format!("{name}{by:+}"),
                    (name, Action::Replace { seen, value }) => {
                        format!("{name}:{}>{}", optional(seen), optional(value))
                    }
                })
                .collect();
            changes.sort();
            changes
        };
        self.take_commits().into_iter().map(written).collect()
    }

    /// How often the expiry was really renewed.
    pub fn renewals(&self) -> usize {
        self.renewals.load(Ordering::SeqCst)
    }

    /// How often every call gives way before it does anything, and again before it answers.
    pub fn yield_times(&self, times: usize) {
        self.yields.store(times, Ordering::SeqCst);
    }

    /// Makes this call fail from now on.
    pub fn fail(&self, call: Call, side: Side, kind: ErrorKind) {
        *self.failing.lock().unwrap() = Some((call, side, kind));
    }

    pub fn heal(&self) {
        *self.failing.lock().unwrap() = None;
    }

    /// Holds the next such call up.
    pub fn stop(&self, call: Call, side: Side) -> Arc<Stop> {
        let stop = Arc::new(Stop { reached: Semaphore::new(0), go: Semaphore::new(0) });
        self.stops.lock().unwrap().push((call, side, stop.clone()));
        stop
    }

    /// The next commit is not answered, and arrives only when a permit is added; each commit after it at once.
    pub fn delay_commit(&self) -> Arc<Semaphore> {
        let arrival = Arc::new(Semaphore::new(0));
        *self.delayed.lock().unwrap() = Some(arrival.clone());
        arrival
    }

    /// Nothing of this process arrives or is answered any more.
    pub fn crash(&self) {
        self.crashed.store(true, Ordering::SeqCst);
    }

    async fn side(&self, call: Call, side: Side) -> Result<()> {
        for _ in 0..self.yields.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        let stop = {
            let mut stops = self.stops.lock().unwrap();
            let index = stops.iter().position(|(which, at, _)| (*which, *at) == (call, side));
            index.map(|index| stops.remove(index).2)
        };
        if let Some(stop) = stop {
            stop.reached.add_permits(1);
            stop.go.acquire().await.unwrap().forget();
        }
        if self.crashed.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        match *self.failing.lock().unwrap() {
            Some((which, at, kind)) if (which, at) == (call, side) => {
                Err(Error::new(kind, Operation::Commit, "the store was told to fail"))
            }
            _ => Ok(()),
        }
    }

    async fn call<T>(&self, call: Call, run: impl Future<Output = Result<T>>) -> Result<T> {
        self.calls.lock().unwrap().push(call);
        self.side(call, Side::Before).await?;
        let answer = run.await;
        self.side(call, Side::After).await?;
        answer
    }
}

/// A call that is held up.
pub struct Stop {
    reached: Semaphore,
    go: Semaphore,
}

impl Stop {
    /// Waits until the call is there.
    pub async fn reached(&self) {
        tokio::time::timeout(Duration::from_secs(10), self.reached.acquire())
            .await
            .expect("the call never came")
            .unwrap()
            .forget();
    }

    pub fn go_on(&self) {
        self.go.add_permits(1);
    }
}

#[async_trait]
impl SessionProvider for Path {
    fn capabilities(&self) -> Capabilities {
        // Long enough for a test that holds a call up to be sure that nobody gave up waiting.
        self.memory.capabilities().with_operation_timeout(Duration::from_secs(3600))
    }

    async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded> {
        self.call(Call::Load, self.memory.load(key, writer)).await
    }

    async fn check(&self, key: &SessionKey) -> Result<Checked> {
        self.call(Call::Check, self.memory.check(key)).await
    }

    async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        self.commits.lock().unwrap().push(commit.clone());
        self.keys.lock().unwrap().insert(key.clone());
        let delayed = self.delayed.lock().unwrap().take();
        if let Some(arrival) = delayed {
            let (memory, key, commit) = (self.memory.clone(), key.clone(), commit.clone());
            tokio::spawn(async move {
                arrival.acquire().await.unwrap().forget();
                let answer = memory.commit(&key, &commit).await.unwrap();
                assert!(matches!(answer, Committed::Gone | Committed::Already { .. }), "{answer:?}");
                arrival.close();
            });
            return Err(Error::new(ErrorKind::OutcomeUnknown, Operation::Commit, "it is still on its way"));
        }
        self.call(Call::Commit, self.memory.commit(key, commit)).await
    }

    async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed> {
        let renew = async {
            let renewed = self.memory.renew(key, renewal).await;
            self.renewals.fetch_add(1, Ordering::SeqCst);
            renewed
        };
        self.call(Call::Renew, renew).await
    }

    async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        self.call(Call::Destroy, self.memory.destroy(key, destruction)).await
    }

    async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired> {
        self.call(Call::Retire, self.memory.retire(key, retirement)).await
    }
}

pub type Manager = SessionManager<Json>;

/// Settings of a process that keeps nothing.
pub fn builder(path: &Arc<Path>) -> SessionManagerBuilder<Json> {
    SessionManager::builder(path.clone(), Json).keep_for(Duration::ZERO)
}

/// A process that keeps nothing.
pub fn manager(path: &Arc<Path>) -> Manager {
    builder(path).build().unwrap()
}

/// A process of its own, with its way to the store.
pub fn process(memory: &Arc<MemoryProvider>) -> (Manager, Arc<Path>) {
    let path = Path::to(memory);
    (manager(&path), path)
}

pub async fn open(manager: &Manager, id: &SessionId) -> Session<Json> {
    manager.open(&RequestContext::default(), Some(id)).await.unwrap()
}

/// A stored session with the attributes `theme`, `"light"`, and `visits`, 1.
pub async fn create(manager: &Manager) -> (Session<Json>, SessionId) {
    let session = manager.open(&RequestContext::default(), None).await.unwrap();
    session.insert("theme", "light").unwrap();
    session.increment("visits", 1).unwrap();
    session.commit().await.unwrap();
    let id = session.id().unwrap();
    (session, id)
}

/// Checks that nothing is to be seen by this id, in this process and in another one.
#[track_caller]
pub fn assert_shows_nothing(session: &Session<Json>) {
    assert_eq!(session.names().unwrap(), [""; 0]);
    assert_eq!(session.get::<String>("theme").unwrap(), None);
}

/// Waits until it is so; fails after ten seconds.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited too long until {what}");
        tokio::task::yield_now().await;
    }
}
