//! Landing: what becomes of a batch's changes when the store has answered.

use std::time::Duration;

use bytes::Bytes;

use super::Phase;
use super::batch::{Batch, Purpose};
use super::rotation::Stage;
use super::state::State;
use crate::attribute::{Flown, Slot};
use crate::error::{Effect, Error, ErrorKind, Operation};
use crate::name::AttributeName;
use crate::provider::Action;

/// What observers are told after an acknowledgement.
#[derive(Default)]
pub(super) struct Landed {
    pub(super) created: bool,
    pub(super) written: Vec<(AttributeName, usize)>,
    pub(super) removed: Vec<AttributeName>,
    pub(super) size: usize,
}

impl Landed {
    /// The store holds this of the attribute.
    pub(super) fn add(&mut self, name: &AttributeName, stored: Option<&Bytes>) {
        match stored {
            Some(bytes) => self.written.push((name.detached(), bytes.len())),
            None => self.removed.push(name.detached()),
        }
    }
}

impl State {
    /// The batch was applied. `found`: the version before it, `None` if it had been applied earlier. Answers what there is
    /// to tell, if somebody observes.
    pub(super) fn acknowledge(
        &mut self,
        batch: &Batch,
        found: Option<u64>,
        mut counters: impl Iterator<Item = Option<Bytes>>,
        remaining: Duration,
        observed: bool,
    ) -> Option<Landed> {
        match batch.purpose {
            Purpose::Copy | Purpose::Carry => {
                self.copied(batch, remaining);
                return None;
            }
            Purpose::Create => {
                self.phase = Phase::Stored;
                self.version = 1;
            }
            Purpose::Change => match found {
                // A load that came after it has told a newer version already.
                Some(found) if self.version > found => {}
                Some(found) if self.version == found => self.version = found + 1,
                // Somebody else wrote too: the copy is incomplete.
                _ => self.stale = true,
            },
        }
        let mut landed = observed.then(|| Landed { created: batch.purpose == Purpose::Create, ..Landed::default() });
        let mut failures = std::mem::take(&mut self.failures);
        for change in &batch.commit.changes {
            let stored = match &change.action {
                Action::Set(bytes) => Some(bytes.clone()),
                Action::Remove => None,
                Action::Increment(_) => counters.next().flatten(),
                Action::Replace { value, .. } => value.clone(),
            };
            if let Some(landed) = &mut landed {
                landed.add(&change.name, stored.as_ref());
            }
            if let Some(slot) = self.slots.iter_mut().find(|slot| *slot.name() == change.name) {
                slot.acknowledged(stored, &mut failures);
            }
        }
        self.failures = failures;
        self.idle.acknowledged(batch.covers);
        self.touched.acknowledged(batch.covers);
        self.expiry.set(remaining, batch.idle_timeout);
        self.settled = batch.covers;
        self.acknowledged = batch.covers;
        self.written = batch.commit.sequence;
        self.recount();
        if let Some(landed) = &mut landed {
            landed.size = self.size;
        }
        landed
    }

    /// The batch was surely not applied: its changes are pending again.
    pub(super) fn not_applied(&mut self, batch: Batch) {
        match (batch.purpose, &mut self.rotation) {
            // What was to be carried is found again by the next retirement; the copy itself is stored.
            (Purpose::Carry, _) => return,
            (Purpose::Copy, Some(rotation)) => rotation.stage = Stage::Wanted,
            _ => {}
        }
        self.slots.iter_mut().for_each(Slot::not_applied);
        self.idle.not_applied();
        self.recount();
    }

    pub(super) fn conflicted(&mut self, batch: &Batch, found: Vec<(usize, Option<Bytes>)>, impatient: bool) {
        let mut failures = std::mem::take(&mut self.failures);
        for (index, stored) in found {
            let Some(change) = batch.commit.changes.get(index) else { continue };
            let Some(slot) = self.slots.iter_mut().find(|slot| *slot.name() == change.name) else { continue };
            // What was loaded meanwhile may be newer than the answer. If it is not, the next one tells.
            let stored = match &change.action {
                Action::Replace { seen, .. } if slot.known() != seen.as_ref() => slot.known().cloned(),
                _ => stored,
            };
            if impatient {
                let text = "other processes changed the attribute again and again; try the request again";
                slot.give_up(&Error::new(ErrorKind::Conflict, Operation::Commit, text), &mut failures);
                slot.reloaded(stored, Flown::NotYet, &mut failures);
            } else {
                slot.conflicted(stored, &mut failures);
            }
        }
        self.failures = failures;
        self.back_on_ground();
    }

    pub(super) fn not_counters(&mut self, batch: &Batch, found: Vec<(usize, Option<Bytes>)>) {
        let mut failures = std::mem::take(&mut self.failures);
        for (index, stored) in found {
            let Some(change) = batch.commit.changes.get(index) else { continue };
            let Some(slot) = self.slots.iter_mut().find(|slot| *slot.name() == change.name) else { continue };
            let text = "the stored attribute is no counter, or would leave the range of counters";
            slot.give_up(&Error::new(ErrorKind::NotACounter, Operation::Commit, text), &mut failures);
            slot.reloaded(stored, Flown::NotYet, &mut failures);
        }
        self.failures = failures;
        self.back_on_ground();
    }

    /// The batch was refused because of some attributes; the others' changes are pending again.
    fn back_on_ground(&mut self) {
        self.slots.iter_mut().for_each(Slot::not_applied);
        self.idle.not_applied();
        self.stale = true;
        self.recount();
    }

    /// A batch unanswered for so long may not be sent again: the store might have forgotten this writer.
    pub(super) fn abandon_unanswered(&mut self) {
        let Some(batch) = self.batch.take() else { return };
        let text = "the store did not answer for so long that the write may not be repeated";
        self.give_up(batch, &Error::new(ErrorKind::OutcomeUnknown, Operation::Commit, text));
        self.rotation = None;
        self.settled = self.changes;
        self.stale = self.phase == Phase::Stored;
    }

    /// The batch is not sent any more, and neither is anything else that was changed.
    pub(super) fn give_up(&mut self, batch: Batch, error: &Error) {
        let unsure = error.effect() == Effect::PerhapsApplied;
        self.stale |= unsure && batch.purpose == Purpose::Change;
        self.settled = batch.covers;
        self.give_up_all(error);
        match batch.purpose {
            Purpose::Change => {}
            Purpose::Copy | Purpose::Carry => self.rotation = None,
            // It may stand in the way of whoever has this key; another attempt takes another id.
            Purpose::Create => self.place = None,
        }
        if batch.purpose == Purpose::Carry || (unsure && batch.purpose != Purpose::Change) {
            self.leave_astray(batch.key, batch.commit.generation);
        }
        self.recount();
    }
}
