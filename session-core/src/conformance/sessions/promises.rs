//! What was promised of one session and its changes, and the check that it was kept.

use std::collections::{BTreeMap, HashSet};

use crate::error::Result;
use crate::id::SessionId;
use crate::serializer::SessionSerializer;
use crate::session::Session;

/// A list to which every update adds a number of its own.
pub(super) const LIST: &str = "list";
/// A counter.
pub(super) const COUNTER: &str = "counter";

/// The attribute that only one process writes.
pub(super) fn own(process: usize) -> String {
    format!("of process {process}")
}

/// A change of a session.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// Adds this number, which no other change adds, to the list.
    Push(u64),
    /// Adds to the counter.
    Count(i64),
    /// Sets the attribute of the process that does it; to one of a few values, so that some are set again.
    Set(u64),
}

/// What its request was told of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing, or that it may have been made: it is there once or not at all.
    Unsure,
    /// That it was made: it is there, once.
    Made,
    /// That it was not made: it is never there.
    NotMade,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) change: Change,
    pub(super) process: usize,
    pub(super) told: Told,
}

/// A session, under all its ids.
#[derive(Default)]
pub(super) struct Promises {
    /// In the order in which they were announced.
    pub(super) ids: Vec<SessionId>,
    pub(super) changes: Vec<Entry>,
    /// A destruction was acknowledged: no id of it works any more.
    pub(super) dead: bool,
    /// Somebody wanted it destroyed, so it may be gone.
    pub(super) doomed: bool,
    /// Rotations whose outcome nobody was told; each may have ended the id that is known.
    pub(super) open_rotations: usize,
}

/// What a session shows.
pub(super) struct View {
    list: Vec<u64>,
    counter: i64,
    own: BTreeMap<usize, u64>,
}

impl View {
    pub(super) fn of<S: SessionSerializer>(session: &Session<S>, processes: usize) -> Result<Self> {
        let mut own_values = BTreeMap::new();
        for process in 0..processes {
            if let Some(value) = session.get(&own(process))? {
                own_values.insert(process, value);
            }
        }
        Ok(Self {
            list: session.get_shared(LIST)?.map(|list| Vec::clone(&list)).unwrap_or_default(),
            counter: session.get(COUNTER)?.unwrap_or_default(),
            own: own_values,
        })
    }
}

impl Promises {
    /// Whether this id must work: nothing that was done to it may have ended it.
    pub(super) fn must_work(&self, id: &SessionId) -> bool {
        self.ids.last() == Some(id) && !self.doomed && self.open_rotations == 0
    }

    /// Whether what a request sees can be: nothing twice, nothing that was said not to be made, and everything that was
    /// made before (`seen`, numbers of changes), or in its own process where that is still at the same id.
    pub(super) fn check_seen(&self, view: &View, process: Option<usize>, seen: &HashSet<usize>, what: &str) {
        let made = |(number, it): &(usize, &Entry)| {
            it.told == Told::Made && (Some(it.process) == process || seen.contains(number))
        };
        self.check_list(view, what);
        let mut least = 0;
        for (number, it) in self.changes.iter().enumerate().filter(made) {
            match it.change {
                Change::Push(token) => {
                    assert!(view.list.contains(&token), "{what}: {token} (change {number}) was made and is not seen");
                }
                Change::Count(by) => least += by,
                Change::Set(_) => {}
            }
        }
        assert!(view.counter >= least, "{what}: the counter shows {} and {least} were added", view.counter);
    }

    fn check_list(&self, view: &View, what: &str) {
        let mut seen = HashSet::new();
        for token in &view.list {
            assert!(seen.insert(token), "{what}: {token} was added twice");
            let told = self.changes.iter().find(|it| matches!(it.change, Change::Push(pushed) if pushed == *token));
            let told = told.unwrap_or_else(|| panic!("{what}: {token} was never added to this session"));
            assert!(told.told != Told::NotMade, "{what}: {token} was said not to be added, and it is there");
        }
    }

    /// Whether what is stored in the end is what was promised.
    pub(super) fn check_stored(&self, view: &View, processes: usize) {
        let everything = (0..self.changes.len()).collect();
        self.check_seen(view, None, &everything, "in the end");
        let most: i64 = self.changes.iter().filter(|it| it.told != Told::NotMade).map(|it| it.adds()).sum();
        assert!(view.counter <= most, "in the end: the counter is {} and at most {most} were added", view.counter);
        for process in 0..processes {
            self.check_own(process, view.own.get(&process).copied());
        }
    }

    /// The last one that was made is there, or one of which nobody is sure.
    ///
    /// Or one that leads back to what was there: that needs not be sent, and was made even if its request was told that
    /// another change of its was not.
    fn check_own(&self, process: usize, found: Option<u64>) {
        let mut allowed = HashSet::new();
        let mut made = HashSet::from([None]);
        let mut back: HashSet<Option<u64>> = HashSet::new();
        let mut last_made = None;
        for it in self.changes.iter().filter(|it| it.process == process) {
            let Change::Set(value) = it.change else { continue };
            match it.told {
                Told::Made => {
                    last_made = Some(value);
                    made.insert(last_made);
                    back.clear();
                }
                Told::Unsure => {
                    allowed.insert(Some(value));
                }
                Told::NotMade => {
                    back.extend(made.get(&Some(value)).copied());
                }
            }
        }
        allowed.insert(last_made);
        allowed.extend(back);
        assert!(allowed.contains(&found), "process {process} set its attribute, {found:?} is none of {allowed:?}");
    }
}

impl Entry {
    fn adds(&self) -> i64 {
        match self.change {
            Change::Count(by) => by,
            Change::Push(_) | Change::Set(_) => 0,
        }
    }
}
