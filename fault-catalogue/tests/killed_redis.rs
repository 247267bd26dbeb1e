//! A Redis server with an append-only file (always) that is killed again and again while requests write: what was
//! acknowledged is there afterwards, and what was said to be surely not applied is not.

use secret_watch as _;

mod harness;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{Scene, Way};
use session_core::{Effect, RequestContext, SessionId, SessionManager, SessionProvider};
use session_serde::Json;
use test_support::{Random, soak_factor, test_seed};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How often the server is killed.
const KILLS: usize = 12;

/// How many write at a time in each process; each has sessions of its own and all count in one.
const WORKERS: usize = 4;

const PROCESSES: usize = 2;

/// What a caller was told of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Acknowledged,
    NotApplied,
    PerhapsApplied,
}

impl Told {
    fn of(result: session_core::Result<()>) -> Self {
        match result {
            Ok(()) => Self::Acknowledged,
            Err(error) => {
                assert!(error.kind().is_retryable(), "{error}");
                match error.effect() {
                    Effect::NotApplied => Self::NotApplied,
                    Effect::PerhapsApplied => Self::PerhapsApplied,
                }
            }
        }
    }

    /// Whether what is found fits.
    fn allows(self, applied: bool) -> bool {
        match self {
            Self::Acknowledged => applied,
            Self::NotApplied => !applied,
            Self::PerhapsApplied => true,
        }
    }
}

/// Everything that was asked for, and what was told of it.
#[derive(Default)]
struct Ledger {
    /// An attribute of its own for each insert.
    inserts: Vec<(SessionId, String, Told)>,
    /// Sessions of which the creation was acknowledged; and what was told of their destruction, if that was asked for.
    created: BTreeMap<String, (SessionId, Option<Told>)>,
    /// Of the counter that all share.
    counts: Vec<Told>,
    kinds: BTreeMap<String, usize>,
}

type Manager = SessionManager<Json>;

fn process(provider: Arc<dyn SessionProvider>, patience: Duration) -> Manager {
    let builder = SessionManager::builder(provider, Json).retry_timeout(patience).max_session_bytes(1 << 20);
    builder.build().unwrap()
}

/// Opens a session, however often the server is away.
async fn open(manager: &Manager, id: Option<&SessionId>, stop: &AtomicBool) -> Option<session_core::Session<Json>> {
    while !stop.load(Ordering::SeqCst) {
        if let Ok(session) = manager.open(&RequestContext::default(), id).await {
            return Some(session);
        }
    }
    None
}

/// Creates a session; the answer is its id, if that was acknowledged.
async fn create(manager: &Manager, stop: &AtomicBool, ledger: &Mutex<Ledger>) -> Option<SessionId> {
    loop {
        let session = open(manager, None, stop).await?;
        session.insert("created", &true).unwrap();
        if session.close().await.result.is_ok() {
            let id = session.id().expect("it is stored");
            ledger.lock().unwrap().created.insert(id.expose(), (id, None));
            return Some(id);
        }
    }
}

async fn work(manager: Manager, shared: SessionId, seed: u64, stop: Arc<AtomicBool>, ledger: Arc<Mutex<Ledger>>) {
    let mut random = Random::new(seed);
    let mut own = None;
    for number in 0.. {
        let id = match own {
            Some(id) => id,
            None => match create(&manager, &stop, &ledger).await {
                Some(id) => *own.insert(id),
                None => return,
            },
        };
        let what = random.below(10);
        let id = if what < 3 { shared } else { id };
        let Some(session) = open(&manager, Some(&id), &stop).await else { return };
        let name = format!("attribute {number}");
        match what {
            0..3 => drop(session.increment("count", 1).unwrap()),
            3..9 => session.insert(&name, &number).unwrap(),
            _ => session.destroy().unwrap(),
        }
        let result = session.close().await.result;
        let mut ledger = ledger.lock().unwrap();
        if let Err(error) = &result {
            *ledger.kinds.entry(format!("{:?} {:?}", error.kind(), error.effect())).or_default() += 1;
        }
        let told = Told::of(result);
        match what {
            0..3 => ledger.counts.push(told),
            3..9 => ledger.inserts.push((id, name, told)),
            _ => {
                ledger.created.get_mut(&id.expose()).unwrap().1 = Some(told);
                own = None;
            }
        }
    }
}

/// Workers in several processes, and somebody who kills.
async fn kills(way: Way, seed: u64) {
    let mut random = Random::new(seed);
    let mut scene = Scene::plain(way);
    let shared = {
        let session = process(scene.past(), Duration::ZERO).open(&RequestContext::default(), None).await.unwrap();
        session.increment("count", 0).unwrap();
        session.insert("created", &true).unwrap();
        session.close().await.result.unwrap();
        session.id().unwrap()
    };
    let (stop, ledger) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Ledger>>::default());
    let mut workers = JoinSet::new();
    // One whose requests are answered at once, and one whose requests try again.
    for patience in [Duration::ZERO, Duration::from_millis(300)].into_iter().cycle().take(PROCESSES) {
        let manager = process(scene.provider(), patience);
        for _ in 0..WORKERS {
            let (stop, ledger) = (Arc::clone(&stop), Arc::clone(&ledger));
            workers.spawn(work(manager.clone(), shared, random.number(), stop, ledger));
        }
    }
    for _ in 0..KILLS * soak_factor() {
        sleep(Duration::from_millis(20 + random.below(150) as u64)).await;
        scene.redis.kill();
        sleep(Duration::from_millis(random.below(30) as u64)).await;
        scene.redis.restart().unwrap();
    }
    sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::SeqCst);
    workers.join_all().await;
    // What was acknowledged is in the file.
    scene.kill();
    scene.restart();

    let ledger = Arc::into_inner(ledger).unwrap().into_inner().unwrap();
    let truth = process(scene.past(), Duration::ZERO);
    let context = RequestContext::default();
    let mut destroyed = 0;
    for (id, told) in ledger.created.values() {
        let session = truth.open(&context, Some(id)).await.unwrap();
        match told {
            None => assert_eq!(session.get("created").unwrap(), Some(true), "a session is lost"),
            Some(told) => {
                let applied = session.get::<bool>("created").unwrap().is_none();
                assert!(told.allows(applied), "a destruction: {told:?}, done: {applied}");
                destroyed += usize::from(applied);
            }
        }
    }
    let mut told = BTreeMap::new();
    for (id, name, was_told) in &ledger.inserts {
        *told.entry(format!("{was_told:?}")).or_insert(0) += 1;
        let session = truth.open(&context, Some(id)).await.unwrap();
        if session.get::<bool>("created").unwrap().is_none() {
            // It was destroyed, as is known by now.
            continue;
        }
        let applied = session.contains(name).unwrap();
        assert!(was_told.allows(applied), "{name}: {was_told:?}, there: {applied}");
    }
    let count = |what| ledger.counts.iter().filter(|told| **told == what).count();
    let (surely, perhaps) = (count(Told::Acknowledged), count(Told::PerhapsApplied));
    let counted = truth.open(&context, Some(&shared)).await.unwrap().get::<usize>("count").unwrap().unwrap();
    assert!(
        (surely..=surely + perhaps).contains(&counted),
        "{counted} counted, {surely} acknowledged, {perhaps} unknown"
    );
    scene.assert_all_expire();
    println!(
        "{way:?}: inserts {told:?}; {counted} counted, {surely} acknowledged, {perhaps} unknown; {} sessions, {destroyed} \
         destroyed; errors {:?}",
        ledger.created.len(),
        ledger.kinds
    );
    let failures: usize = ledger.kinds.values().sum();
    assert!(failures >= KILLS / 2, "hardly a kill was noticed: {failures}");
}

#[test]
fn what_was_acknowledged_survives_kills() {
    let seed = test_seed();
    std::thread::scope(|scope| {
        for (number, way) in (0..).zip(Way::OF_A_SERVER) {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
                runtime.unwrap().block_on(kills(way, seed.wrapping_add(number)));
            });
        }
    });
}
