//! Many requests at once whose steps interleave, are refused, lost, delayed and cancelled, by a seed.
//!
//! Every step waits before the store and again on its way back until the schedule lets it go, so that everything a
//! request can meet there is met between any two of its steps.

mod answers;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::super::Subject;
use super::super::random::{Random, seed, soaked};
use super::chaos::{Chaos, Verdict};
use super::journal::Journal;
use super::process;
use super::promises::{COUNTER, Change, Entry, LIST, Promises, Told, View, own};
use crate::context::RequestContext;
use crate::error::{ErrorKind, Result};
use crate::id::SessionId;
use crate::manager::SessionManager;
use crate::serializer::SessionSerializer;
use crate::session::{Closed, Session};

const STEPS: usize = 120;
const MOST_REQUESTS: usize = 6;

/// Runs with faults, each of 120 random steps.
///
/// # Panics
///
/// If anything that was promised to a request is not kept.
pub async fn under_faults<S: SessionSerializer>(subject: &dyn Subject, codec: &S, runs: usize) {
    let first = seed();
    for number in 0..soaked(runs) {
        let mut run = Run::new(subject, codec, first.wrapping_add(number as u64));
        for _ in 0..STEPS {
            run.step().await;
        }
        run.finish(subject).await;
    }
}

/// A request of a process.
struct Request<S> {
    name: usize,
    process: usize,
    session: Session<S>,
    /// Which session it changes, and its changes of it, by their numbers there.
    of: usize,
    changes: Vec<usize>,
    /// What was made in this session before it was opened.
    seen: HashSet<usize>,
    /// It wants another id; told by the next commit.
    rotates: bool,
    /// It destroyed the session of this id; told by the next commit.
    destroys: Option<(usize, SessionId)>,
    busy: bool,
}

impl<S> Request<S> {
    fn part(&self) -> Part {
        let Self { name, of, rotates, .. } = *self;
        Part { name, of, changes: self.changes.clone(), rotates, destroys: self.destroys.is_some() }
    }
}

/// What runs at the time.
enum Task<S> {
    Open {
        process: usize,
        of: Option<usize>,
        id: Option<SessionId>,
        seen: HashSet<usize>,
        must: Must,
        run: JoinHandle<Result<Session<S>>>,
    },
    Commit {
        part: Part,
        run: JoinHandle<Result<()>>,
    },
    Close {
        part: Part,
        run: JoinHandle<Closed>,
    },
}

/// What a commit is about: what its request had done when it began.
struct Part {
    name: usize,
    of: usize,
    changes: Vec<usize>,
    rotates: bool,
    destroys: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    Work,
    NotWork,
    Any,
}

struct Run<S> {
    codec: S,
    journal: Journal,
    random: Random,
    chaos: Arc<Chaos>,
    processes: Vec<SessionManager<S>>,
    faults: usize,
    /// Of a hundred changes, so many destroy the session.
    destroys: usize,
    sessions: Vec<Promises>,
    dead: HashSet<SessionId>,
    requests: Vec<Request<S>>,
    tasks: Vec<Task<S>>,
    named: usize,
    tokens: u64,
    keeps: bool,
}

impl<S: SessionSerializer> Run<S> {
    fn new(subject: &dyn Subject, codec: &S, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let chaos = Arc::new(Chaos::new(subject.provider()));
        let keeps = random.percent(50);
        let count = 1 + random.below(3);
        let processes =
            (0..count).map(|_| process(chaos.clone(), codec, keeps).build().expect("settings that can be")).collect();
        let faults = random.pick(&[0, 10, 30]);
        let destroys = random.pick(&[1, 3, 12]);
        let mut journal = Journal::new("under_faults", seed);
        journal.note(format_args!("{count} processes, {faults} % faults, copies are kept: {keeps}"));
        Self {
            codec: codec.clone(),
            journal,
            random,
            chaos,
            processes,
            faults,
            destroys,
            sessions: Vec::new(),
            dead: HashSet::new(),
            requests: Vec::new(),
            tasks: Vec::new(),
            named: 0,
            tokens: 0,
            keeps,
        }
    }

    async fn step(&mut self) {
        match self.random.below(100) {
            0..12 => self.open(),
            12..40 => self.change(),
            40..44 => self.look(),
            44..54 => self.start(false),
            54..59 => self.start(true),
            59..61 => self.leave(),
            61..63 => self.cancel(),
            63..64 => self.late().await,
            64..65 => self.wait().await,
            _ => self.release(),
        }
        self.chaos.quiet().await;
        self.collect().await;
    }

    fn open(&mut self) {
        if self.requests.len() + self.tasks.len() >= MOST_REQUESTS {
            return;
        }
        let process = self.random.below(self.processes.len());
        let known: Vec<_> =
            self.sessions.iter().enumerate().filter(|(_, it)| !it.ids.is_empty()).map(|(of, _)| of).collect();
        let (of, id) = if known.is_empty() || self.random.percent(8) {
            (None, None)
        } else {
            // Mostly the newest session, under its present id.
            let of = if self.random.percent(80) { known[known.len() - 1] } else { self.random.pick(&known) };
            let ids = &self.sessions[of].ids;
            let id = if self.random.percent(80) { ids[ids.len() - 1] } else { self.random.pick(ids) };
            (Some(of), Some(id))
        };
        let made = |it: &Promises| {
            let made = it.changes.iter().enumerate().filter(|(_, it)| it.told == Told::Made);
            made.map(|(number, _)| number).collect()
        };
        let seen = of.map(|of| made(&self.sessions[of])).unwrap_or_default();
        let must = match (of, &id) {
            (Some(of), Some(id)) if self.dead.contains(id) || self.sessions[of].dead => Must::NotWork,
            (Some(of), Some(id)) if self.sessions[of].must_work(id) => Must::Work,
            _ => Must::Any,
        };
        let which = id.and_then(|id| self.sessions[of?].ids.iter().position(|it| *it == id));
        self.journal.note(format_args!("process {process} opens session {of:?}, id {which:?}, must: {must:?}"));
        let manager = self.processes[process].clone();
        let run = tokio::spawn(async move { manager.open(&RequestContext::default(), id.as_ref()).await });
        self.tasks.push(Task::Open { process, of, id, seen, must, run });
    }

    fn change(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let index = self.random.below(self.requests.len());
        let kind = if self.random.percent(self.destroys) { 99 } else { self.random.below(93) };
        let value = self.random.below(3) as u64;
        self.tokens += 1;
        let token = self.tokens;
        let request = &mut self.requests[index];
        let session = &request.session;
        let (name, process) = (request.name, request.process);
        let (what, change, result) = match kind {
            0..25 => {
                let result = session.update(LIST, move |list: &mut Vec<u64>| list.push(token));
                (format!("adds {token}"), Some(Change::Push(token)), result)
            }
            25..45 => {
                let by = 1 + value as i64;
                (format!("counts {by}"), Some(Change::Count(by)), session.increment(COUNTER, by).map(drop))
            }
            45..65 => (format!("sets {value}"), Some(Change::Set(value)), session.insert(&own(process), &value)),
            65..68 => ("sets other".to_owned(), None, session.insert("other", &value)),
            68..71 => ("counts other".to_owned(), None, session.increment("other", 1).map(drop)),
            71..74 => ("removes other".to_owned(), None, session.remove("other").map(drop)),
            74..77 => ("updates other".to_owned(), None, session.update("other", |it: &mut u64| *it += 1)),
            77..79 => ("takes other".to_owned(), None, session.take::<u64>("other").map(drop)),
            79..82 => ("touches".to_owned(), None, session.touch()),
            82..85 => {
                let time = Duration::from_secs(600 * (1 + value));
                (format!("idle timeout {time:?}"), None, session.set_idle_timeout(time))
            }
            85..92 => {
                let result = session.rotate_id();
                if result.is_ok() {
                    request.rotates = true;
                    self.sessions[request.of].open_rotations += 1;
                }
                ("rotates".to_owned(), None, result)
            }
            99 => {
                let before = session.id();
                let result = session.destroy();
                self.sessions[request.of].doomed = true;
                if let Some(id) = before {
                    request.destroys = Some((request.of, id));
                }
                request.of = self.sessions.len();
                request.changes = Vec::new();
                request.seen = HashSet::new();
                request.rotates = false;
                self.sessions.push(Promises::default());
                ("destroys".to_owned(), None, result)
            }
            _ => return,
        };
        self.journal.note(format_args!("request {name} {what}: {}", told(&result)));
        match (result, change) {
            (Ok(()), Some(change)) => {
                let promises = &mut self.sessions[request.of];
                request.changes.push(promises.changes.len());
                promises.changes.push(Entry { change, process, told: Told::Unsure });
            }
            (Ok(()), None) => {}
            (Err(error), _) => assert_eq!(error.kind(), ErrorKind::Gone, "{error}"),
        }
    }

    fn look(&mut self) {
        for request in &self.requests {
            let Some(id) = request.session.id() else { continue };
            // Another process may have given it another id, under which this one then has a second copy.
            let process = (self.sessions[request.of].ids.last() == Some(&id)).then_some(request.process);
            let view = View::of(&request.session, self.processes.len()).expect("a readable session");
            let what = format!("request {}", request.name);
            self.sessions[request.of].check_seen(&view, process, &request.seen, &what);
        }
    }

    /// Starts a commit, or the last one.
    fn start(&mut self, last: bool) {
        let idle: Vec<_> = (0..self.requests.len()).filter(|index| !self.requests[*index].busy).collect();
        if idle.is_empty() {
            return;
        }
        let index = self.random.pick(&idle);
        let request = &mut self.requests[index];
        let (part, session) = (request.part(), request.session.clone());
        let name = part.name;
        request.busy = true;
        self.journal.note(format_args!("request {name} begins to {}", if last { "close" } else { "commit" }));
        self.tasks.push(if last {
            let run = tokio::spawn(async move { session.close().await });
            Task::Close { part, run }
        } else {
            let run = tokio::spawn(async move { session.commit().await });
            Task::Commit { part, run }
        });
    }

    /// Drops a request without a commit.
    fn leave(&mut self) {
        let idle: Vec<_> = (0..self.requests.len()).filter(|index| !self.requests[*index].busy).collect();
        if idle.is_empty() {
            return;
        }
        let index = self.random.pick(&idle);
        let request = self.requests.swap_remove(index);
        self.journal.note(format_args!("request {} is dropped", request.name));
    }

    fn cancel(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        let index = self.random.below(self.tasks.len());
        let task = self.tasks.swap_remove(index);
        let name = match task {
            Task::Open { run, .. } => {
                run.abort();
                return self.journal.note(format_args!("an open is cancelled"));
            }
            Task::Commit { part: Part { name, .. }, run } => {
                run.abort();
                self.journal.note(format_args!("the commit of request {name} is cancelled"));
                name
            }
            Task::Close { part: Part { name, .. }, run } => {
                run.abort();
                self.journal.note(format_args!("the close of request {name} is cancelled"));
                let index = self.requests.iter().position(|request| request.name == name);
                drop(self.requests.swap_remove(index.expect("it is still here")));
                return;
            }
        };
        if let Some(request) = self.requests.iter_mut().find(|request| request.name == name) {
            request.busy = false;
        }
    }

    async fn late(&mut self) {
        let count = self.chaos.count_late();
        if count > 0 {
            let place = self.random.below(count);
            self.journal.note(format_args!("a delayed write is executed"));
            self.chaos.execute_late(place).await;
        }
    }

    /// Lets those go on who wait a while after a conflict.
    async fn wait(&mut self) {
        self.journal.note(format_args!("50 ms pass"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    fn release(&mut self) {
        let waiting = self.chaos.waiting();
        if waiting == 0 {
            return;
        }
        let place = self.random.below(waiting);
        let verdict = if self.random.percent(self.faults) {
            use Verdict::{Delay, LoseAnswer, LoseRequest, Rejected, Unavailable};
            self.random.pick(&[Unavailable, Rejected, LoseRequest, LoseAnswer, Delay, Delay])
        } else {
            Verdict::Run
        };
        let step = self.chaos.describe(place);
        self.journal.note(format_args!("{step}, of {waiting} that wait, goes on: {verdict:?}"));
        self.chaos.release(place, verdict);
    }
}

impl<S> Task<S> {
    fn is_finished(&self) -> bool {
        match self {
            Self::Open { run, .. } => run.is_finished(),
            Self::Commit { run, .. } => run.is_finished(),
            Self::Close { run, .. } => run.is_finished(),
        }
    }
}

fn told<T>(result: &Result<T>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(error) => format!("{error} ({:?})", error.effect()),
    }
}
