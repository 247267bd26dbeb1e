//! Random requests to several connections and databases, which know some of the same ids: what one of them holds is never
//! seen in another, and each request asks the callbacks once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_core::conformance::{Random, seed, soaked};
use session_core::{
    Commit, Committed, Connection, Creation, Deadline, Generation, KeyDerivation, MemoryProvider, RequestContext,
    Session, SessionId, SessionManager, SessionProvider, WriterId,
};
use session_serde::Json;

use crate::common::{Manager, Path};
use crate::farm::Farm;

/// A connection and one of its databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    name: &'static str,
    database: u32,
}

/// `first` and `second` are given to the builder, the one with options and the other as a provider; `third` is opened by
/// the callback.
const PLACES: [Place; 6] = [
    Place { name: "first", database: 0 },
    Place { name: "first", database: 1 },
    Place { name: "first", database: 15 },
    Place { name: "second", database: 0 },
    Place { name: "third", database: 0 },
    Place { name: "third", database: 1 },
];

/// What a request is to the callbacks, and how often they were asked.
struct Request {
    place: Place,
    connections: AtomicUsize,
    keys: AtomicUsize,
}

impl Request {
    fn to(place: Place) -> Arc<Self> {
        Arc::new(Self { place, connections: AtomicUsize::new(0), keys: AtomicUsize::new(0) })
    }

    fn context(self: &Arc<Self>) -> RequestContext {
        RequestContext::new(self.clone())
    }

    #[track_caller]
    fn assert_asked(&self, connections: usize, keys: usize) {
        assert_eq!(self.connections.load(Ordering::SeqCst), connections, "the connection callback");
        assert_eq!(self.keys.load(Ordering::SeqCst), keys, "the key callback");
    }
}

fn process(farm: &Arc<Farm>) -> Manager {
    let third = Connection::named("third").with_options(farm.options("third"));
    SessionManager::builder(MemoryProvider::new(), Json)
        .connection_with_options("first", farm.options("first"))
        .connection("second", farm.database("second", 0))
        .connection_callback(move |context, _| {
            let request: &Arc<Request> = context.get().expect("every request is described");
            request.connections.fetch_add(1, Ordering::SeqCst);
            let connection = match request.place.name {
                "third" => third.clone(),
                name => Connection::named(name),
            };
            let ready = request.place.name == "second";
            Ok(if ready { connection } else { connection.with_database(request.place.database) })
        })
        .key_derivation(KeyDerivation::custom(|context, id| {
            let request: &Arc<Request> = context.get().expect("every request is described");
            request.keys.fetch_add(1, Ordering::SeqCst);
            KeyDerivation::default().derive(context, id)
        }))
        .build()
        .unwrap()
}

fn store(farm: &Farm, place: Place) -> Arc<Path> {
    farm.database(place.name, place.database)
}

/// Makes a session of this very id, as another process might that knows this place only.
async fn plant(farm: &Farm, place: Place, id: SessionId) {
    let commit = Commit {
        generation: Generation::generate().unwrap(),
        writer: WriterId::generate().unwrap(),
        sequence: 1,
        repeated: false,
        creation: Some(Creation { fingerprint: id.fingerprint(), created: None, deadline: Deadline::Never }),
        changes: Vec::new(),
        idle_timeout: None,
        time_to_live: Duration::from_secs(3600),
    };
    let key = KeyDerivation::default().derive(&RequestContext::default(), &id).unwrap();
    let committed = store(farm, place).commit(&key, &commit).await.unwrap();
    assert!(matches!(committed, Committed::Done { found: 0, .. }), "{committed:?}");
}

/// A session as it must be.
struct Known {
    place: Place,
    /// Every id that it had, the present one last.
    ids: Vec<SessionId>,
    count: Option<i64>,
    alive: bool,
}

impl Known {
    fn id(&self) -> SessionId {
        *self.ids.last().unwrap()
    }
}

struct World {
    farm: Arc<Farm>,
    manager: Manager,
    random: Random,
    sessions: Vec<Known>,
    /// Requests that have not ended, with the number of their session.
    held: Vec<(Session<Json>, usize)>,
}

impl World {
    /// A request to this place with this id, which must find that session or none.
    async fn request(&mut self, place: Place, id: Option<SessionId>, number: Option<usize>) {
        let request = Request::to(place);
        let session = self.manager.open(&request.context(), id.as_ref()).await.unwrap();
        let mut keys = usize::from(id.is_some());
        request.assert_asked(1, keys);
        let number = match number.filter(|number| self.sessions[*number].alive) {
            Some(number) => {
                self.assert_is(&session, number);
                number
            }
            None => {
                assert_eq!(session.names().unwrap(), [""; 0], "{place:?}");
                if !session.is_new() {
                    return;
                }
                self.sessions.push(Known { place, ids: Vec::new(), count: None, alive: true });
                self.sessions.len() - 1
            }
        };
        let was_new = self.sessions[number].ids.is_empty();
        let known = &mut self.sessions[number];
        match self.random.below(10) {
            0 if !was_new => {
                session.destroy().unwrap();
                known.alive = false;
            }
            1 if !was_new => {
                session.rotate_id().unwrap();
                session.rotate_id().unwrap();
                keys += 1;
            }
            _ => {
                session.insert("place", &format!("{place:?}")).unwrap();
                known.count = Some(session.increment("count", 1).unwrap());
                keys += usize::from(was_new);
            }
        }
        assert!(session.close().await.result.is_ok());
        // Releasing, committing and renewing went by what was answered at the beginning.
        request.assert_asked(1, keys);
        if known.alive {
            let id = session.id().unwrap();
            if known.ids.last() != Some(&id) {
                known.ids.push(id);
            }
        }
        if self.random.percent(20) {
            self.held.push((session, number));
        }
        if self.held.len() > 10 {
            self.held.remove(0);
        }
    }

    #[track_caller]
    fn assert_is(&self, session: &Session<Json>, number: usize) {
        let Known { place, count, .. } = &self.sessions[number];
        assert_eq!(session.get::<i64>("count").unwrap(), *count, "{place:?}");
        let expected = count.map(|_| format!("{place:?}"));
        assert_eq!(session.get::<String>("place").unwrap(), expected);
    }

    async fn step(&mut self) {
        let place = self.random.pick(&PLACES);
        let number = (!self.sessions.is_empty()).then(|| self.random.below(self.sessions.len()));
        let number = number.filter(|number| !self.sessions[*number].ids.is_empty());
        match (self.random.below(10), number) {
            (0 | 1, _) | (_, None) => self.request(place, None, None).await,
            // An id of one place at another, or at its own.
            (2 | 3, Some(number)) => {
                let id = self.sessions[number].id();
                let found =
                    self.sessions.iter().position(|known| known.place == place && known.ids.last() == Some(&id));
                self.request(place, Some(id), found).await;
            }
            // One that it had before.
            (4, Some(number)) => {
                let known = &self.sessions[number];
                let (place, id) = (known.place, known.ids[0]);
                let found = (known.id() == id).then_some(number);
                self.request(place, Some(id), found).await;
            }
            (5, Some(number)) => {
                let id = self.sessions[number].id();
                if self.sessions.iter().all(|known| known.place != place || !known.ids.contains(&id)) {
                    plant(&self.farm, place, id).await;
                    self.sessions.push(Known { place, ids: vec![id], count: None, alive: true });
                }
            }
            (_, Some(number)) => {
                let (place, id) = (self.sessions[number].place, self.sessions[number].id());
                self.request(place, Some(id), Some(number)).await;
            }
        }
        for (session, number) in &self.held {
            if self.sessions[*number].alive {
                self.assert_is(session, *number);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_one_after_the_other() {
    let seed = seed();
    println!("SESSION_TEST_SEED={seed}");
    let runs = soaked(40);
    let (mut sessions, mut twins) = (0, 0);
    for run in 0..runs {
        let farm = Farm::new();
        let mut world = World {
            manager: process(&farm),
            farm: farm.clone(),
            random: Random::new(seed.wrapping_add(run as u64)),
            sessions: Vec::new(),
            held: Vec::new(),
        };
        for _ in 0..150 {
            world.step().await;
        }
        // Another process finds them all where they belong.
        let other = process(&farm);
        for (number, known) in world.sessions.iter().enumerate().filter(|(_, known)| !known.ids.is_empty()) {
            let request = Request::to(known.place);
            let session = other.open(&request.context(), Some(&known.id())).await.unwrap();
            if known.alive {
                world.assert_is(&session, number);
            } else {
                assert_eq!(session.names().unwrap(), [""; 0]);
            }
            let twin = |twin: &&Known| twin.alive && twin.place != known.place && twin.ids.last() == Some(&known.id());
            twins += usize::from(known.alive && world.sessions.iter().any(|it| twin(&it)));
        }
        sessions += world.sessions.len();
        for manager in [&world.manager, &other] {
            assert!(manager.connections().len() <= 7, "{:?}", manager.connections());
        }
    }
    assert!(sessions > 30 * runs && twins > 2 * runs, "too little happened: {sessions} sessions, {twins} of one id");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_on_several_threads() {
    let seed = seed();
    println!("SESSION_TEST_SEED={seed}");
    let farm = Farm::new();
    let manager = process(&farm);
    farm.take_opened();
    let id = SessionId::generate().unwrap();
    for place in PLACES {
        plant(&farm, place, id).await;
    }
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (manager, mut random) = (manager.clone(), Random::new(seed.wrapping_add(task)));
            tokio::spawn(async move {
                let mut counts = [0; PLACES.len()];
                for _ in 0..soaked(200) {
                    let place = random.below(PLACES.len());
                    let request = Request::to(PLACES[place]);
                    let session = manager.open(&request.context(), Some(&id)).await.unwrap();
                    session.increment("count", 1).unwrap();
                    assert!(session.close().await.result.is_ok());
                    request.assert_asked(1, 1);
                    counts[place] += 1;
                }
                counts
            })
        })
        .collect();
    let mut counts = [0; PLACES.len()];
    for task in tasks {
        for (sum, count) in counts.iter_mut().zip(task.await.unwrap()) {
            *sum += count;
        }
    }
    assert_eq!(manager.live_sessions(), PLACES.len());
    assert_eq!(manager.connections().len(), 7, "{:?}", manager.connections());
    let other = process(&farm);
    for (place, count) in PLACES.into_iter().zip(counts) {
        let session = other.open(&Request::to(place).context(), Some(&id)).await.unwrap();
        assert_eq!(session.get::<i64>("count").unwrap(), Some(count), "{place:?}");
    }
}
