//! All keys: what each holds, until when, and the steps of the provider on one of them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::clock::Moment;
use super::session::{Decision, Session, marks};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::id::{Generation, WriterId};
use crate::key::SessionKey;
use crate::provider::{
    Checked, Commit, Committed, Destroyed, Destruction, Loaded, Renewal, Renewed, Retired, Retirement,
    TOMBSTONE_AFTER_REPEATED_CREATION, TOMBSTONE_AFTER_ROTATION,
};

/// How many expired entries one write gives back. A write adds at most one, so more than one is enough to catch up.
const SWEPT_PER_WRITE: usize = 4;

/// Below this size the table is left as it is.
const SMALL_TABLE: usize = 64;

#[derive(Default)]
pub(super) struct Store {
    entries: HashMap<SessionKey, Entry>,
    /// Every entry once, by its end. The number tells entries of one end apart.
    ends: BTreeMap<(Moment, u64), SessionKey>,
    next_number: u64,
}

struct Entry {
    end: (Moment, u64),
    content: Content,
}

enum Content {
    Session(Box<Session>),
    /// In favour of this successor, where it was retired.
    Tombstone(Option<Generation>),
}

impl Store {
    /// Gives back a few entries that have ended.
    pub(super) fn sweep(&mut self, now: Moment) {
        for _ in 0..SWEPT_PER_WRITE {
            match self.ends.first_key_value() {
                Some(((end, _), _)) if *end <= now => {}
                _ => break,
            }
            if let Some((_, key)) = self.ends.pop_first() {
                self.entries.remove(&key);
            }
        }
        // A table never shrinks by itself. Halving what is a quarter full costs a fixed share of the removals.
        let capacity = self.entries.capacity();
        if capacity > SMALL_TABLE && self.entries.len() < capacity / 4 {
            self.entries.shrink_to(capacity / 2);
        }
    }

    fn find(&self, now: Moment, key: &SessionKey) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.end.0 > now)
    }

    fn find_mut(&mut self, now: Moment, key: &SessionKey) -> Option<&mut Entry> {
        self.entries.get_mut(key).filter(|entry| entry.end.0 > now)
    }

    fn put(&mut self, key: &SessionKey, end: Moment, content: Content) {
        let end = self.number(end);
        if let Some(old) = self.entries.insert(key.clone(), Entry { end, content }) {
            self.ends.remove(&old.end);
        }
        self.ends.insert(end, key.clone());
    }

    fn set_end(&mut self, key: &SessionKey, end: Moment) {
        let end = self.number(end);
        if let Some(entry) = self.entries.get_mut(key) {
            self.ends.remove(&entry.end);
            entry.end = end;
            self.ends.insert(end, key.clone());
        }
    }

    fn number(&mut self, end: Moment) -> (Moment, u64) {
        self.next_number = self.next_number.wrapping_add(1);
        (end, self.next_number)
    }

    fn remove(&mut self, key: &SessionKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.ends.remove(&entry.end);
        }
    }

    pub(super) fn count(&self, now: Moment) -> usize {
        let live = |entry: &&Entry| entry.end.0 > now && matches!(entry.content, Content::Session(_));
        self.entries.values().filter(live).count()
    }

    pub(super) fn time_to_live(&self, now: Moment, key: &SessionKey) -> Option<Duration> {
        self.find(now, key).map(|entry| entry.end.0 - now)
    }

    pub(super) fn load(&self, now: Moment, key: &SessionKey, asker: WriterId) -> Loaded {
        match self.find(now, key) {
            None => Loaded::Absent,
            Some(Entry { content: Content::Tombstone(_), .. }) => Loaded::Tombstone,
            Some(Entry { content: Content::Session(session), end }) => {
                Loaded::Session(session.stored(end.0 - now, asker))
            }
        }
    }

    pub(super) fn check(&self, now: Moment, key: &SessionKey) -> Checked {
        match self.find(now, key) {
            Some(Entry { content: Content::Session(session), end }) => Checked::Present {
                generation: session.header.generation,
                version: session.header.version,
                remaining: end.0 - now,
            },
            _ => Checked::Missing,
        }
    }

    pub(super) fn commit(&mut self, now: Moment, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        let mut created = None;
        let (session, end) = match (self.find_mut(now, key), &commit.creation) {
            (Some(Entry { content: Content::Session(session), end }), creation) => {
                match (session.header.generation == commit.generation, creation) {
                    (true, _) => (session, end.0),
                    (false, None) => return Ok(Committed::Gone),
                    (false, Some(_)) => {
                        let why = "the key holds another session";
                        return Err(Error::new(ErrorKind::ForeignKey, Operation::Commit, why));
                    }
                }
            }
            (Some(Entry { content: Content::Tombstone(_), .. }), _) | (None, None) => return Ok(Committed::Gone),
            (None, Some(creation)) => {
                let session = created.insert(Box::new(Session::new(now, commit.generation, creation)));
                // It would have ended before it began.
                if session.end(now, Duration::MAX) <= now {
                    return Ok(Committed::Gone);
                }
                (session, now)
            }
        };
        let (found, counters, end) = match session.decide(commit) {
            Decision::Write { counters } => {
                let found = session.write(now, commit, &counters);
                (found, counters, session.end(now, commit.time_to_live))
            }
            Decision::Already { counters } => {
                session.marked |= marks(commit);
                return Ok(Committed::Already { counters, remaining: end - now });
            }
            Decision::Conflict(changes) => {
                session.refuse(now, commit);
                return Ok(Committed::Conflict(changes));
            }
            Decision::NotACounter(changes) => {
                session.refuse(now, commit);
                return Ok(Committed::NotACounter(changes));
            }
        };
        match created {
            Some(session) => self.put(key, end, Content::Session(session)),
            None => self.set_end(key, end),
        }
        Ok(Committed::Done { found, counters, remaining: end.saturating_sub(now) })
    }

    /// The session at this key, if it has this generation.
    fn session(&self, now: Moment, key: &SessionKey, generation: Generation) -> Option<&Session> {
        match &self.find(now, key)?.content {
            Content::Session(session) if session.header.generation == generation => Some(session),
            _ => None,
        }
    }

    pub(super) fn renew(&mut self, now: Moment, key: &SessionKey, renewal: &Renewal) -> Renewed {
        let Some(session) = self.session(now, key, renewal.generation) else { return Renewed::Gone };
        let end = session.end(now, renewal.time_to_live);
        self.set_end(key, end);
        Renewed::Done { remaining: end.saturating_sub(now) }
    }

    pub(super) fn destroy(&mut self, now: Moment, key: &SessionKey, destruction: &Destruction) -> Destroyed {
        let end = now + TOMBSTONE_AFTER_REPEATED_CREATION;
        let (outcome, leave_tombstone) = match self.session(now, key, destruction.generation) {
            Some(session) => (Destroyed::Done, destruction.leave_tombstone || session.marked),
            None => {
                match self.find(now, key).map(|entry| &entry.content) {
                    Some(Content::Session(_)) => return Destroyed::NothingFound,
                    Some(Content::Tombstone(_)) => {
                        // One left by a rotation might end before the creation under way arrives.
                        if destruction.leave_tombstone {
                            self.set_end(key, end);
                        }
                        return Destroyed::NothingFound;
                    }
                    None => (Destroyed::NothingFound, destruction.leave_tombstone),
                }
            }
        };
        if leave_tombstone {
            self.put(key, end, Content::Tombstone(None));
        } else {
            self.remove(key);
        }
        outcome
    }

    pub(super) fn retire(&mut self, now: Moment, key: &SessionKey, retirement: &Retirement) -> Retired {
        let Retirement { generation, version, successor } = *retirement;
        if let Some(Entry { content: Content::Tombstone(of), .. }) = self.find(now, key) {
            return if *of == Some(successor) { Retired::Done } else { Retired::Gone };
        }
        let Some(session) = self.session(now, key, generation) else { return Retired::Gone };
        if session.header.version != version {
            return Retired::Changed;
        }
        // A late copy of a creation may arrive later than requests that still carry the old id.
        let stays = if session.marked { TOMBSTONE_AFTER_REPEATED_CREATION } else { TOMBSTONE_AFTER_ROTATION };
        self.put(key, now + stays, Content::Tombstone(Some(successor)));
        Retired::Done
    }

    /// How many entries are kept, ended or not.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        assert_eq!(self.entries.len(), self.ends.len());
        self.entries.len()
    }

    /// How many entries the table has room for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.entries.capacity()
    }
}
