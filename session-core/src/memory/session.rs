//! One kept session, and what a commit does to it.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;

use super::clock::{Moment, millis};
use super::counter;
use crate::id::{Generation, WriterId};
use crate::name::AttributeName;
use crate::provider::{Action, Change, Commit, Creation, Deadline, Header, StoredSession, WRITER_KEPT_FOR};

pub(super) struct Session {
    pub(super) header: Header,
    /// A creation of it was sent more than once, so a late copy may still arrive.
    pub(super) marked: bool,
    attributes: HashMap<AttributeName, Bytes>,
    writers: Vec<Writer>,
}

struct Writer {
    id: WriterId,
    /// The number of its newest batch that was written.
    written: Option<u64>,
    /// That of a repeated batch which was refused since: no copy of it may be written any more.
    used_up: Option<u64>,
    wrote_at: Moment,
}

/// What a commit would do. Made before anything is written.
pub(super) enum Decision {
    Already { counters: Vec<Option<Bytes>> },
    Conflict(Vec<(usize, Option<Bytes>)>),
    NotACounter(Vec<(usize, Option<Bytes>)>),
    Write { counters: Vec<Bytes> },
}

impl Session {
    /// A session that nothing was written to yet.
    pub(super) fn new(now: Moment, generation: Generation, creation: &Creation) -> Self {
        Self {
            header: Header {
                generation,
                version: 0,
                fingerprint: creation.fingerprint,
                created: creation.created.unwrap_or_else(|| millis(now)),
                deadline: match creation.deadline {
                    Deadline::Never => None,
                    Deadline::After(time) => Some(millis(now.saturating_add(time))),
                    Deadline::At(time) => Some(time),
                },
                idle_timeout: None,
            },
            marked: false,
            attributes: HashMap::new(),
            writers: Vec::new(),
        }
    }

    /// When it ends if it shall live this long from now.
    pub(super) fn end(&self, now: Moment, time_to_live: Duration) -> Moment {
        let end = now.saturating_add(time_to_live);
        self.header.deadline.map_or(end, |deadline| end.min(Duration::from_millis(deadline)))
    }

    pub(super) fn stored(&self, remaining: Duration, asker: WriterId) -> StoredSession {
        StoredSession {
            header: self.header.clone(),
            attributes: self.attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            remaining,
            written: self.written(asker),
        }
    }

    fn writer(&self, writer: WriterId) -> Option<&Writer> {
        self.writers.iter().find(|known| known.id == writer)
    }

    fn written(&self, writer: WriterId) -> Option<u64> {
        self.writer(writer)?.written
    }

    fn used_up(&self, writer: WriterId) -> Option<u64> {
        self.writer(writer)?.used_up
    }

    pub(super) fn decide(&self, commit: &Commit) -> Decision {
        if self.written(commit.writer).is_some_and(|newest| commit.sequence <= newest) {
            let counters = commit.changes.iter().filter(|change| matches!(change.action, Action::Increment(_)));
            return Decision::Already { counters: counters.map(|change| self.present(change)).collect() };
        }
        let conflicts = self.refused(commit, |present, action| match action {
            Action::Replace { seen, .. } => present != seen.as_ref(),
            _ => false,
        });
        if !conflicts.is_empty() {
            return Decision::Conflict(conflicts);
        }
        let wrong = self.refused(commit, |present, action| match action {
            Action::Increment(delta) => counter::add(present, *delta).is_none(),
            _ => false,
        });
        if !wrong.is_empty() {
            return Decision::NotACounter(wrong);
        }
        if self.used_up(commit.writer).is_some_and(|number| commit.sequence <= number) {
            return Decision::Conflict(Vec::new());
        }
        let sum = |change: &Change| match change.action {
            Action::Increment(delta) => counter::add(self.attributes.get(&change.name), delta),
            _ => None,
        };
        Decision::Write { counters: commit.changes.iter().filter_map(sum).collect() }
    }

    fn present(&self, change: &Change) -> Option<Bytes> {
        self.attributes.get(&change.name).cloned()
    }

    /// The changes that are refused, with the present bytes of their attributes.
    fn refused(
        &self,
        commit: &Commit,
        refuse: impl Fn(Option<&Bytes>, &Action) -> bool,
    ) -> Vec<(usize, Option<Bytes>)> {
        let changes = commit.changes.iter().enumerate();
        changes
            .filter(|(_, change)| refuse(self.attributes.get(&change.name), &change.action))
            .map(|(index, change)| (index, self.present(change)))
            .collect()
    }

    /// Writes what was decided; `counters` are those of the decision. Answers the version found.
    pub(super) fn write(&mut self, now: Moment, commit: &Commit, counters: &[Bytes]) -> u64 {
        let mut counters = counters.iter();
        for Change { name, action } in &commit.changes {
            let value = match action {
                Action::Set(value) => Some(value),
                Action::Remove => None,
                Action::Increment(_) => counters.next(),
                Action::Replace { value, .. } => value.as_ref(),
            };
            match value {
                Some(value) => self.attributes.insert(name.clone(), value.clone()),
                None => self.attributes.remove(name),
            };
        }
        if let Some(idle_timeout) = commit.idle_timeout {
            self.header.idle_timeout = idle_timeout;
        }
        self.marked |= marks(commit);
        self.remember(Writer { id: commit.writer, written: Some(commit.sequence), used_up: None, wrote_at: now });
        let found = self.header.version;
        self.header.version = found.wrapping_add(1);
        found
    }

    /// The commit was refused. Its sender goes on with another number, so no earlier copy that is still on its way may
    /// be written.
    pub(super) fn refuse(&mut self, now: Moment, commit: &Commit) {
        if commit.repeated {
            let used_up = self.used_up(commit.writer).max(Some(commit.sequence));
            let written = self.written(commit.writer);
            self.remember(Writer { id: commit.writer, written, used_up, wrote_at: now });
        }
    }

    /// Puts this in the place of what is known of the writer, and forgets those who have not written for long.
    fn remember(&mut self, writer: Writer) {
        let now = writer.wrote_at;
        self.writers.retain(|other| other.id != writer.id && now.saturating_sub(other.wrote_at) <= WRITER_KEPT_FOR);
        self.writers.push(writer);
    }
}

/// Whether this commit marks the session, also when it had been applied before: a third copy may be under way.
pub(super) fn marks(commit: &Commit) -> bool {
    commit.repeated && commit.creation.is_some()
}
