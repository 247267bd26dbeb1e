//! Giving a session another id: its content is copied to the new key, then the old key becomes a tombstone.
//!
//! What was changed together with the rotation, such as a login, goes to the new key only. Until the old key is retired
//! the old id works and nobody has the new one; a copy that is never finished expires by itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tracing::Instrument as _;

use super::batch::{Batch, Purpose};
use super::check::Taken;
use super::landing::Landed;
use super::state::{State, gone};
use super::{Live, Phase};
use crate::attribute::{Author, Flown, Slot};
use crate::error::{Effect, Error, ErrorKind, Operation, Result};
use crate::id::{Generation, SessionId};
use crate::name::AttributeName;
use crate::observer::Event;
use crate::provider::{
    Action, Change, Creation, Deadline, Destroyed, Destruction, Loaded, Retired, Retirement, StoredSession,
};
use crate::route::{Place, Route};
use crate::shared::Shared;

/// How often others' changes are carried over before a rotation is given back to its caller.
const MOST_CARRIES: u32 = 16;

/// A change of id that is wanted or under way.
pub(crate) struct Rotation {
    pub(crate) to: Place,
    pub(crate) authors: Vec<Author>,
    pub(crate) stage: Stage,
}

/// How far it is.
pub(crate) enum Stage {
    Wanted,
    /// The copy is on its way, with what the old key held at version `base`.
    Copying {
        generation: Generation,
        base: u64,
    },
    /// The copy is stored, with what the old key held at version `base`; with the batch that is on its way, if there is
    /// one, also with what it held at version `found`.
    Copied {
        generation: Generation,
        version: u64,
        base: u64,
        found: u64,
        content: Vec<(AttributeName, Bytes)>,
        own_idle_timeout: Option<Duration>,
        remaining: Duration,
        idle_timeout: Duration,
        covers: u64,
        carries: u32,
    },
}

impl Rotation {
    /// The generation of the copy, if one may be stored.
    pub(crate) fn successor(&self) -> Option<Generation> {
        match &self.stage {
            Stage::Wanted => None,
            Stage::Copying { generation, .. } | Stage::Copied { generation, .. } => Some(*generation),
        }
    }
}

/// What to do about the old key.
enum Carry {
    /// Send the batch that was made, or retire again.
    GoOn,
    /// It has ended; so must the copy.
    Ended(Box<Place>, Generation),
}

impl Shared {
    /// Retires the old key, or carries over what others changed there.
    pub(super) async fn retire(&self, live: &Arc<Live>, route: &Route) -> Result<()> {
        let (old, retirement) = {
            let state = live.lock()?;
            let (Some(place), Some(generation), Some(rotation)) = (&state.place, state.generation, &state.rotation)
            else {
                return Ok(());
            };
            let Stage::Copied { generation: successor, base, .. } = rotation.stage else { return Ok(()) };
            (place.key.clone(), Retirement { generation, version: base, successor })
        };
        let named = |error: Error| live.store.named(error).with_operation(Operation::Rotate);
        let span = tracing::debug_span!("rotate", session = live.shown(), connection = &*live.store.name);
        let retired = live.store.provider.retire(&old, &retirement).instrument(span).await;
        match retired.map_err(named)? {
            Retired::Done => self.succeed(live, route),
            Retired::Changed => {
                let (loaded, _) = live.loaded_from(&old).await.map_err(named)?;
                match self.carry(live, loaded)? {
                    Carry::GoOn => Ok(()),
                    Carry::Ended(copy, generation) => self.end_with_copy(live, &copy, generation).await,
                }
            }
            Retired::Gone => {
                let copy = {
                    let state = live.lock()?;
                    state.rotation.as_ref().map(|rotation| rotation.to.clone())
                };
                match copy {
                    Some(copy) => self.end_with_copy(live, &copy, retirement.successor).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// The old key is a tombstone: the session lives under the new one.
    fn succeed(&self, live: &Arc<Live>, route: &Route) -> Result<()> {
        let to = {
            let state = live.lock()?;
            match &state.rotation {
                Some(rotation) => rotation.to.clone(),
                None => return Ok(()),
            }
        };
        // First the table, so that nobody who comes with the old id joins the session any more.
        self.table.move_to(live, to.live_key(&live.store));
        let mut state = live.lock()?;
        if state.has_ended() {
            // Destroyed meanwhile, which concerns the copy too.
            return Ok(());
        }
        let from = state.fingerprint();
        let landed = state.succeeded(self.delivery.is_some());
        drop(state);
        if let Some(from) = from {
            self.observe(|| Event::Rotated(live.subject(route), from));
        }
        self.tell(live, route, landed);
        Ok(())
    }

    fn carry(&self, live: &Arc<Live>, loaded: Loaded) -> Result<Carry> {
        let mut state = live.lock()?;
        if state.has_ended() {
            return Ok(Carry::GoOn);
        }
        let (generation, to) = match &state.rotation {
            Some(rotation) => match rotation.successor() {
                Some(generation) => (generation, rotation.to.clone()),
                None => return Ok(Carry::GoOn),
            },
            None => return Ok(Carry::GoOn),
        };
        let Loaded::Session(stored) = loaded else { return Ok(Carry::Ended(Box::new(to), generation)) };
        if state.generation != Some(stored.header.generation) {
            return Ok(Carry::Ended(Box::new(to), generation));
        }
        state.carry(self, stored)?;
        Ok(Carry::GoOn)
    }

    /// Somebody destroyed the session while its id was being changed: the copy must not survive it.
    async fn end_with_copy(&self, live: &Arc<Live>, copy: &Place, generation: Generation) -> Result<()> {
        let destruction = Destruction { generation, leave_tombstone: false };
        let destroyed = live.destroy_at(&copy.key, &destruction).await;
        let (Destroyed::Done | Destroyed::NothingFound) =
            destroyed.map_err(|error| error.with_operation(Operation::Rotate))?;
        let mut state = live.lock()?;
        if state.phase == Phase::Doomed {
            // By a request of this process as well, which the next step tells what was found.
            return Ok(());
        }
        state.end();
        drop(state);
        self.table.remove(live);
        Ok(())
    }
}

impl State {
    /// A request wants another id, and one is on its way: it is as new to this request as another one would be. The answer
    /// is the number of that change, and the id.
    pub(crate) fn join_rotation(&mut self, author: Author) -> Option<(u64, SessionId)> {
        let rotation = self.rotation.as_mut()?;
        rotation.authors.push(author);
        let id = rotation.to.id;
        Some((self.changed(), id))
    }

    /// A request wants another id, and none is on its way. The answer is the number of that change, and the id.
    pub(crate) fn want_rotation(&mut self, to: Place, author: Author) -> (u64, SessionId) {
        let id = to.id;
        self.rotation = Some(Rotation { to, authors: vec![author], stage: Stage::Wanted });
        (self.changed(), id)
    }

    /// Whether a copy under a new id may be stored, and the old key retired by this process.
    pub(crate) fn has_copy(&self) -> bool {
        self.rotation.as_ref().is_some_and(|rotation| rotation.successor().is_some())
    }

    pub(super) fn take_off_copy(&mut self, shared: &Shared) -> Result<()> {
        let generation = Generation::generate()?;
        let Some(to) = self.rotation.as_ref().map(|rotation| rotation.to.clone()) else { return Ok(()) };
        let creation = Creation {
            fingerprint: to.id.fingerprint(),
            created: self.created,
            deadline: self.deadline.map_or(Deadline::Never, Deadline::At),
        };
        let changes = self.copy_of_all();
        // The copy needs it whether it is new or not.
        self.idle.take_off();
        let idle_timeout = self.idle.now().map(Some);
        let base = self.version;
        if let Some(rotation) = &mut self.rotation {
            rotation.stage = Stage::Copying { generation, base };
        }
        self.take_off(shared, to.key, Purpose::Copy, generation, Some(creation), changes, idle_timeout);
        Ok(())
    }

    /// The copy, or what was carried to it, is stored.
    pub(super) fn copied(&mut self, batch: &Batch, remaining_now: Duration) {
        let Some(rotation) = &mut self.rotation else { return };
        match &mut rotation.stage {
            Stage::Copying { generation, base } => {
                let content = batch.commit.changes.iter().filter_map(|change| match &change.action {
                    Action::Set(bytes) => Some((change.name.clone(), bytes.clone())),
                    _ => None,
                });
                rotation.stage = Stage::Copied {
                    generation: *generation,
                    version: 1,
                    base: *base,
                    found: *base,
                    content: content.collect(),
                    own_idle_timeout: batch.commit.idle_timeout.flatten(),
                    remaining: remaining_now,
                    idle_timeout: batch.idle_timeout,
                    covers: batch.covers,
                    carries: 0,
                };
            }
            Stage::Copied { version, base, found, content, own_idle_timeout, remaining, .. } => {
                *version += 1;
                *base = *found;
                *own_idle_timeout = batch.commit.idle_timeout.unwrap_or(*own_idle_timeout);
                *remaining = remaining_now;
                for change in &batch.commit.changes {
                    content.retain(|(name, _)| *name != change.name);
                    if let Action::Set(bytes) = &change.action {
                        content.push((change.name.clone(), bytes.clone()));
                    }
                }
            }
            Stage::Wanted => {}
        }
    }

    /// Takes over what others changed under the old key, and puts on its way what the copy lacks of it.
    fn carry(&mut self, shared: &Shared, stored: StoredSession) -> Result<()> {
        let version = stored.header.version;
        self.merge(stored, Taken::Carried);
        let idle = (self.idle.known, self.idle.flying.is_none());
        let Some(rotation) = &mut self.rotation else { return Ok(()) };
        let to = rotation.to.key.clone();
        let Stage::Copied { generation, base, found, content, own_idle_timeout, carries, .. } = &mut rotation.stage
        else {
            return Ok(());
        };
        *carries += 1;
        if *carries > MOST_CARRIES {
            *carries = 0;
            let text = "other processes changed the session again and again; try the request again";
            // The next commit goes on with it.
            return Err(Error::new(ErrorKind::Conflict, Operation::Rotate, text).with_effect(Effect::PerhapsApplied));
        }
        let generation = *generation;
        let idle_change = (idle.0 != *own_idle_timeout && idle.1).then_some(idle.0);
        let mut changes = Vec::new();
        for slot in &self.slots {
            let copy = content.iter().find(|(name, _)| name == slot.name()).map(|(_, bytes)| bytes);
            let action = match (slot.landed(), copy) {
                (Some(bytes), copy) if copy != Some(bytes) => Action::Set(bytes.clone()),
                (None, Some(_)) => Action::Remove,
                _ => continue,
            };
            changes.push(Change { name: slot.name().clone(), action });
        }
        let dropped = content.iter().filter(|(name, _)| self.slots.iter().all(|slot| slot.name() != name));
        changes.extend(dropped.map(|(name, _)| Change { name: name.clone(), action: Action::Remove }));
        *found = version;
        if changes.is_empty() && idle_change.is_none() {
            *base = version;
        } else {
            self.take_off(shared, to, Purpose::Carry, generation, None, changes, idle_change);
        }
        Ok(())
    }

    /// The old key is a tombstone. Answers what was changed together with the id, if somebody observes.
    fn succeeded(&mut self, observed: bool) -> Option<Landed> {
        let Rotation { to, stage, .. } = self.rotation.take()?;
        let Stage::Copied { generation, version, content, remaining, idle_timeout, covers, .. } = stage else {
            return None;
        };
        let mut landed = observed.then(Landed::default);
        self.place = Some(to);
        self.generation = Some(generation);
        self.version = version;
        self.stale = false;
        let mut failures = std::mem::take(&mut self.failures);
        let mut content: Vec<_> = content.into_iter().map(Some).collect();
        for slot in &mut self.slots {
            let copy = content.iter_mut().find(|copy| copy.as_ref().is_some_and(|(name, _)| name == slot.name()));
            let bytes = copy.and_then(Option::take).map(|(_, bytes)| bytes);
            if let Some(landed) = landed.as_mut().filter(|_| slot.known() != bytes.as_ref()) {
                landed.add(slot.name(), bytes.as_ref());
            }
            slot.acknowledged(bytes.clone(), &mut failures);
            slot.reloaded(bytes, Flown::Landed, &mut failures);
        }
        self.slots.extend(content.into_iter().flatten().map(|(name, bytes)| Slot::new(name, Some(bytes))));
        self.failures = failures;
        self.idle.acknowledged(covers);
        self.touched.acknowledged(covers);
        self.expiry.set(remaining, idle_timeout);
        self.settled = self.settled.max(covers);
        self.acknowledged = self.acknowledged.max(covers);
        self.written = 0;
        self.recount();
        if let Some(landed) = &mut landed {
            landed.size = self.size;
        }
        landed
    }

    /// The copy under the new id is not there any more; the session itself still is.
    pub(super) fn lost_copy(&mut self, covers: u64) {
        self.give_up_all(&gone(Operation::Rotate));
        self.rotation = None;
        self.settled = covers;
        self.recount();
    }
}
