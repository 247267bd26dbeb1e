//! Making a live session as the store has it: the first load, and the validation before every later use.

use std::sync::Arc;

use tracing::{Instrument as _, Span, field};

use super::batch::Purpose;
use super::state::State;
use super::{Live, Phase};
use crate::attribute::Flown;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::id::Generation;
use crate::key::SessionKey;
use crate::observer::{Event, SizeAt};
use crate::provider::{Checked, Loaded, StoredSession};
use crate::retry::Schedule;
use crate::route::Route;
use crate::shared::Shared;

/// What became of a live session when it was validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validated {
    /// It is as the store has it.
    Ready,
    /// The store knows no such session.
    Absent,
    /// It has ended: retired in favour of another id, or destroyed by a request that is still under way.
    Ended,
    /// This copy has left the table: another one is to be made and loaded.
    Replaced,
}

/// What a loaded session is taken over for.
#[derive(Clone, Copy)]
pub(super) enum Taken {
    /// To be used. One of more than `unloadable` bytes is not, but for being cleared where it may be.
    Opened { unloadable: usize, may_clear: bool },
    /// To be carried to the copy under a new id: what has flown to that is made again on what was loaded, here and
    /// nowhere else.
    Carried,
}

/// What was known when the store was asked.
struct Asked {
    key: SessionKey,
    generation: Option<Generation>,
    version: u64,
    written: u64,
    load: bool,
}

impl Shared {
    /// Validates a live session before it is used, with the timed retry.
    ///
    /// # Errors
    ///
    /// Whatever the store answers. The live session stays as it was, for those who use it.
    pub(crate) async fn validate(&self, live: &Arc<Live>, route: &Route) -> Result<Validated> {
        let mut schedule = Schedule::new(self.settings.retry_timeout);
        loop {
            match live.checks.join(Operation::Load, live.operation_timeout(), self.check(live, route)).await {
                Ok(validated) => return Ok(validated),
                Err(error) => schedule.pause(error).await?,
            }
        }
    }

    async fn check(&self, live: &Arc<Live>, route: &Route) -> Result<Validated> {
        let asked = {
            let state = live.lock()?;
            match (state.phase, &state.place) {
                (Phase::Fresh, _) => return Ok(Validated::Ready),
                (Phase::Ended, _) | (_, None) => return Ok(Validated::Replaced),
                (Phase::Doomed, _) => None,
                (phase, Some(place)) => Some(Asked {
                    key: place.key.clone(),
                    generation: state.generation,
                    version: state.version,
                    written: state.written,
                    load: state.stale || phase != Phase::Stored,
                }),
            }
        };
        let Some(asked) = asked else { return self.repeat_destruction(live, route).await };
        if !asked.load {
            let span = tracing::trace_span!("check", session = live.shown(), connection = &*live.store.name);
            let checked = live.store.provider.check(&asked.key).instrument(span).await;
            let checked = checked.map_err(|error| live.store.named(error))?;
            let perhaps_own = {
                let mut state = live.lock()?;
                if state.agrees(&asked, checked) {
                    return Ok(Validated::Ready);
                }
                state.is_one_behind(checked)
            };
            if perhaps_own {
                // What is newer there may be the batch on its way, whose answer tells. Without it a busy session would
                // be loaded again and again for what this process has written itself.
                live.flight.is_over(live.operation_timeout()).await;
                if live.lock()?.agrees(&asked, checked) {
                    return Ok(Validated::Ready);
                }
            }
        }
        let validated = self.load(live, route).await?;
        if live.lock()?.phase == Phase::Doomed {
            // Destroyed while the store was asked: not ended before the store has acknowledged that.
            return self.repeat_destruction(live, route).await;
        }
        Ok(validated)
    }

    /// Loads the session, again if it is loaded already, with what is pending carried over.
    pub(super) async fn load(&self, live: &Arc<Live>, route: &Route) -> Result<Validated> {
        loop {
            let asked = {
                let state = live.lock()?;
                let Some(place) = &state.place else { return Ok(Validated::Ended) };
                Asked {
                    key: place.key.clone(),
                    generation: state.generation,
                    version: state.version,
                    written: state.written,
                    load: true,
                }
            };
            let (loaded, span) = live.loaded_from(&asked.key).await?;
            let applied = span.in_scope(|| self.apply(live, route, &asked, loaded))?;
            if let Some(validated) = applied {
                return Ok(validated);
            }
        }
    }

    /// Takes what was loaded into the live session; `None` if it is too old and must be loaded again.
    fn apply(&self, live: &Arc<Live>, route: &Route, asked: &Asked, loaded: Loaded) -> Result<Option<Validated>> {
        let mut state = live.lock()?;
        match state.phase {
            Phase::Doomed => return Ok(Some(Validated::Ended)),
            Phase::Ended => return Ok(Some(Validated::Replaced)),
            // Rotated meanwhile: the answer is about the old key.
            _ if state.generation != asked.generation => return Ok(Some(Validated::Ready)),
            _ => {}
        }
        let stored = match loaded {
            Loaded::Session(stored) => stored,
            // Retired by this process, perhaps: the rotation finds out, and ends the copy too if it was not. To whoever
            // comes with the old id it has ended in any case.
            Loaded::Absent if state.has_copy() => return Ok(Some(Validated::Absent)),
            Loaded::Tombstone if state.has_copy() => return Ok(Some(Validated::Ended)),
            Loaded::Absent | Loaded::Tombstone => {
                let loading = state.phase == Phase::Loading;
                state.end();
                drop(state);
                self.table.remove(live);
                let retired = loaded == Loaded::Tombstone;
                tracing::debug!(loading, retired, "the session is not in the store");
                return Ok(Some(if retired { Validated::Ended } else { Validated::Absent }));
            }
        };
        if state.place.as_ref().is_none_or(|place| place.id.fingerprint() != stored.header.fingerprint) {
            return Err(live.store.named(Error::new(
                ErrorKind::ForeignKey,
                Operation::Load,
                "the key holds the session of another id; correct the key callback",
            )));
        }
        if state.generation.is_some_and(|generation| generation != stored.header.generation) {
            state.end();
            drop(state);
            self.table.remove(live);
            return Ok(Some(Validated::Replaced));
        }
        let older = stored.header.version < state.version;
        // The version is not enough: it stays as it was if our own commit found others' changes before its own.
        let lacks_ours = state.written != asked.written && stored.written.unwrap_or_default() < state.written;
        if lacks_ours || (older && state.version != asked.version) {
            // Sent before our own last commit was acknowledged.
            return Ok(if state.stale { None } else { Some(Validated::Ready) });
        }
        let taken = Taken::Opened {
            unloadable: self.settings.unloadable_bytes(),
            may_clear: self.settings.size_handler.may_clear(),
        };
        let size = state.merge(stored, taken);
        drop(state);
        self.observe(|| Event::Size(live.subject(route), SizeAt::Load, size));
        Ok(Some(Validated::Ready))
    }

    /// Somebody destroyed the session, and the store has not acknowledged it yet.
    async fn repeat_destruction(&self, live: &Arc<Live>, route: &Route) -> Result<Validated> {
        let alone = !self.table.is_shared(live);
        live.commits.join(Operation::Destroy, live.operation_timeout(), self.settle(live, route)).await?;
        // The request that destroys it tells the client to forget the id; any other must not replace what that gets.
        Ok(if alone { Validated::Absent } else { Validated::Ended })
    }
}

impl Live {
    /// What the store holds under this key, and the span in which it was asked for.
    pub(super) async fn loaded_from(&self, key: &SessionKey) -> Result<(Loaded, Span)> {
        let span = tracing::debug_span!(
            "load",
            session = self.shown(),
            connection = &*self.store.name,
            bytes = field::Empty,
            attributes = field::Empty,
        );
        let loaded = self.store.provider.load(key, self.store.writer).instrument(span.clone()).await;
        let loaded = loaded.map_err(|error| self.store.named(error))?;
        if let Loaded::Session(stored) = &loaded
            && !span.is_disabled()
        {
            span.record("bytes", stored.size()).record("attributes", stored.attributes.len());
        }
        Ok((loaded, span))
    }
}

impl State {
    /// Whether the stored session is what this copy knows.
    fn agrees(&mut self, asked: &Asked, checked: Checked) -> bool {
        let Checked::Present { generation, version, remaining } = checked else {
            return self.phase == Phase::Stored && self.generation != asked.generation;
        };
        if self.phase != Phase::Stored || self.stale {
            return false;
        }
        if self.generation != asked.generation {
            // Rotated meanwhile: the answer is about the old key, and the new one was just acknowledged.
            return true;
        }
        if Some(generation) != self.generation {
            return false;
        }
        if version == self.version {
            self.expiry.heard(remaining);
            return true;
        }
        // Older than known: sent before our own commit, which was acknowledged meanwhile.
        asked.version <= version && version < self.version
    }

    /// Whether the store is ahead by what one batch makes, and one is on its way.
    fn is_one_behind(&self, checked: Checked) -> bool {
        let Checked::Present { generation, version, .. } = checked else { return false };
        let sent = self.batch.as_ref().is_some_and(|batch| batch.purpose == Purpose::Change);
        sent && self.generation == Some(generation) && version == self.version + 1
    }

    /// Takes over a loaded session; the answer is its size.
    pub(super) fn merge(&mut self, stored: StoredSession, taken: Taken) -> usize {
        let size = stored.size();
        let StoredSession { header, attributes, remaining, written } = stored;
        self.generation = Some(header.generation);
        self.expiry.heard(remaining);
        self.created = Some(header.created);
        self.deadline = header.deadline;
        self.version = header.version;
        self.stale = false;
        self.idle.known = header.idle_timeout;
        match taken {
            Taken::Opened { unloadable, may_clear } if size > unloadable => {
                self.outgrow(size, if may_clear { attributes } else { Vec::new() });
                return size;
            }
            _ => {}
        }
        let landed = match (&self.batch, written) {
            (Some(batch), Some(written)) => written >= batch.commit.sequence,
            _ => false,
        };
        let flown = match (taken, landed) {
            (Taken::Carried, _) => Flown::ToCopy,
            (Taken::Opened { .. }, true) => Flown::Landed,
            (Taken::Opened { .. }, false) => Flown::NotYet,
        };
        let mut failures = std::mem::take(&mut self.failures);
        if self.slots.is_empty() {
            self.slots = attributes.into_iter().map(|(name, value)| super::Slot::new(name, Some(value))).collect();
        } else {
            let mut stored: Vec<_> = attributes.into_iter().map(Some).collect();
            for slot in &mut self.slots {
                let found = stored.iter_mut().find(|entry| entry.as_ref().is_some_and(|(name, _)| name == slot.name()));
                slot.reloaded(found.and_then(Option::take).map(|(_, value)| value), flown, &mut failures);
            }
            let new = stored.into_iter().flatten().map(|(name, value)| super::Slot::new(name, Some(value)));
            self.slots.extend(new);
        }
        self.failures = failures;
        if landed {
            self.idle.flying = None;
        }
        self.phase = Phase::Stored;
        self.recount();
        size
    }
}
