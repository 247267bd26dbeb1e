//! One attribute of a live session, from the bytes known to be stored to the bytes its requests see.

use bytes::Bytes;

use super::authors::{Author, Authors};
use super::counter;
use super::memo::Memo;
use super::op::{Op, Step};
use crate::error::{Error, Result};
use crate::name::AttributeName;
use crate::provider::Action;

/// A change that was taken out of the session because no repetition can help it.
pub(crate) struct Failure {
    pub(crate) author: Author,
    pub(crate) error: Error,
}

/// One attribute. The bytes in `known` are in the store; `flying` is in the batch that is on its way; `pending` comes
/// after it; `now` is what requests see, after all three.
pub(crate) struct Slot {
    name: AttributeName,
    known: Option<Bytes>,
    flying: Option<Flying>,
    pending: Option<Op>,
    authors: Authors,
    now: Option<Bytes>,
    memo: Memo,
}

/// Where the batch is, if there is one, when the session was loaded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flown {
    /// In what was loaded.
    Landed,
    /// Not there yet; the store decides what becomes of it.
    NotYet,
    /// In a copy under another id, which is to get what was loaded too: nobody else decides what becomes of it.
    ToCopy,
}

/// What the batch on its way does to the attribute.
struct Flying {
    op: Op,
    /// What it then holds, as far as this process knows.
    expected: Option<Bytes>,
    authors: Authors,
}

impl Slot {
    /// An attribute as it was loaded, or one that is not there.
    pub(crate) fn new(name: AttributeName, known: Option<Bytes>) -> Self {
        let now = known.clone();
        Self { name, known, flying: None, pending: None, authors: Authors::default(), now, memo: Memo::default() }
    }

    pub(crate) fn name(&self) -> &AttributeName {
        &self.name
    }

    /// What is known to be stored.
    pub(crate) fn known(&self) -> Option<&Bytes> {
        self.known.as_ref()
    }

    /// What requests see.
    pub(crate) fn now(&self) -> Option<&Bytes> {
        self.now.as_ref()
    }

    /// The bytes that requests see, and their decoded value.
    pub(crate) fn view(&mut self) -> (Option<&Bytes>, &mut Memo) {
        (self.now.as_ref(), &mut self.memo)
    }

    /// The bytes counted against the session's size limit.
    pub(crate) fn size(&self) -> usize {
        self.now.as_ref().map_or(0, |bytes| self.name.as_bytes().len() + bytes.len())
    }

    /// What the slot occupies in memory, roughly: a decoded value is taken to be as large as its bytes.
    pub(crate) fn memory(&self) -> usize {
        let bytes = self.now.as_ref().map_or(0, Bytes::len);
        size_of::<Self>() + self.name.as_bytes().len() + bytes * if self.memo.is_set() { 2 } else { 1 }
    }

    /// Nothing of it is stored, seen or on its way.
    pub(crate) fn is_vacant(&self) -> bool {
        self.known.is_none() && self.now.is_none() && self.flying.is_none() && self.pending.is_none()
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.flying.is_none() && self.pending.is_none()
    }

    /// A request changed it, and it now holds `now`.
    pub(crate) fn record(&mut self, op: Op, now: Option<Bytes>, author: Author) {
        self.pending = Some(match self.pending.take() {
            None => op,
            Some(earlier) => earlier.then(op),
        });
        self.authors.add(author);
        self.now = now;
        self.settle();
    }

    /// Puts what is pending on its way; `None` if there is nothing to send.
    pub(crate) fn take_off(&mut self) -> Option<Action> {
        debug_assert!(self.flying.is_none(), "one batch is on its way at a time");
        self.settle();
        let op = self.pending.take()?;
        let action = match &op {
            Op::Set => self.now.clone().map_or(Action::Remove, Action::Set),
            Op::Add(by) => Action::Increment(*by),
            Op::Modify(_) => Action::Replace { seen: self.known.clone(), value: self.now.clone() },
        };
        self.fly(op);
        Some(action)
    }

    /// Puts the whole attribute on its way to a key that holds nothing yet.
    pub(crate) fn take_off_copy(&mut self) -> Option<Bytes> {
        debug_assert!(self.flying.is_none(), "one batch is on its way at a time");
        if let Some(op) = self.pending.take() {
            self.fly(op);
        }
        self.now.clone()
    }

    fn fly(&mut self, op: Op) {
        let authors = std::mem::take(&mut self.authors);
        self.flying = Some(Flying { op, expected: self.now.clone(), authors });
    }

    /// What the attribute holds once the batch on its way has landed, as far as this process knows.
    pub(crate) fn landed(&self) -> Option<&Bytes> {
        match &self.flying {
            Some(flying) => flying.expected.as_ref(),
            None => self.known.as_ref(),
        }
    }

    /// The store acknowledged: the attribute holds `stored`.
    pub(crate) fn acknowledged(&mut self, stored: Option<Bytes>, failures: &mut Vec<Failure>) {
        // Where the flight was already found to have landed by a load, what was loaded is newer.
        let Some(flying) = self.flying.take() else { return };
        self.known = stored;
        if self.known == flying.expected {
            self.settle();
        } else {
            self.rebase(failures);
        }
    }

    /// The batch was surely not applied: what was on its way comes before what is pending.
    pub(crate) fn not_applied(&mut self) {
        let Some(flying) = self.flying.take() else { return };
        self.pending = Some(match self.pending.take() {
            None => flying.op,
            Some(later) => flying.op.then(later),
        });
        flying.authors.into_iter().for_each(|author| self.authors.add(author));
        self.settle();
    }

    /// The batch was not applied because the attribute holds other bytes than were seen.
    pub(crate) fn conflicted(&mut self, stored: Option<Bytes>, failures: &mut Vec<Failure>) {
        self.not_applied();
        self.known = stored;
        self.rebase(failures);
    }

    /// What was on its way and what is pending is given up.
    pub(crate) fn give_up(&mut self, error: &Error, failures: &mut Vec<Failure>) {
        let flying = self.flying.take().map(|flying| flying.authors).unwrap_or_default();
        self.pending = None;
        let authors = flying.into_iter().chain(std::mem::take(&mut self.authors).into_iter());
        let error = error.clone().with_attribute(self.name.as_str());
        failures.extend(authors.map(|author| Failure { author, error: error.clone() }));
        if self.now != self.known {
            self.now = self.known.clone();
            self.memo.clear();
        }
    }

    /// The session was loaded again.
    pub(crate) fn reloaded(&mut self, stored: Option<Bytes>, flown: Flown, failures: &mut Vec<Failure>) {
        if self.flying.is_none() && self.known == stored {
            return;
        }
        self.known = stored;
        if flown == Flown::Landed {
            self.flying = None;
        }
        if let Some(flying) = self.flying.as_mut().filter(|flying| !matches!(flying.op, Op::Set)) {
            let base = self.known.clone();
            match apply(&mut flying.op, base.clone(), &mut Memo::default()) {
                Ok(expected) => flying.expected = expected,
                Err(error) if flown == Flown::ToCopy => {
                    let authors = self.flying.take().map(|flying| flying.authors).unwrap_or_default();
                    self.failed(error, authors, failures);
                }
                // The store answers the same, and its authors are told then.
                Err(_) => flying.expected = base,
            }
        }
        self.rebase(failures);
    }

    /// Makes what is pending again, on what the attribute holds without it.
    fn rebase(&mut self, failures: &mut Vec<Failure>) {
        let base = self.landed().cloned();
        let again = match &mut self.pending {
            Some(Op::Set) => return self.settle(),
            None => Ok(base.clone()),
            Some(op) => {
                self.memo.clear();
                apply(op, base.clone(), &mut self.memo)
            }
        };
        match again {
            Ok(now) => {
                if self.pending.is_none() && self.now != now {
                    self.memo.clear();
                }
                self.now = now;
            }
            Err(error) => {
                self.pending = None;
                let authors = std::mem::take(&mut self.authors);
                self.failed(error, authors, failures);
                self.memo.clear();
                self.now = base;
            }
        }
        self.settle();
    }

    /// What these authors did to the attribute could not be made again.
    fn failed(&self, error: Error, authors: Authors, failures: &mut Vec<Failure>) {
        let error = error.with_attribute(self.name.as_str());
        failures.extend(authors.into_iter().map(|author| Failure { author, error: error.clone() }));
    }

    /// What leads back to the stored bytes needs not be sent. Never while a batch is on its way: the bytes it brings
    /// may still have to be undone.
    fn settle(&mut self) {
        if self.flying.is_none() && self.pending.is_some() && self.now == self.known {
            self.pending = None;
            self.authors = Authors::default();
        }
    }
}

/// What an attribute that holds `base` holds after `op`, which is not a set.
fn apply(op: &mut Op, base: Option<Bytes>, memo: &mut Memo) -> Result<Option<Bytes>> {
    match op {
        Op::Set => Ok(base),
        Op::Add(by) => counter::added(base.as_ref(), *by).map(Some),
        Op::Modify(steps) => steps.iter_mut().try_fold(base, |current, step| match step {
            Step::Add(by) => {
                memo.clear();
                counter::added(current.as_ref(), *by).map(Some)
            }
            Step::Call(rerun) => rerun(current.as_ref(), memo).map(Some),
        }),
    }
}
