//! What goes over each connection, told every so often.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capabilities, Checked, Commit, Committed, Destroyed, Destruction, EVENTS_WAITING_AT_MOST, Loaded, MemoryProvider,
    Renewal, Renewed, RequestContext, Result, Retired, Retirement, SessionKey, SessionManager, SessionProvider,
    Traffic, WriterId,
};
use session_serde::Json;

use crate::common::until;
use crate::told::Told;

/// A store that counts commands.
#[derive(Default)]
struct Counting {
    memory: MemoryProvider,
    commands: AtomicU64,
}

impl Counting {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn count(&self) -> &MemoryProvider {
        self.commands.fetch_add(1, Ordering::SeqCst);
        &self.memory
    }
}

#[async_trait]
impl SessionProvider for Counting {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    fn traffic(&self) -> Traffic {
        let commands = self.commands.load(Ordering::SeqCst);
        Traffic {
            commands_sent: commands,
            replies_received: commands,
            bytes_sent: 10 * commands,
            bytes_received: 100 * commands,
        }
    }

    async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded> {
        self.count().load(key, writer).await
    }

    async fn check(&self, key: &SessionKey) -> Result<Checked> {
        self.count().check(key).await
    }

    async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        self.count().commit(key, commit).await
    }

    async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed> {
        self.count().renew(key, renewal).await
    }

    async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        self.count().destroy(key, destruction).await
    }

    async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired> {
        self.count().retire(key, retirement).await
    }
}

/// Sends so many commands.
async fn send(manager: &SessionManager<Json>, commands: usize) {
    let session = manager.open(&RequestContext::default(), None).await.unwrap();
    for number in 0..commands {
        session.insert("n", &number).unwrap();
        session.commit().await.unwrap();
    }
}

fn figures(told: &Told) -> Vec<String> {
    let mut texts = told.take_all();
    texts.retain(|text| text.starts_with("traffic"));
    texts.sort();
    texts
}

#[tokio::test(start_paused = true)]
async fn per_connection_since_the_last_time() {
    let (first, second) = (Counting::new(), Counting::new());
    // What went over it before is not this manager's.
    first.commands.store(1_000, Ordering::SeqCst);
    let told = Told::new();
    let manager = SessionManager::builder(first, Json)
        .connection("second", second.clone())
        .observer(told.clone())
        .build()
        .unwrap();
    send(&manager, 3).await;
    tokio::time::sleep(Duration::from_millis(29_999)).await;
    assert_eq!(figures(&told), [""; 0], "every 30 seconds");
    tokio::time::sleep(Duration::from_millis(2)).await;
    until("it is told", || told.len() > 0).await;
    manager.shutdown().await;
    assert_eq!(
        figures(&told),
        [
            "traffic default 0 0 0 0 over 1 ms",
            "traffic default 3 3 30 300 over 30000 ms",
            "traffic second 0 0 0 0 over 1 ms",
            "traffic second 0 0 0 0 over 30000 ms",
        ]
    );
    second.commands.store(7, Ordering::SeqCst);
    send(&manager, 1).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    manager.shutdown().await;
    assert_eq!(
        figures(&told),
        [
            "traffic default 0 0 0 0 over 10001 ms",
            "traffic default 1 1 10 100 over 29999 ms",
            "traffic second 0 0 0 0 over 10001 ms",
            "traffic second 7 7 70 700 over 29999 ms",
        ]
    );
}

/// What was dropped, because the observer had not dealt with what came before, is told the next time.
#[tokio::test(start_paused = true)]
async fn what_was_missed_is_made_up_for() {
    let (go_on, waiting) = mpsc::channel::<()>();
    let waiting = Mutex::new(waiting);
    let told = Told::then(move |_| waiting.lock().unwrap().recv().unwrap_or_default());
    let manager = SessionManager::builder(Counting::new(), Json).observer(told.clone()).build().unwrap();
    send(&manager, EVENTS_WAITING_AT_MOST).await;
    tokio::time::sleep(Duration::from_millis(30_001)).await;
    drop(go_on);
    until("there is room again", || told.len() > EVENTS_WAITING_AT_MOST).await;
    send(&manager, 1).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    manager.shutdown().await;
    let expected = ["traffic default 0 0 0 0 over 1 ms", "traffic default 1025 1025 10250 102500 over 60000 ms"];
    assert_eq!(figures(&told), expected);
}

#[tokio::test(start_paused = true)]
async fn off_with_an_interval_of_zero() {
    let told = Told::new();
    let manager = SessionManager::builder(Counting::new(), Json)
        .observer(told.clone())
        .figures_interval(Duration::ZERO)
        .build()
        .unwrap();
    send(&manager, 3).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    manager.shutdown().await;
    assert_eq!(figures(&told), [""; 0]);
}

/// The task holds neither the manager nor its connections.
#[tokio::test(start_paused = true)]
async fn ends_with_the_manager() {
    let store = Counting::new();
    let told = Told::new();
    let manager = SessionManager::builder(store.clone(), Json).observer(told.clone()).build().unwrap();
    send(&manager, 1).await;
    drop(manager);
    assert_eq!(Arc::strong_count(&store), 1);
    tokio::time::sleep(Duration::from_secs(120)).await;
    until("the thread has ended", || Arc::strong_count(&told) == 1).await;
    assert_eq!(figures(&told), [""; 0]);
}

/// Another runtime goes on with it.
#[test]
fn goes_on_in_another_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let told = Told::new();
    let manager = SessionManager::builder(Counting::new(), Json)
        .observer(told.clone())
        .figures_interval(Duration::from_millis(5))
        .build()
        .unwrap();
    for commands in [2, 3] {
        runtime().block_on(async {
            send(&manager, commands).await;
            let start = format!("traffic default {commands} ");
            let found = || figures(&told).iter().any(|text| text.starts_with(&start));
            until("it is told", found).await;
        });
    }
}
