//! The reference: what a session is to several processes, as simple as can be.
//!
//! A process sees what it knew when it last asked, and on top what its requests did since. A commit makes what they
//! did on what is stored, unless it set the attribute: then that is what is stored.

use std::collections::{BTreeMap, BTreeSet};

pub(super) type Content = BTreeMap<&'static str, Value>;

/// The number of a request.
pub(super) type Author = usize;

/// What an attribute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    List(Vec<u64>),
    Number(i64),
}

/// What a request does to an attribute.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Set(Option<Value>),
    Push(u64),
    Add(i64),
}

impl Op {
    fn apply(&self, held: Option<Value>) -> Option<Value> {
        match (self, held) {
            (Self::Set(value), _) => value.clone(),
            (Self::Push(token), None) => Some(Value::List(vec![*token])),
            (Self::Push(token), Some(Value::List(mut list))) => {
                list.push(*token);
                Some(Value::List(list))
            }
            (Self::Add(by), None) => Some(Value::Number(*by)),
            (Self::Add(by), Some(Value::Number(number))) => Some(Value::Number(number + by)),
            (op, held) => panic!("{op:?} on {held:?}"),
        }
    }
}

/// What was done to an attribute and is not stored.
#[derive(Debug, Default)]
struct Pending {
    ops: Vec<Op>,
    authors: BTreeSet<Author>,
}

impl Pending {
    fn apply(&self, held: Option<Value>) -> Option<Value> {
        self.ops.iter().fold(held, |held, op| op.apply(held))
    }
}

/// What became of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Id {
    Works,
    Rotated,
    Destroyed,
}

/// What is stored.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// By the number of the id.
    sessions: BTreeMap<usize, (Content, Option<u64>)>,
    pub(super) ids: Vec<Id>,
}

impl Store {
    /// What is stored under this id.
    pub(super) fn content(&self, id: usize) -> Option<Content> {
        self.sessions.get(&id).map(|(content, _)| content.clone())
    }

    /// Nobody knows this id.
    pub(super) fn forget(&mut self, id: usize) {
        self.sessions.remove(&id);
    }

    fn put(&mut self, content: Content, idle: Option<u64>) -> usize {
        let id = self.ids.len();
        self.ids.push(Id::Works);
        self.sessions.insert(id, (content, idle));
        id
    }

    fn end(&mut self, id: usize, how: Id) -> Option<(Content, Option<u64>)> {
        let session = self.sessions.remove(&id)?;
        self.ids[id] = how;
        Some(session)
    }
}

/// Where a copy is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Fresh,
    /// Stored under the id of this number.
    Stored(usize),
    /// Destroyed by a request that has not committed it.
    Doomed(usize),
    Ended,
}

/// What the requests of one process share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) process: usize,
    pub(super) phase: Phase,
    known: Content,
    pending: BTreeMap<&'static str, Pending>,
    idle: (Option<u64>, Option<u64>),
    /// Who wants another idle timeout.
    timing: BTreeSet<Author>,
    /// Who wants the expiry renewed, or another id.
    wanting: BTreeSet<Author>,
    touched: bool,
    rotates: bool,
    changes: usize,
    settled: usize,
    failed: BTreeSet<Author>,
    /// Whether a destruction found something.
    pub(super) destroyed: Option<bool>,
}

impl Shared {
    pub(super) fn new(process: usize, phase: Phase) -> Self {
        Self {
            process,
            phase,
            known: Content::new(),
            pending: BTreeMap::new(),
            idle: (None, None),
            timing: BTreeSet::new(),
            wanting: BTreeSet::new(),
            touched: false,
            rotates: false,
            changes: 0,
            settled: 0,
            failed: BTreeSet::new(),
            destroyed: None,
        }
    }

    pub(super) fn id(&self) -> Option<usize> {
        match self.phase {
            Phase::Stored(id) => Some(id),
            _ => None,
        }
    }

    pub(super) fn is_writable(&self) -> bool {
        matches!(self.phase, Phase::Fresh | Phase::Stored(_))
    }

    /// What requests see.
    pub(super) fn view(&self) -> Content {
        let mut view = self.known.clone();
        for (name, pending) in &self.pending {
            match pending.apply(self.known.get(name).cloned()) {
                Some(value) => view.insert(name, value),
                None => view.remove(name),
            };
        }
        view
    }

    /// A request does this; the answer is the number of the change.
    pub(super) fn change(&mut self, name: &'static str, op: Op, author: Author) -> usize {
        let pending = self.pending.entry(name).or_default();
        pending.ops.push(op);
        pending.authors.insert(author);
        self.settle(name);
        self.counted()
    }

    /// Whether a request that wants this there has to do anything for it.
    pub(super) fn has(&self, name: &'static str, value: Option<&Value>) -> bool {
        !self.pending.contains_key(name) && self.known.get(name) == value
    }

    pub(super) fn touch(&mut self, author: Author) -> usize {
        self.touched = true;
        self.wanting.insert(author);
        self.counted()
    }

    pub(super) fn set_idle_timeout(&mut self, seconds: u64, author: Author) -> usize {
        self.idle.1 = Some(seconds);
        self.timing.insert(author);
        self.counted()
    }

    pub(super) fn rotate(&mut self, author: Author) -> usize {
        self.rotates = true;
        self.wanting.insert(author);
        self.counted()
    }

    pub(super) fn doom(&mut self, id: usize, author: Author) -> usize {
        self.fail_all();
        self.failed.remove(&author);
        self.phase = Phase::Doomed(id);
        self.counted()
    }

    pub(super) fn counted(&mut self) -> usize {
        self.changes += 1;
        self.changes
    }

    /// What leads back to what is known needs not be sent.
    fn settle(&mut self, name: &'static str) {
        let known = self.known.get(name).cloned();
        if self.pending.get(name).is_some_and(|pending| pending.apply(known.clone()) == known) {
            self.pending.remove(name);
        }
    }

    fn fail_all(&mut self) {
        for pending in std::mem::take(&mut self.pending).into_values() {
            self.failed.extend(pending.authors);
        }
        self.failed.append(&mut self.wanting);
        self.failed.append(&mut self.timing);
        self.known.clear();
        (self.touched, self.rotates, self.idle) = (false, false, (None, None));
    }

    pub(super) fn end(&mut self) {
        self.fail_all();
        self.phase = Phase::Ended;
        self.settled = self.changes;
    }

    /// Somebody opens it: it is as the store has it. `false`: it is not there any more.
    pub(super) fn validate(&mut self, store: &Store, id: usize) -> bool {
        let Some((content, idle)) = store.sessions.get(&id) else {
            self.end();
            return false;
        };
        self.known = content.clone();
        self.idle.0 = *idle;
        let names: Vec<_> = self.pending.keys().copied().collect();
        names.into_iter().for_each(|name| self.settle(name));
        true
    }

    /// Whether this change of this request was not made, and cannot be any more; told once.
    pub(super) fn take_failure(&mut self, author: Author) -> bool {
        self.failed.remove(&author)
    }

    /// Stores everything up to this change, if it is not settled.
    pub(super) fn save(&mut self, store: &mut Store, upto: usize) {
        if self.settled >= upto {
            return;
        }
        match self.phase {
            Phase::Ended => {}
            Phase::Doomed(id) => {
                self.destroyed = Some(store.end(id, Id::Destroyed).is_some());
                self.end();
            }
            Phase::Fresh => {
                let view = self.view();
                if !view.is_empty() {
                    self.phase = Phase::Stored(store.put(view.clone(), self.idle.1));
                    self.stored(view, self.idle.1);
                }
            }
            Phase::Stored(id) => self.save_changes(store, id),
        }
        self.settled = self.changes;
    }

    fn save_changes(&mut self, store: &mut Store, id: usize) {
        let idle = self.idle.1.filter(|wanted| Some(*wanted) != self.idle.0);
        if idle.is_none() {
            self.timing.clear();
        }
        if self.pending.is_empty() && idle.is_none() && !self.touched && !self.rotates {
            self.wanting.clear();
            self.idle.1 = None;
            return;
        }
        let Some((content, stored_idle)) = store.sessions.get_mut(&id) else { return self.end() };
        let names: Vec<_> = self.pending.keys().copied().collect();
        for name in &names {
            let pending = &self.pending[name];
            let is_set = pending.ops.iter().any(|op| matches!(op, Op::Set(_)));
            let base = if is_set { self.known.get(name) } else { content.get(name) };
            let value = pending.apply(base.cloned());
            for held in [&mut *content, &mut self.known] {
                match &value {
                    Some(value) => held.insert(name, value.clone()),
                    None => held.remove(name),
                };
            }
        }
        *stored_idle = idle.or(*stored_idle);
        if self.rotates {
            let (content, idle) = store.end(id, Id::Rotated).expect("it was there");
            self.phase = Phase::Stored(store.put(content.clone(), idle));
            self.stored(content, idle);
        } else {
            let idle = idle.or(self.idle.0);
            let known = std::mem::take(&mut self.known);
            self.stored(known, idle);
        }
    }

    fn stored(&mut self, known: Content, idle: Option<u64>) {
        self.known = known;
        self.idle = (idle, None);
        self.pending.clear();
        self.wanting.clear();
        self.timing.clear();
        (self.touched, self.rotates) = (false, false);
    }
}
