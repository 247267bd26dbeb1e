//! One fault, run through every way to the server and both settings of `throw_on_error`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use session_core::{Effect, SessionProvider};
use session_tower::status_of;

use super::app::{App, Reply};
use super::panics;
use super::scene::{Scene, Setup, Way};
use super::table::{Outcome, Quietly, Row, Strikes};

/// How long after the end of a fault everything must be as before.
const HEALED_WITHIN: Duration = Duration::from_secs(1);

type Step = Box<dyn Fn(&mut Scene) + Send + Sync>;

/// How a fault is raised and ended, and on which ways. What is then seen stands in `docs/faults.md`.
#[must_use]
pub struct Fault {
    row: Row,
    ways: Vec<Way>,
    setup: Setup,
    prepare: Step,
    raise: Step,
    heal: Step,
    since_the_start: bool,
    patience: Duration,
}

/// A request that is sent during the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    Read,
    Write,
    WriteWithoutSession,
    Logout,
    Count,
}

impl Probe {
    /// Those that do not wait for the end of the fault.
    const HASTY: [Self; 4] = [Self::Read, Self::Write, Self::WriteWithoutSession, Self::Logout];

    fn path(self) -> &'static str {
        match self {
            Self::Read => "/read",
            Self::Write | Self::WriteWithoutSession => "/write",
            Self::Logout => "/logout",
            Self::Count => "/count",
        }
    }

    /// What the handler answers; to one whose session was not read, all is new.
    fn answer(self, degraded: bool) -> &'static str {
        match self {
            Self::Read => {
                if degraded {
                    "none"
                } else {
                    "dark"
                }
            }
            Self::Write | Self::WriteWithoutSession => "written",
            Self::Logout => "bye",
            Self::Count => {
                if degraded {
                    "1"
                } else {
                    "2"
                }
            }
        }
    }

    fn is_struck(self, strikes: Strikes) -> bool {
        match strikes {
            Strikes::All => true,
            Strikes::Writes => self != Self::Read,
            Strikes::WritesButLogouts => !matches!(self, Self::Read | Self::Logout),
            Strikes::ThatSession => self != Self::WriteWithoutSession,
            Strikes::Some => panic!("this fault needs requests of its own"),
        }
    }
}

impl Fault {
    /// The fault of this name, on every way.
    pub fn of(name: &str) -> Self {
        let nothing = || -> Step { Box::new(|_| {}) };
        let row = Row::of(name);
        let ways = Way::ALL.into_iter().filter(|way| *way != Way::BehindTwemproxy || row.twemproxy.is_some());
        Self {
            ways: ways.collect(),
            row,
            setup: Setup::default(),
            prepare: nothing(),
            raise: nothing(),
            heal: nothing(),
            since_the_start: false,
            patience: Duration::from_millis(1500),
        }
    }

    /// It is of a Redis server, wherever that stands.
    pub fn of_a_server(mut self) -> Self {
        self.ways.retain(|way| *way != Way::ToTwemproxy);
        self
    }

    /// It is on the way; see [`Scene::wire`].
    pub fn on_the_wire(mut self) -> Self {
        self.setup.wire = true;
        self
    }

    /// Further arguments of the server.
    pub fn server_arguments(mut self, arguments: impl IntoIterator<Item = &'static str>) -> Self {
        self.setup.server_arguments = arguments.into_iter().collect();
        self
    }

    /// The server is a node of a cluster.
    pub fn cluster_node(mut self) -> Self {
        self.setup.cluster_node = true;
        self
    }

    /// The application comes as this user.
    pub fn user(mut self, name: &'static str, password: &'static str) -> Self {
        self.setup.user = Some((name, password));
        self
    }

    /// The application starts during the fault.
    pub fn since_the_start(mut self) -> Self {
        self.since_the_start = true;
        self
    }

    /// The retry timeout of the requests that shall outlast the fault; 1.5 seconds unless set.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What is to be done before there are sessions.
    pub fn prepare(mut self, step: impl Fn(&mut Scene) + Send + Sync + 'static) -> Self {
        self.prepare = Box::new(step);
        self
    }

    /// How it is raised.
    pub fn raise(mut self, step: impl Fn(&mut Scene) + Send + Sync + 'static) -> Self {
        self.raise = Box::new(step);
        self
    }

    /// How it ends.
    pub fn heal(mut self, step: impl Fn(&mut Scene) + Send + Sync + 'static) -> Self {
        self.heal = Box::new(step);
        self
    }

    /// Runs all cases, beside each other.
    pub fn run(self) {
        let ways = self.ways.clone();
        everywhere(&self.row.name, &ways, async |way, throw| self.requests(way, throw).await);
    }

    async fn requests(&self, way: Way, throw: bool) {
        let mut scene = Scene::start(way, &self.setup);
        (self.prepare)(&mut scene);
        let provider = scene.provider();
        let apps = |provider: &Arc<dyn SessionProvider>| {
            let app = |patience| App::new(Arc::clone(provider), throw, patience);
            (app(Duration::ZERO), app(self.patience))
        };
        let (mut app, mut patient) = apps(&provider);
        let kept = app.start().await;
        let ended = app.start().await;
        patient.get("/read", Some(&kept)).await.assert(200, "dark");
        (self.raise)(&mut scene);
        if self.since_the_start {
            (app, patient) = apps(&scene.provider());
        }

        let case = Case { row: &self.row, outcome: self.row.outcome(way), throw };
        let mut perhaps_written = false;
        for probe in Probe::HASTY {
            let cookie = match probe {
                Probe::WriteWithoutSession => None,
                Probe::Logout => Some(&ended),
                Probe::Read | Probe::Write | Probe::Count => Some(&kept),
            };
            let reply = app.get(probe.path(), cookie.map(String::as_str)).await;
            reply.assert_in_time(Duration::ZERO);
            let effect = case.judge(probe, &app, &reply);
            perhaps_written |= probe == Probe::Write && effect != Some(Effect::NotApplied);
        }
        drop(app.last_session());

        let counts = self.outlast(&case, &mut scene, &patient, &kept).await;

        let healed = Instant::now();
        let reply = loop {
            let reply = app.get("/read", Some(&kept)).await;
            let seen = app.last_session().is_some_and(|session| session.last_error().is_none());
            if reply.status == 200 && seen {
                break reply;
            }
            assert!(healed.elapsed() < HEALED_WITHIN, "not healed: {reply:?}, {:?}", app.manager.last_error());
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        reply.assert_no_cookie();
        let themes: &[&str] = if perhaps_written { &["dark", "bright"] } else { &["dark"] };
        assert!(themes.contains(&reply.body.as_str()), "{reply:?}");
        // Written again, it is seen by whoever comes another way.
        app.get("/write", Some(&kept)).await.assert(200, "written");
        let other = App::new(scene.past(), true, Duration::ZERO);
        assert_eq!(other.stored(&kept, "theme").await.as_deref(), Some("bright"));
        assert_eq!(other.stored(&kept, "visits").await, Some((1 + counts).to_string()));
        scene.assert_all_expire();
    }

    /// Ends the fault while a request with patience is under way; the answer is how often that counted.
    async fn outlast(&self, case: &Case<'_>, scene: &mut Scene, patient: &App, cookie: &str) -> u64 {
        let counting = {
            let (patient, cookie) = (patient.clone(), cookie.to_owned());
            tokio::spawn(async move { patient.get(Probe::Count.path(), Some(&cookie)).await })
        };
        let tried_again = self.row.tried_again != Some(false);
        if tried_again {
            tokio::time::sleep(Duration::from_millis(150)).await;
            (self.heal)(scene);
            let reply = counting.await.expect("it does not panic");
            reply.assert_in_time(self.patience);
            reply.assert(200, Probe::Count.answer(false));
            let session = patient.last_session().expect("the handler ran");
            assert!(!session.is_degraded(), "{:?}", session.last_error());
            1
        } else {
            let reply = counting.await.expect("it does not panic");
            assert!(reply.took < self.patience.min(Duration::from_secs(1)), "tried again: {reply:?}");
            let effect = case.judge(Probe::Count, patient, &reply);
            assert_eq!(effect, Some(Effect::NotApplied), "{:?}", patient.last_error());
            drop(patient.last_session());
            (self.heal)(scene);
            0
        }
    }
}

/// Runs a case for each of these ways, with and without `throw_on_error`, all beside each other, each on a runtime of its
/// own, so that none can hold up another.
pub fn everywhere(name: &str, ways: &[Way], case: impl AsyncFn(Way, bool) + Sync) {
    assert!(!ways.is_empty());
    let (run, failed) = (&case, Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for (way, throw) in ways.iter().flat_map(|way| [(*way, true), (*way, false)]) {
            let (title, failed) = (format!("{name} {way:?}, throw_on_error({throw})"), &failed);
            let body = move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
                let case = || runtime.expect("a runtime").block_on(run(way, throw));
                if catch_unwind(AssertUnwindSafe(case)).is_err() {
                    failed.lock().unwrap_or_else(PoisonError::into_inner).push((way, throw));
                }
            };
            thread::Builder::new().name(title).spawn_scoped(scope, body).expect("a thread");
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "{name} failed (way, throw_on_error): {failed:?}");
    panics::assert_none_of_ours();
}

/// What is expected of one case.
struct Case<'a> {
    row: &'a Row,
    outcome: &'a Outcome,
    throw: bool,
}

impl Case<'_> {
    /// Checks what became of a request; the answer is whether it may have been applied, if it failed.
    fn judge(&self, probe: Probe, app: &App, reply: &Reply) -> Option<Effect> {
        let session = app.last_session();
        let error = if self.throw && reply.status != 200 {
            Some(app.last_error())
        } else {
            session.as_ref().and_then(session_core::Session::last_error)
        };
        let context = format!("{probe:?}: {reply:?}, {error:?}");
        let Some(error) = error else {
            assert!(!probe.is_struck(self.row.strikes) || self.outcome.may_be_unseen, "{context}");
            assert_eq!((reply.status, reply.body.as_str()), (200, probe.answer(false)), "{context}");
            return None;
        };
        assert!(probe.is_struck(self.row.strikes), "{context}");
        assert!(self.outcome.kinds.contains(&error.kind()), "{context}: {:?} was expected", self.outcome);
        let text = format!("{error} {error:?}");
        assert!(!text.contains(SECRET), "{context}");
        // Neither an error nor a session that could not be read touches anybody's cookie.
        reply.assert_no_cookie();
        let status = status_of(error.kind()).as_u16();
        if self.throw {
            assert_eq!((reply.status, reply.body.as_str()), (status, ""), "{context}");
            return Some(error.effect());
        }
        assert_eq!(app.last_error().kind(), error.kind(), "{context}");
        let session = session.expect("the handler ran");
        match self.row.quietly {
            Quietly::Degraded => assert!(session.is_degraded() || probe == Probe::WriteWithoutSession, "{context}"),
            Quietly::NotSaved => assert!(!session.is_degraded(), "{context}"),
            // Unless it is seen behind a TwemProxy alone.
            Quietly::Told | Quietly::AsUsual => assert!(self.outcome != &self.row.outcome, "{context}"),
        }
        if probe == Probe::Logout && session.is_degraded() {
            // A logout must not seem done.
            assert_eq!(reply.status, status, "{context}");
        } else {
            let answer = probe.answer(session.is_degraded());
            assert_eq!((reply.status, reply.body.as_str()), (200, answer), "{context}");
        }
        let lost = matches!(probe, Probe::Write | Probe::Count) && session.is_degraded();
        assert!(!lost || error.effect() == Effect::NotApplied, "{context}");
        Some(error.effect())
    }
}

/// A part of every password that the tests use.
const SECRET: &str = "sesame";
