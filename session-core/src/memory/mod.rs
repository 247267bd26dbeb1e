//! The embedded store: sessions in this process's memory, with the guarantees of any other store.

mod clock;
mod counter;
mod session;
mod store;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use self::clock::{Clock, Moment};
use self::store::Store;
use crate::error::Result;
use crate::id::WriterId;
use crate::key::SessionKey;
use crate::provider::{
    Capabilities, Checked, Commit, Committed, Destroyed, Destruction, Loaded, Renewal, Renewed, Retired, Retirement,
    SessionProvider,
};

/// Keeps sessions in this process's memory: for tests, for development, and for applications of one process whose
/// sessions may end with it.
///
/// It keeps every promise of [`SessionProvider`]. Expired sessions are invisible at once, and each write gives back the
/// memory of a few of them, so there is no background task and no call that takes long. Time is that of
/// [`tokio::time`], so tests with a paused clock can let sessions expire.
///
/// ```
/// use session_core::{Checked, MemoryProvider, SessionKey, SessionProvider};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// let store = MemoryProvider::new();
/// assert_eq!(store.check(&SessionKey::new("session:unknown")?).await?, Checked::Missing);
/// assert!(store.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct MemoryProvider {
    clock: Clock,
    store: Mutex<Store>,
}

impl MemoryProvider {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many sessions live in it now. Looks at every one.
    pub fn len(&self) -> usize {
        let (store, now) = self.lock();
        store.count(now)
    }

    /// Whether no session lives in it now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How long the session or tombstone at this key will stay if nothing happens; `None` if there is neither.
    pub fn time_to_live(&self, key: &SessionKey) -> Option<Duration> {
        let (store, now) = self.lock();
        store.time_to_live(now, key)
    }

    /// The store, and the time read under its lock, so that no step is seen to happen before an earlier one.
    fn lock(&self) -> (MutexGuard<'_, Store>, Moment) {
        // No step panics half-way, so what a poisoned lock guards is whole.
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        (store, now)
    }
}

impl fmt::Debug for MemoryProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryProvider").field("sessions", &self.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionProvider for MemoryProvider {
    fn capabilities(&self) -> Capabilities {
        Capabilities::unlimited()
    }

    async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded> {
        let (store, now) = self.lock();
        Ok(store.load(now, key, writer))
    }

    async fn check(&self, key: &SessionKey) -> Result<Checked> {
        let (store, now) = self.lock();
        Ok(store.check(now, key))
    }

    async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        let (mut store, now) = self.lock();
        store.sweep(now);
        store.commit(now, key, commit)
    }

    async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed> {
        let (mut store, now) = self.lock();
        store.sweep(now);
        Ok(store.renew(now, key, renewal))
    }

    async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        let (mut store, now) = self.lock();
        store.sweep(now);
        Ok(store.destroy(now, key, destruction))
    }

    async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired> {
        let (mut store, now) = self.lock();
        store.sweep(now);
        Ok(store.retire(now, key, retirement))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::time::advance;

    use super::*;
    use crate::id::{Generation, SessionId};
    use crate::name::AttributeName;
    use crate::provider::{Action, Change, Creation, Deadline, RESEND_AT_MOST, WRITER_KEPT_FOR};

    fn creation(generation: Generation, writer: WriterId, time_to_live: Duration) -> Commit {
        Commit {
            generation,
            writer,
            sequence: 1,
            repeated: false,
            creation: Some(Creation {
                fingerprint: SessionId::generate().unwrap().fingerprint(),
                created: None,
                deadline: Deadline::Never,
            }),
            changes: vec![Change {
                name: AttributeName::new("name").unwrap(),
                action: Action::Set(Bytes::from_static(b"secret value")),
            }],
            idle_timeout: None,
            time_to_live,
        }
    }

    fn change(generation: Generation, writer: WriterId, sequence: u64) -> Commit {
        Commit {
            generation,
            writer,
            sequence,
            repeated: false,
            creation: None,
            changes: Vec::new(),
            idle_timeout: None,
            time_to_live: Duration::from_secs(3600),
        }
    }

    fn key(name: &str) -> SessionKey {
        SessionKey::new(name.to_owned()).unwrap()
    }

    #[test]
    fn shared_between_threads() {
        fn assert_shared<T: Send + Sync + 'static>() {}
        assert_shared::<MemoryProvider>();
    }

    #[tokio::test(start_paused = true)]
    async fn expiry_follows_the_paused_clock_to_the_instant() {
        let store = MemoryProvider::new();
        let (generation, writer) = (Generation::generate().unwrap(), WriterId::generate().unwrap());
        let batch = creation(generation, writer, Duration::from_secs(60));
        assert!(matches!(store.commit(&key("a"), &batch).await.unwrap(), Committed::Done { .. }));
        advance(Duration::from_millis(59_999)).await;
        assert!(matches!(store.load(&key("a"), writer).await.unwrap(), Loaded::Session(_)));
        assert_eq!(store.len(), 1);
        advance(Duration::from_millis(1)).await;
        assert_eq!(store.load(&key("a"), writer).await.unwrap(), Loaded::Absent);
        assert_eq!(store.check(&key("a")).await.unwrap(), Checked::Missing);
        assert_eq!(store.time_to_live(&key("a")), None);
        assert!(store.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn writes_give_expired_memory_back() {
        let store = MemoryProvider::new();
        let (generation, writer) = (Generation::generate().unwrap(), WriterId::generate().unwrap());
        let short = creation(generation, writer, Duration::from_secs(1));
        for number in 0..10_000 {
            assert!(matches!(
                store.commit(&key(&format!("short{number}")), &short).await.unwrap(),
                Committed::Done { .. }
            ));
        }
        let full = store.lock().0.capacity();
        assert!(full >= 10_000);
        advance(Duration::from_secs(2)).await;
        let long = creation(generation, writer, Duration::from_secs(3600));
        assert!(matches!(store.commit(&key("long"), &long).await.unwrap(), Committed::Done { .. }));
        let after_one = store.lock().0.kept();
        assert!((9_000..10_000).contains(&after_one), "one write gives back some, not all: {after_one}");
        for _ in 0..10_000 {
            let renewal = Renewal { generation, time_to_live: Duration::from_secs(3600) };
            assert!(matches!(store.renew(&key("long"), &renewal).await.unwrap(), Renewed::Done { .. }));
        }
        assert_eq!(store.lock().0.kept(), 1);
        assert!(store.lock().0.capacity() < 100, "the table itself shrinks");
        assert_eq!(store.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn tombstones_are_given_back_too() {
        let store = MemoryProvider::new();
        let generation = Generation::generate().unwrap();
        let destruction = Destruction { generation, leave_tombstone: true };
        assert_eq!(store.destroy(&key("a"), &destruction).await.unwrap(), Destroyed::NothingFound);
        assert_eq!(store.lock().0.kept(), 1);
        assert_eq!(store.len(), 0);
        advance(Duration::from_secs(301)).await;
        let destruction = Destruction { generation, leave_tombstone: false };
        assert_eq!(store.destroy(&key("b"), &destruction).await.unwrap(), Destroyed::NothingFound);
        assert_eq!(store.lock().0.kept(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn writers_are_forgotten_only_when_old() {
        let store = MemoryProvider::new();
        let generation = Generation::generate().unwrap();
        let (first, second) = (WriterId::generate().unwrap(), WriterId::generate().unwrap());
        let batch = creation(generation, first, Duration::from_secs(3600));
        assert!(matches!(store.commit(&key("a"), &batch).await.unwrap(), Committed::Done { .. }));

        advance(RESEND_AT_MOST).await;
        assert!(matches!(
            store.commit(&key("a"), &change(generation, second, 1)).await.unwrap(),
            Committed::Done { .. }
        ));
        assert!(matches!(store.commit(&key("a"), &batch).await.unwrap(), Committed::Already { .. }));

        advance(WRITER_KEPT_FOR - RESEND_AT_MOST).await;
        assert!(matches!(
            store.commit(&key("a"), &change(generation, second, 2)).await.unwrap(),
            Committed::Done { .. }
        ));
        assert!(matches!(store.commit(&key("a"), &batch).await.unwrap(), Committed::Already { .. }));

        advance(Duration::from_millis(1)).await;
        assert!(matches!(
            store.commit(&key("a"), &change(generation, second, 3)).await.unwrap(),
            Committed::Done { .. }
        ));
        let Loaded::Session(session) = store.load(&key("a"), first).await.unwrap() else { panic!("no session") };
        assert_eq!(session.written, None, "forgotten");
        let Loaded::Session(session) = store.load(&key("a"), second).await.unwrap() else { panic!("no session") };
        assert_eq!(session.written, Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_outlives_its_deadline() {
        let store = MemoryProvider::new();
        let (generation, writer) = (Generation::generate().unwrap(), WriterId::generate().unwrap());
        let mut batch = creation(generation, writer, Duration::from_secs(60));
        batch.creation.as_mut().unwrap().deadline = Deadline::After(Duration::from_secs(100));
        assert!(matches!(store.commit(&key("a"), &batch).await.unwrap(), Committed::Done { .. }));
        for _ in 0..9 {
            advance(Duration::from_secs(11)).await;
            let renewal = Renewal { generation, time_to_live: Duration::from_secs(60) };
            assert!(matches!(store.renew(&key("a"), &renewal).await.unwrap(), Renewed::Done { .. }));
        }
        advance(Duration::from_secs(1)).await;
        assert_eq!(store.load(&key("a"), writer).await.unwrap(), Loaded::Absent);
        assert_eq!(store.commit(&key("a"), &change(generation, writer, 2)).await.unwrap(), Committed::Gone);
    }

    #[tokio::test]
    async fn huge_times_do_no_harm() {
        let store = MemoryProvider::new();
        let (generation, writer) = (Generation::generate().unwrap(), WriterId::generate().unwrap());
        let mut batch = creation(generation, writer, Duration::MAX);
        batch.creation.as_mut().unwrap().deadline = Deadline::After(Duration::MAX);
        assert!(matches!(store.commit(&key("a"), &batch).await.unwrap(), Committed::Done { .. }));
        let renewal = Renewal { generation, time_to_live: Duration::MAX };
        assert!(matches!(store.renew(&key("a"), &renewal).await.unwrap(), Renewed::Done { .. }));
    }

    #[tokio::test]
    async fn debug_shows_no_contents() {
        let store = MemoryProvider::new();
        let batch = creation(Generation::generate().unwrap(), WriterId::generate().unwrap(), Duration::from_secs(60));
        assert!(matches!(store.commit(&key("secret key"), &batch).await.unwrap(), Committed::Done { .. }));
        assert_eq!(format!("{store:?}"), "MemoryProvider { sessions: 1, .. }");
    }
}
