//! One step after the other, each compared with the reference.

use std::sync::Arc;
use std::time::Duration;

use super::super::random::{Random, seed, soaked};
use super::super::{Life, NotPossible, Subject};
use super::journal::Journal;
use super::reference::{Content, Id, Op, Phase, Shared, Store, Value};
use super::{keys, process};
use crate::context::RequestContext;
use crate::error::{ErrorKind, Result};
use crate::id::SessionId;
use crate::manager::SessionManager;
use crate::provider::{Destroyed, SessionProvider};
use crate::serializer::SessionSerializer;
use crate::session::{ClientId, Session};

const STEPS: usize = 60;
const MOST_REQUESTS: usize = 6;
const TEXTS: [&str; 2] = ["name", "theme"];
const LISTS: [&str; 2] = ["cart", "seen"];
const NUMBERS: [&str; 2] = ["visits", "score"];

/// Runs of 60 steps, one after the other. After each, every request sees exactly what the reference says.
///
/// # Panics
///
/// If any answer is another than that of the reference.
pub async fn exactly<S: SessionSerializer>(subject: &dyn Subject, codec: &S, runs: usize) {
    let first = seed();
    for number in 0..soaked(runs) {
        let mut run = Run::new(subject, codec, first.wrapping_add(number as u64));
        for _ in 0..STEPS {
            run.step().await;
            run.compare();
        }
        run.finish(subject).await;
    }
}

/// A request, and what the reference knows of it.
struct Request<S> {
    name: usize,
    session: Session<S>,
    /// Where its session stands in the list of shared ones.
    shared: usize,
    last_change: usize,
    doomed: Option<(usize, usize)>,
    announce: bool,
    forget: bool,
    is_new: bool,
}

struct Run<S> {
    journal: Journal,
    random: Random,
    provider: Arc<dyn SessionProvider>,
    codec: S,
    processes: Vec<SessionManager<S>>,
    requests: Vec<Request<S>>,
    store: Store,
    shared: Vec<Shared>,
    /// The real ids, by their number in the reference.
    ids: Vec<SessionId>,
    named: usize,
    tokens: u64,
}

impl<S: SessionSerializer> Run<S> {
    fn new(subject: &dyn Subject, codec: &S, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let keep = random.percent(50);
        let count = 1 + random.below(3);
        // So much slack that no copy finds the expiry to be renewed, which would happen in the background.
        let build = || process(subject.provider(), codec, keep).expiry_slack(100).build();
        let processes = (0..count).map(|_| build().expect("settings that can be")).collect();
        let mut journal = Journal::new("exactly", seed);
        journal.note(format_args!("{count} processes, copies are kept: {keep}"));
        Self {
            journal,
            random,
            provider: subject.provider(),
            codec: codec.clone(),
            processes,
            requests: Vec::new(),
            store: Store::default(),
            shared: Vec::new(),
            ids: Vec::new(),
            named: 0,
            tokens: 0,
        }
    }

    async fn step(&mut self) {
        let kind = self.random.below(100);
        if self.requests.is_empty() || (kind < 20 && self.requests.len() < MOST_REQUESTS) {
            return self.open().await;
        }
        let index = self.random.below(self.requests.len());
        match kind {
            20..70 => self.change(index),
            70..88 => self.commit(index).await,
            88..94 => self.close(index).await,
            94..97 => self.leave(index).await,
            _ => self.destroy(index),
        }
    }

    async fn open(&mut self) {
        let process = self.random.below(self.processes.len());
        let ids = self.ids.len();
        let number = match self.random.below(100) {
            _ if ids == 0 => None,
            0..5 => None,
            5..80 => Some(ids - 1),
            _ => Some(self.random.below(ids)),
        };
        let id = number.map(|number| self.ids[number]);
        let opened = self.processes[process].open(&RequestContext::default(), id.as_ref()).await;
        let session = opened.expect("an open that nothing hinders");
        let name = self.named;
        self.named += 1;
        self.journal.note(format_args!("request {name} of process {process} opens id {number:?}"));
        let (shared, is_new) = self.open_reference(process, number);
        self.requests.push(Request {
            name,
            session,
            shared,
            last_change: 0,
            doomed: None,
            announce: is_new,
            forget: false,
            is_new,
        });
    }

    fn open_reference(&mut self, process: usize, id: Option<usize>) -> (usize, bool) {
        let Some(id) = id else { return (self.share(process, Phase::Fresh), true) };
        let held = |shared: usize| {
            let doomed = |it: &Request<S>| it.doomed.is_some_and(|(doomed, _)| doomed == shared);
            self.requests.iter().any(|request| request.shared == shared || doomed(request))
        };
        let at = |phase| {
            (0..self.shared.len())
                .find(|it| self.shared[*it].process == process && self.shared[*it].phase == phase && held(*it))
        };
        if let Some(doomed) = at(Phase::Doomed(id)) {
            // Whoever opens it repeats the destruction.
            self.shared[doomed].save(&mut self.store, usize::MAX);
            return (self.share(process, Phase::Ended), false);
        }
        let shared = at(Phase::Stored(id)).unwrap_or_else(|| self.share(process, Phase::Stored(id)));
        if self.shared[shared].validate(&self.store, id) {
            return (shared, false);
        }
        match self.store.ids[id] {
            Id::Rotated => (self.share(process, Phase::Ended), false),
            _ => (self.share(process, Phase::Fresh), true),
        }
    }

    fn share(&mut self, process: usize, phase: Phase) -> usize {
        self.shared.push(Shared::new(process, phase));
        self.shared.len() - 1
    }

    fn change(&mut self, index: usize) {
        let Self { random, requests, shared, tokens, journal, .. } = self;
        let request = &mut requests[index];
        let (name, session) = (request.name, &request.session);
        let shared = &mut shared[request.shared];
        let writable = shared.is_writable();
        let gone = |kind: Option<ErrorKind>| assert_eq!(kind, (!writable).then_some(ErrorKind::Gone));
        let (text, list, number) = (random.pick(&TEXTS), random.pick(&LISTS), random.pick(&NUMBERS));
        let any = random.pick(&[text, list, number]);
        let held = shared.view().get(any).cloned();
        let small = random.below(3);
        let change = match random.below(100) {
            0..20 => {
                let (which, value) = match random.below(3) {
                    0 => (text, Value::Text(format!("value {small}"))),
                    1 => (list, Value::List(vec![small as u64; small])),
                    _ => (number, Value::Number(small as i64)),
                };
                journal.note(format_args!("request {name} sets {which} to {value:?}"));
                gone(kind(match &value {
                    Value::Text(value) => session.insert(which, value),
                    Value::List(value) => session.insert(which, value),
                    Value::Number(value) => session.insert(which, value),
                }));
                (writable && !shared.has(which, Some(&value))).then(|| shared.change(which, Op::Set(Some(value)), name))
            }
            20..42 => {
                *tokens += 1;
                let token = 1_000 + *tokens;
                journal.note(format_args!("request {name} adds {token} to {list}"));
                gone(kind(session.update(list, move |list: &mut Vec<u64>| list.push(token))));
                writable.then(|| shared.change(list, Op::Push(token), name))
            }
            42..62 => {
                let by = small as i64 - 1;
                journal.note(format_args!("request {name} adds {by} to {number}"));
                let counted = session.increment(number, by);
                let change = writable.then(|| shared.change(number, Op::Add(by), name));
                if let Ok(counted) = &counted {
                    let expected = shared.view().get(number).cloned().unwrap_or(Value::Number(0));
                    assert_eq!(Value::Number(*counted), expected, "the answer of increment");
                }
                gone(kind(counted));
                change
            }
            62..72 => {
                journal.note(format_args!("request {name} removes {any}"));
                let removed = session.remove(any);
                if let Ok(removed) = &removed {
                    assert_eq!(*removed, held.is_some(), "the answer of remove");
                }
                gone(kind(removed));
                (writable && !shared.has(any, None)).then(|| shared.change(any, Op::Set(None), name))
            }
            72..80 => {
                journal.note(format_args!("request {name} takes {any}"));
                assert_eq!(take(session, any).expect("a value of its type"), held, "the answer of take");
                held.is_some().then(|| shared.change(any, Op::Set(None), name))
            }
            80..83 => {
                journal.note(format_args!("request {name} clears"));
                gone(kind(session.clear()));
                let all = TEXTS.into_iter().chain(LISTS).chain(NUMBERS);
                let mut change = None;
                for which in all.filter(|_| writable) {
                    if !shared.has(which, None) {
                        change = Some(shared.change(which, Op::Set(None), name));
                    }
                }
                change
            }
            83..88 => {
                journal.note(format_args!("request {name} touches"));
                gone(kind(session.touch()));
                writable.then(|| shared.touch(name))
            }
            88..93 => {
                let seconds = 1_200 + 300 * small as u64;
                journal.note(format_args!("request {name} sets the idle timeout to {seconds} s"));
                gone(kind(session.set_idle_timeout(Duration::from_secs(seconds))));
                writable.then(|| shared.set_idle_timeout(seconds, name))
            }
            _ => {
                journal.note(format_args!("request {name} rotates"));
                gone(kind(session.rotate_id()));
                let change = shared.id().map(|_| shared.rotate(name));
                request.announce |= change.is_some();
                change
            }
        };
        if let Some(change) = change {
            request.last_change = change;
        }
    }

    fn destroy(&mut self, index: usize) {
        let request = &mut self.requests[index];
        let name = request.name;
        self.journal.note(format_args!("request {name} destroys"));
        request.session.destroy().expect("what never fails");
        let old = request.shared;
        let shared = &mut self.shared[old];
        match shared.phase {
            Phase::Ended => return,
            Phase::Fresh => shared.end(),
            Phase::Stored(id) => request.doomed = Some((old, shared.doom(id, name))),
            Phase::Doomed(_) => request.doomed = Some((old, shared.counted())),
        }
        let process = shared.process;
        (request.announce, request.forget, request.is_new, request.last_change) = (true, true, true, 0);
        request.shared = self.shared.len();
        self.shared.push(Shared::new(process, Phase::Fresh));
    }

    /// What a commit of this request does, and whether it is told that its session is gone.
    fn commit_reference(&mut self, index: usize) -> bool {
        let request = &mut self.requests[index];
        if let Some((doomed, change)) = request.doomed.take() {
            self.shared[doomed].save(&mut self.store, change);
        }
        let shared = &mut self.shared[request.shared];
        if request.last_change > 0 {
            shared.save(&mut self.store, request.last_change);
        }
        shared.take_failure(request.name)
    }

    /// A session that was created or rotated: the real id of the number that the reference gave it.
    fn notice_ids(&mut self) {
        let known = self.ids.len();
        for number in known..self.store.ids.len() {
            let holder = |request: &&Request<S>| self.shared[request.shared].id() == Some(number);
            let id = self.requests.iter().find(holder).and_then(|request| request.session.id());
            self.ids.push(id.expect("an id of the session that was stored"));
        }
    }

    async fn commit(&mut self, index: usize) {
        let name = self.requests[index].name;
        self.journal.note(format_args!("request {name} commits"));
        let result = self.requests[index].session.commit().await;
        let gone = self.commit_reference(index);
        check(result, gone);
        self.notice_ids();
    }

    async fn close(&mut self, index: usize) {
        let name = self.requests[index].name;
        self.journal.note(format_args!("request {name} closes"));
        let destroyed = self.requests[index].doomed.map(|(doomed, _)| doomed);
        let closed = self.requests[index].session.close().await;
        let gone = self.commit_reference(index);
        self.notice_ids();
        check(closed.result, gone);
        let request = &self.requests[index];
        let id = self.shared[request.shared].id().map(|number| self.ids[number]);
        match (id, closed.client) {
            (_, ClientId::Keep) if gone => {}
            (Some(id), ClientId::Issue(issued)) => assert!(request.announce && id == issued, "the id to issue"),
            (Some(id), ClientId::Refresh(same)) => assert!(!request.announce && id == same, "the id to refresh"),
            (id, ClientId::Keep) => assert!(!request.forget && (id.is_none() || !request.announce), "nothing to tell"),
            (id, ClientId::Forget) => assert!(request.forget && id.is_none(), "an id to forget"),
            (None, client) => panic!("{client:?} without a session"),
        }
        if let Some(destroyed) = destroyed {
            let found = self.shared[destroyed].destroyed;
            assert_eq!(closed.destroyed.map(|it| it == Destroyed::Done), found, "what the destruction found");
        }
        self.requests.remove(index);
    }

    /// A request is dropped: what it changed is committed in the background.
    async fn leave(&mut self, index: usize) {
        self.journal.note(format_args!("request {} is dropped", self.requests[index].name));
        let process = self.shared[self.requests[index].shared].process;
        self.commit_reference(index);
        let request = self.requests.remove(index);
        let number = self.shared[request.shared].id();
        let new_id = number.filter(|number| *number >= self.ids.len());
        let others = self.requests.iter().any(|other| other.shared == request.shared);
        // Its session, for the id that nobody else may know.
        drop(request);
        self.processes[process].shutdown().await;
        if new_id.is_some() && !others {
            // An id that nobody was told: the session is out of reach.
            self.ids.push(SessionId::generate().expect("randomness"));
            *self.store.ids.last_mut().expect("the new one") = Id::Destroyed;
            self.store.forget(self.ids.len() - 1);
        }
        self.notice_ids();
    }

    /// Every request sees what the reference says.
    fn compare(&self) {
        for request in &self.requests {
            let shared = &self.shared[request.shared];
            let (name, session, view) = (request.name, &request.session, shared.view());
            assert_eq!(contents(session).expect("readable"), view, "what request {name} sees");
            assert_eq!(session.len().expect("readable"), view.len(), "the length for request {name}");
            let mut names = session.names().expect("readable");
            names.sort_unstable();
            assert!(names.iter().eq(view.keys()), "the names for request {name}");
            let id = shared.id().map(|number| self.ids[number]);
            assert!(session.id() == id, "the id for request {name}");
            assert_eq!(session.is_new(), request.is_new, "whether request {name} has a new session");
        }
    }

    async fn finish(mut self, subject: &dyn Subject) {
        while !self.requests.is_empty() {
            self.close(0).await;
            self.compare();
        }
        self.journal.note(format_args!("a new process opens every id"));
        let reader = process(self.provider.clone(), &self.codec, false).build().expect("settings that can be");
        for (number, id) in self.ids.iter().enumerate() {
            let session = reader.open(&RequestContext::default(), Some(id)).await.expect("an answer");
            let stored = self.store.content(number);
            assert_eq!(session.id().is_some(), stored.is_some(), "whether id {number} works");
            assert_eq!(contents(&session).expect("readable"), stored.unwrap_or_default(), "what id {number} shows");
            let key = keys().derive(&RequestContext::default(), id).expect("a key");
            match subject.life(&key).await {
                Ok(Life::Endless) => panic!("id {number} has no expiry"),
                Ok(Life::Nothing) => assert!(session.id().is_none(), "id {number} has expired"),
                Ok(Life::Ends(_)) => {}
                Err(NotPossible(why)) => panic!("{why}"),
            }
        }
        for process in &self.processes {
            process.shutdown().await;
        }
    }
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn check(result: Result<()>, gone: bool) {
    match result {
        Ok(()) => assert!(!gone, "what is gone was acknowledged"),
        Err(error) => {
            assert!(gone && error.kind() == ErrorKind::Gone, "an error that nothing caused: {error}");
        }
    }
}

/// Every attribute, read as its type, in two ways.
fn contents<S: SessionSerializer>(session: &Session<S>) -> Result<Content> {
    let mut contents = Content::new();
    for name in TEXTS {
        if let Some(text) = session.get(name)? {
            contents.insert(name, Value::Text(text));
        }
    }
    for name in LISTS {
        if let Some(list) = session.get_shared::<Vec<u64>>(name)? {
            contents.insert(name, Value::List(list.to_vec()));
        }
        assert_eq!(session.contains(name)?, contents.contains_key(name), "whether {name} is there");
    }
    for name in NUMBERS {
        if let Some(number) = session.get(name)? {
            contents.insert(name, Value::Number(number));
        }
    }
    Ok(contents)
}

fn take<S: SessionSerializer>(session: &Session<S>, name: &'static str) -> Result<Option<Value>> {
    Ok(if TEXTS.contains(&name) {
        session.take(name)?.map(Value::Text)
    } else if LISTS.contains(&name) {
        session.take(name)?.map(Value::List)
    } else {
        session.take(name)?.map(Value::Number)
    })
}
