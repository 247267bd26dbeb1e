//! What a live session knows of itself, and the steps on it that need no store.

use std::time::Duration;

use bytes::Bytes;

use super::batch::Batch;
use super::expiry::Expiry;
use super::rotation::Rotation;
use crate::attribute::{Author, Failure, Op, Slot};
use crate::error::{Effect, Error, ErrorKind, Operation, Result};
use crate::id::{Generation, WriterId};
use crate::key::SessionKey;
use crate::name::AttributeName;
use crate::provider::Destroyed;
use crate::route::Place;

/// How many creations that were given up a destruction reaches. Each took a failure that repetition does not help, so
/// there are hardly ever two.
const MOST_ASTRAY: usize = 16;

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Known by its id alone; nothing has been read yet.
    Loading,
    /// Not in the store; created when something is written.
    Fresh,
    /// In the store.
    Stored,
    /// In the store and too large to be loaded; it can only be destroyed, or cleared by the size handler.
    Oversize,
    /// Destroyed by a request, which the store has not acknowledged yet.
    Doomed,
    /// Not in the store any more.
    Ended,
}

/// The state of a live session.
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// Its id and key; a fresh session gets them when it is created.
    pub(crate) place: Option<Place>,
    /// Who writes its batches.
    pub(crate) writer: WriterId,
    pub(crate) generation: Option<Generation>,
    /// The version up to which the known bytes are complete.
    pub(crate) version: u64,
    /// The store has changes that are not here: to be loaded before the next use.
    pub(crate) stale: bool,
    /// When it was created, by the store's clock; unknown until it was loaded once.
    pub(crate) created: Option<u64>,
    pub(crate) deadline: Option<u64>,
    pub(crate) idle: IdleTimeout,
    pub(crate) expiry: Expiry,
    pub(crate) slots: Vec<Slot>,
    /// The bytes of names and values as requests see them.
    pub(crate) size: usize,
    /// The batch on its way, or unanswered: it is sent again unchanged before any other.
    pub(crate) batch: Option<Batch>,
    pub(crate) rotation: Option<Rotation>,
    /// Under these keys, with these generations, a creation or a copy that was given up may be stored, now or later.
    pub(crate) astray: Vec<(SessionKey, Generation)>,
    /// Requests that want the expiry renewed whether it is due or not, until that is acknowledged.
    pub(crate) touched: Wanted,
    /// How many changes were made, how many of them are settled: acknowledged, or failed for good; and up to which one
    /// the store has acknowledged them.
    pub(crate) changes: u64,
    pub(crate) settled: u64,
    pub(crate) acknowledged: u64,
    /// The number of this process's newest batch that was acknowledged under the present key.
    pub(crate) written: u64,
    pub(crate) failures: Vec<Failure>,
    /// What became of a destruction.
    pub(crate) destroyed: Option<Destroyed>,
}

/// Requests that want something written which is no attribute, each with the number of its change.
#[derive(Default)]
pub(crate) struct Wanted(Vec<(Author, u64)>);

impl Wanted {
    pub(crate) fn add(&mut self, author: Author, change: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == author) {
            Some(entry) => entry.1 = change,
            None => self.0.push((author, change)),
        }
    }

    /// What was wanted up to this change was acknowledged.
    pub(crate) fn acknowledged(&mut self, covers: u64) {
        self.0.retain(|(_, change)| *change > covers);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self) -> impl Iterator<Item = Author> + use<> {
        std::mem::take(&mut self.0).into_iter().map(|(author, _)| author)
    }
}

/// The session's own idle timeout, tracked as attributes are.
#[derive(Default)]
pub(crate) struct IdleTimeout {
    pub(crate) known: Option<Duration>,
    pub(crate) flying: Option<Option<Duration>>,
    pub(crate) pending: Option<Option<Duration>>,
    pub(crate) authors: Wanted,
}

impl IdleTimeout {
    pub(crate) fn now(&self) -> Option<Duration> {
        self.pending.or(self.flying).unwrap_or(self.known)
    }

    pub(crate) fn take_off(&mut self) -> Option<Option<Duration>> {
        self.settle();
        self.flying = self.pending.take();
        self.flying
    }

    /// What is stored already needs not be sent.
    pub(crate) fn settle(&mut self) {
        if self.flying.is_none() && self.pending.is_none_or(|wanted| wanted == self.known) {
            self.pending = None;
            self.authors = Wanted::default();
        }
    }

    pub(crate) fn acknowledged(&mut self, covers: u64) {
        if let Some(stored) = self.flying.take() {
            self.known = stored;
        }
        self.authors.acknowledged(covers);
    }

    pub(crate) fn not_applied(&mut self) {
        let flown = self.flying.take();
        self.pending = self.pending.take().or(flown);
    }
}

impl State {
    pub(crate) fn new(phase: Phase, place: Option<Place>, writer: WriterId) -> Self {
        Self {
            phase,
            place,
            writer,
            generation: None,
            version: 0,
            stale: false,
            created: None,
            deadline: None,
            idle: IdleTimeout::default(),
            expiry: Expiry::default(),
            slots: Vec::new(),
            size: 0,
            batch: None,
            rotation: None,
            astray: Vec::new(),
            touched: Wanted::default(),
            changes: 0,
            settled: 0,
            acknowledged: 0,
            written: 0,
            failures: Vec::new(),
            destroyed: None,
        }
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.phase == Phase::Stored
    }

    /// A request destroyed it, or the store has it no more.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Doomed | Phase::Ended)
    }

    /// Whether its attributes can be read; one that has ended reads as empty.
    pub(crate) fn check_readable(&self) -> Result<()> {
        match self.phase {
            Phase::Oversize => Err(oversize(Operation::Read)),
            _ => Ok(()),
        }
    }

    /// Whether its attributes can be changed.
    pub(crate) fn check_writable(&self) -> Result<()> {
        match self.phase {
            Phase::Fresh | Phase::Stored | Phase::Loading => Ok(()),
            Phase::Oversize => Err(oversize(Operation::Change)),
            Phase::Doomed | Phase::Ended => Err(gone(Operation::Change)),
        }
    }

    /// The slot of this name, if there is one. Some twenty slots are scanned faster than hashed.
    pub(crate) fn find(&mut self, name: &str) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.name().as_bytes() == name.as_bytes())
    }

    /// The index of the slot of this name, made if there is none.
    pub(crate) fn slot_index(&mut self, name: &str) -> Result<usize> {
        if let Some(index) = self.slots.iter().position(|slot| slot.name().as_bytes() == name.as_bytes()) {
            return Ok(index);
        }
        self.slots.push(Slot::new(AttributeName::new(name)?, None));
        Ok(self.slots.len() - 1)
    }

    /// Records a change of the attribute by a request.
    pub(crate) fn record(&mut self, index: usize, op: Op, now: Option<Bytes>, author: Author) -> u64 {
        let slot = &mut self.slots[index];
        self.size -= slot.size();
        slot.record(op, now, author);
        self.size += slot.size();
        self.changed()
    }

    /// Removes every attribute but this one for a request; the answer is the number of the last change, if there is one.
    pub(crate) fn clear(&mut self, except: Option<usize>, author: Author) -> Option<u64> {
        let mut last = None;
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if Some(index) != except && (slot.now().is_some() || !slot.is_clean()) {
                slot.view().1.clear();
                last = Some(self.record(index, Op::Set, None, author));
            }
        }
        last
    }

    /// Removes every attribute of a stored session for a request, also if there are too many to be read.
    pub(crate) fn clear_stored(&mut self, author: Author) -> Option<u64> {
        let cleared = self.clear(None, author)?;
        if self.phase == Phase::Oversize {
            self.phase = Phase::Stored;
            // A batch that is still on its way may write what was given up here.
            self.stale |= self.batch.is_some();
        }
        Some(cleared)
    }

    /// Counts a change; the answer is its number.
    pub(crate) fn changed(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    /// Takes stock after slots were changed in bulk.
    pub(crate) fn recount(&mut self) {
        self.slots.retain(|slot| !slot.is_vacant());
        self.size = self.slots.iter().map(Slot::size).sum();
    }

    /// A request destroys the session; everybody sees it at once.
    pub(crate) fn doom(&mut self, author: Author) -> u64 {
        self.give_up_all(&self.gone());
        self.failures.retain(|failure| failure.author != author);
        self.phase = Phase::Doomed;
        self.slots = Vec::new();
        self.size = 0;
        self.changed()
    }

    /// The stored session is too large to be loaded. What was not acknowledged yet cannot be added to it. Its attributes
    /// are only here to be cleared.
    pub(super) fn outgrow(&mut self, size: usize, attributes: Vec<(AttributeName, Bytes)>) {
        let unsure = self.is_unanswered();
        let effect = if unsure { Effect::PerhapsApplied } else { Effect::NotApplied };
        self.give_up_all(&oversize(Operation::Commit).with_effect(effect));
        self.phase = Phase::Oversize;
        self.slots = attributes.into_iter().map(|(name, value)| Slot::new(name, Some(value))).collect();
        self.size = size;
    }

    /// What the authors of changes are told that it does not take any more. Where a batch is unanswered, or a copy
    /// under another id stored, they may have been made before it ended, and be seen by who holds it under another id.
    fn gone(&self) -> Error {
        let unsure = self.is_unanswered();
        gone(Operation::Commit).with_effect(if unsure { Effect::PerhapsApplied } else { Effect::NotApplied })
    }

    /// The store has no such session any more: requests that wanted something written are told.
    pub(crate) fn end(&mut self) {
        if self.phase == Phase::Ended {
            return;
        }
        self.give_up_all(&self.gone());
        self.phase = Phase::Ended;
        self.batch = None;
        self.rotation = None;
        self.slots = Vec::new();
        self.size = 0;
        self.settled = self.changes;
    }

    /// A creation that may be under way is not waited for any more. Nobody has its id; a destruction reaches it all the
    /// same, so that a logout leaves nothing behind.
    pub(super) fn leave_astray(&mut self, key: SessionKey, generation: Generation) {
        if self.astray.len() == MOST_ASTRAY {
            self.astray.remove(0);
        }
        self.astray.push((key, generation));
    }

    /// Gives up every change that is not acknowledged, and tells their authors. A change of id of which nothing can be
    /// stored is none any more; where a copy may be, it remains to be seen to.
    pub(crate) fn give_up_all(&mut self, error: &Error) {
        let mut failures = std::mem::take(&mut self.failures);
        for slot in &mut self.slots {
            slot.give_up(error, &mut failures);
        }
        let mut others: Vec<Author> = self.touched.take().chain(self.idle.authors.take()).collect();
        others.extend(self.rotation.iter_mut().flat_map(|rotation| rotation.authors.drain(..)));
        if !self.has_copy() {
            // Made later all the same, it would take the session from everybody: nobody would be told the new id.
            self.rotation = None;
        }
        failures.extend(others.into_iter().map(|author| Failure { author, error: error.clone() }));
        self.failures = failures;
        self.idle.flying = None;
        self.idle.pending = None;
    }

    /// Whether something that was sent may have been applied, though nobody answered.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.batch.is_some() || self.has_copy()
    }

    /// The names of the attributes that are not stored as requests see them, as text; of many, the first.
    pub(crate) fn unsaved_names(&self) -> String {
        const MOST: usize = 10;
        let mut unsaved = self.slots.iter().filter(|slot| !slot.is_clean()).map(|slot| slot.name().as_str());
        let names: Vec<_> = unsaved.by_ref().take(MOST).collect();
        let more = unsaved.count();
        if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
    }

    /// Everything is stored, and nothing is on its way.
    pub(crate) fn is_clean(&self) -> bool {
        self.batch.is_none()
            && self.rotation.is_none()
            && self.idle.flying.is_none()
            && self.idle.pending.is_none()
            && self.slots.iter().all(Slot::is_clean)
    }

    /// How long it is worth keeping when nobody holds it, and the memory that takes.
    pub(crate) fn keep(&self, keep_for: Duration) -> Option<(Duration, usize)> {
        let memory = size_of::<super::Live>() + self.slots.iter().map(Slot::memory).sum::<usize>();
        match self.phase {
            Phase::Stored if self.is_clean() && !keep_for.is_zero() => Some((keep_for, memory)),
            // Until it expires by itself, so that the next to open it destroys it.
            Phase::Doomed => Some((self.expiry.remaining()?, memory)),
            _ => None,
        }
    }

    /// The failures of this request's changes; they are told once.
    pub(crate) fn take_failures(&mut self, author: Author) -> Option<Error> {
        let mut first = None;
        self.failures.retain(|failure| {
            if failure.author != author {
                return true;
            }
            first.get_or_insert_with(|| failure.error.clone());
            false
        });
        first
    }
}

pub(crate) fn gone(operation: Operation) -> Error {
    Error::new(ErrorKind::Gone, operation, "it was destroyed or has expired; start a new one")
}

fn oversize(operation: Operation) -> Error {
    let text =
        "the stored session has more than ten times max_session_bytes; destroy it, or have a size handler clear it";
    Error::new(ErrorKind::TooLarge, operation, text)
}
