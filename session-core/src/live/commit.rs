//! Writing what was changed: which step comes next, and what the store's answer means.
//!
//! One batch of a session is on its way at a time; what is changed meanwhile travels with the next. A batch that was
//! not answered is sent again unchanged before any other, so that the store recognises it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Instrument as _, field};

use super::batch::{Batch, Purpose};
use super::landing::Landed;
use super::rotation::Stage;
use super::state::State;
use super::{Live, Phase};
use crate::error::{Effect, Error, ErrorKind, Operation, Result};
use crate::id::Fingerprint;
use crate::key::SessionKey;
use crate::name::AttributeName;
use crate::observer::{Event, SizeAt};
use crate::provider::{Commit, Committed, Destroyed, Destruction, RESEND_AT_MOST, Renewal, Renewed};
use crate::retry::Schedule;
use crate::route::Route;
use crate::shared::Shared;

/// The next step of a session towards everything being stored.
enum Next {
    Nothing,
    Load,
    Send {
        key: SessionKey,
        commit: Arc<Commit>,
        enter: bool,
    },
    Retire,
    /// A batch was given up.
    Leave,
    /// Nothing up to this change is left to be sent but the expiry.
    Renew {
        covers: u64,
    },
    Destroy,
}

/// Whether a commit may go on at once.
enum Answered {
    GoOn,
    /// Other processes are changing the same attributes.
    Conflict,
}

/// How long conflicts are met by trying again.
struct Patience {
    until: Instant,
    conflicts: u32,
}

impl Patience {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// A random pause up to 0.5 ms, doubled with each conflict up to 32 ms, so that writers do not stay in step.
    async fn pause(&mut self, seed: u64) {
        use std::hash::BuildHasher;
        let longest = 500_u64 << self.conflicts.min(6);
        self.conflicts += 1;
        let random = std::hash::RandomState::new().hash_one(seed);
        tokio::time::sleep(Duration::from_micros(random % longest)).await;
    }
}

impl Shared {
    /// Writes the session's changes up to this one, with the timed retry.
    ///
    /// # Errors
    ///
    /// Whatever no repetition within the retry timeout could mend; the changes stay pending. What was refused for good
    /// is not in the answer but among the failures of the requests that made it.
    pub(crate) async fn save(&self, live: &Arc<Live>, route: &Route, upto: u64) -> Result<()> {
        let mut schedule = Schedule::new(self.settings.retry_timeout);
        loop {
            {
                let mut state = live.lock()?;
                if state.settled >= upto {
                    return Ok(());
                }
                if state.phase == Phase::Fresh && state.place.is_none() && state.slots.iter().any(|s| s.now().is_some())
                {
                    state.place = Some(route.fresh_place()?);
                }
            }
            match live.commits.join(Operation::Commit, live.operation_timeout(), self.settle(live, route)).await {
                Ok(()) => return Ok(()),
                Err(error) => schedule.pause(error).await?,
            }
        }
    }

    /// Settles every change made so far. Called for one at a time.
    pub(super) async fn settle(&self, live: &Arc<Live>, route: &Route) -> Result<()> {
        let goal = live.lock()?.changes;
        let mut patience = Patience { until: Instant::now() + live.operation_timeout(), conflicts: 0 };
        loop {
            let next = live.lock()?.next_step(self, goal)?;
            match next {
                Next::Nothing => return Ok(()),
                Next::Load => {
                    self.load(live, route).await?;
                }
                Next::Retire => self.retire(live, route).await?,
                Next::Leave => self.leave(live)?,
                Next::Renew { covers } => self.renew_touched(live, covers).await?,
                Next::Destroy => self.destroy(live, route).await?,
                Next::Send { key, commit, enter } => {
                    if enter {
                        self.enter(live)?;
                    }
                    let under_way = live.flight.start();
                    let span = tracing::debug_span!(
                        "commit",
                        session = live.shown(),
                        connection = &*live.store.name,
                        creates = commit.creation.is_some(),
                        repeated = commit.repeated,
                        changes = commit.changes.len(),
                        bytes = commit.size(),
                        outcome = field::Empty,
                    );
                    let answer = live.store.provider.commit(&key, &commit).instrument(span.clone()).await;
                    let answer = answer.map_err(|error| live.store.named(error));
                    if let Ok(outcome) = &answer {
                        span.record("outcome", field::debug(outcome));
                    }
                    let answered = span.in_scope(|| self.answered(live, route, answer, patience.is_over()))?;
                    drop(under_way);
                    if let Answered::Conflict = answered {
                        patience.pause(commit.sequence).await;
                    }
                }
            }
        }
    }

    /// A session about to be created is entered in the table, so that whoever gets its id joins it.
    fn enter(&self, live: &Arc<Live>) -> Result<()> {
        let key = {
            let state = live.lock()?;
            match &state.place {
                Some(place) => place.live_key(&live.store),
                None => return Ok(()),
            }
        };
        if self.table.contains(live) || self.table.enter(key, live) {
            return Ok(());
        }
        let error = Error::new(
            ErrorKind::ForeignKey,
            Operation::Commit,
            "the key of the new session is that of another one; correct the key callback",
        );
        let mut state = live.lock()?;
        state.batch = None;
        state.give_up_all(&live.store.named(error));
        state.settled = state.changes;
        Ok(())
    }

    /// A session whose creation was given up must not stand in the way of whoever has that key.
    fn leave(&self, live: &Arc<Live>) -> Result<()> {
        if live.lock()?.place.is_none() {
            self.table.remove(live);
        }
        Ok(())
    }

    /// Takes the store's answer to a batch.
    fn answered(
        &self,
        live: &Arc<Live>,
        route: &Route,
        answer: Result<Committed>,
        impatient: bool,
    ) -> Result<Answered> {
        let mut state = live.lock()?;
        // Destroyed or ended meanwhile: nothing of the answer matters any more.
        let Some(batch) = state.batch.take() else { return Ok(Answered::GoOn) };
        if state.has_ended() {
            if answer.is_err() {
                // The destruction leaves a tombstone for a creation that is perhaps still under way.
                state.batch = Some(batch);
            }
            return answer.map(|_| Answered::GoOn);
        }
        match answer {
            Ok(Committed::Done { found, counters, remaining }) => {
                let counters = counters.into_iter().map(Some);
                let landed = state.acknowledge(&batch, Some(found), counters, remaining, self.delivery.is_some());
                drop(state);
                self.tell(live, route, landed);
                Ok(Answered::GoOn)
            }
            Ok(Committed::Already { counters, remaining }) => {
                let counters = counters.into_iter();
                let landed = state.acknowledge(&batch, None, counters, remaining, self.delivery.is_some());
                drop(state);
                self.tell(live, route, landed);
                Ok(Answered::GoOn)
            }
            Ok(Committed::Gone) if matches!(batch.purpose, Purpose::Change | Purpose::Create) => {
                // Sent before, it may have been applied before the session went.
                state.batch = Some(batch).filter(|batch| batch.sent > 1);
                state.end();
                drop(state);
                self.table.remove(live);
                Ok(Answered::GoOn)
            }
            Ok(Committed::Gone) => {
                // The copy under the new id is gone; the session itself is not.
                state.lost_copy(batch.covers);
                Ok(Answered::GoOn)
            }
            Ok(Committed::Conflict(found)) => {
                // Without any attribute only the number was used up: nobody else is in the way.
                if !found.is_empty() {
                    self.observe(|| Event::Conflict(route.subject(state.place.as_ref()), named(&batch, &found)));
                }
                state.conflicted(&batch, found, impatient);
                Ok(Answered::Conflict)
            }
            Ok(Committed::NotACounter(found)) => {
                state.not_counters(&batch, found);
                Ok(Answered::GoOn)
            }
            Err(error) if !error.kind().is_retryable() => {
                let effect = if batch.sent > 1 { Effect::PerhapsApplied } else { error.effect() };
                state.give_up(batch, &error.with_effect(effect));
                drop(state);
                self.leave(live)?;
                Ok(Answered::GoOn)
            }
            Err(error) if error.effect() == Effect::NotApplied && batch.sent == 1 => {
                state.not_applied(batch);
                Err(error)
            }
            // Perhaps it was applied, by this sending or an earlier one: it stays as it is.
            Err(error) => {
                state.batch = Some(batch);
                Err(error.with_effect(Effect::PerhapsApplied))
            }
        }
    }

    /// Renews the expiry for requests that touched the session and changed nothing.
    async fn renew_touched(&self, live: &Arc<Live>, covers: u64) -> Result<()> {
        if self.renew(live).await? {
            let mut state = live.lock()?;
            state.touched.acknowledged(covers);
            state.settled = state.settled.max(covers);
            state.acknowledged = state.acknowledged.max(covers);
        }
        Ok(())
    }

    /// Sets the expiry of a stored session anew; `true` if the store did.
    ///
    /// # Errors
    ///
    /// Whatever the store answers. That the session is gone is no error here: it ends.
    pub(crate) async fn renew(&self, live: &Arc<Live>) -> Result<bool> {
        let (key, renewal, idle_timeout) = {
            let state = live.lock()?;
            let (Some(place), Some(generation)) = (&state.place, state.generation) else { return Ok(false) };
            let idle_timeout = state.idle.now().unwrap_or(self.settings.idle_timeout);
            let time_to_live = self.settings.time_to_live(idle_timeout);
            (place.key.clone(), Renewal { generation, time_to_live }, idle_timeout)
        };
        let span = tracing::debug_span!("renew", session = live.shown(), connection = &*live.store.name);
        let renewed = live.store.provider.renew(&key, &renewal).instrument(span).await;
        let renewed = renewed.map_err(|error| live.store.named(error))?;
        let mut state = live.lock()?;
        // Rotated or destroyed meanwhile: the answer is about something else.
        if state.generation != Some(renewal.generation) || !state.is_stored() {
            return Ok(false);
        }
        match renewed {
            Renewed::Done { remaining } => {
                state.expiry.set(remaining, idle_timeout);
                Ok(true)
            }
            // Retired by this process, perhaps; the rotation finds out.
            Renewed::Gone if state.has_copy() => Ok(false),
            Renewed::Gone => {
                state.end();
                drop(state);
                self.table.remove(live);
                Ok(false)
            }
        }
    }

    /// Destroys what a request doomed, under both keys if it was being rotated.
    async fn destroy(&self, live: &Arc<Live>, route: &Route) -> Result<()> {
        let (targets, astray) = {
            let state = live.lock()?;
            (state.destructions(), state.astray.clone())
        };
        for (key, destruction) in targets {
            let answer = live.destroy_at(&key, &destruction).await?;
            let mut state = live.lock()?;
            // What was the session is told by the id that requests came with: another process may have given it another
            // one, of which a copy that was on its way here says nothing. An earlier attempt may have found it.
            let known = state.place.as_ref().is_some_and(|place| place.key == key);
            if known && state.destroyed != Some(Destroyed::Done) {
                state.destroyed = Some(answer);
            }
        }
        for (key, generation) in astray {
            let destruction = Destruction { generation, leave_tombstone: true };
            match live.destroy_at(&key, &destruction).await {
                Err(error) if error.kind().is_retryable() => return Err(error),
                // Why it was given up, perhaps; nobody has its id.
                Err(error) => tracing::debug!(%error, "a creation that was given up could not be destroyed"),
                Ok(Destroyed::Done | Destroyed::NothingFound) => {}
            }
        }
        let mut state = live.lock()?;
        state.end();
        drop(state);
        self.table.remove(live);
        self.observe(|| Event::Destroyed(live.subject(route)));
        Ok(())
    }
}

impl Live {
    /// Has the store destroy what is under this key.
    pub(super) async fn destroy_at(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        let span = tracing::debug_span!("destroy", session = self.shown(), connection = &*self.store.name);
        let destroyed = self.store.provider.destroy(key, destruction).instrument(span).await;
        destroyed.map_err(|error| self.store.named(error).with_operation(Operation::Destroy))
    }
}

fn named(batch: &Batch, found: &[(usize, Option<bytes::Bytes>)]) -> Vec<AttributeName> {
    found.iter().filter_map(|(index, _)| Some(batch.commit.changes.get(*index)?.name.detached())).collect()
}

impl Shared {
    /// Has the observers told what was acknowledged.
    pub(super) fn tell(&self, live: &Live, route: &Route, landed: Option<Landed>) {
        let Some(Landed { created, written, removed, size }) = landed else { return };
        let subject = live.subject(route);
        if created {
            self.observe(|| Event::Created(subject.clone()));
        }
        if !written.is_empty() {
            self.observe(|| Event::Written(subject.clone(), written));
        }
        if !removed.is_empty() {
            self.observe(|| Event::Removed(subject.clone(), removed));
        }
        self.observe(|| Event::Size(subject, SizeAt::Commit, size));
    }
}

impl State {
    fn next_step(&mut self, shared: &Shared, goal: u64) -> Result<Next> {
        match self.phase {
            Phase::Doomed => return Ok(Next::Destroy),
            Phase::Ended | Phase::Loading | Phase::Oversize => {
                self.settled = self.changes;
                return Ok(Next::Nothing);
            }
            Phase::Fresh | Phase::Stored => {}
        }
        if self.batch.as_ref().is_some_and(|batch| batch.since.elapsed() > RESEND_AT_MOST) {
            self.abandon_unanswered();
            return Ok(Next::Leave);
        }
        if let Some(send) = self.send() {
            return Ok(send);
        }
        self.idle.settle();
        match &self.rotation {
            Some(rotation) if matches!(rotation.stage, Stage::Copied { .. }) => return Ok(Next::Retire),
            _ if self.settled >= goal => return Ok(Next::Nothing),
            // The copy takes creation time and deadline along, which only a load tells; and it must hold all that the
            // version says it does.
            Some(_) if self.phase == Phase::Stored && (self.created.is_none() || self.stale) => return Ok(Next::Load),
            Some(_) if self.phase == Phase::Stored => self.take_off_copy(shared)?,
            // An id that nobody has seen needs no other.
            Some(_) => self.rotation = None,
            None => {}
        }
        if self.batch.is_none() {
            match self.phase {
                Phase::Fresh => self.take_off_creation(shared)?,
                _ => self.take_off_changes(shared),
            }
        }
        match self.send() {
            Some(send) => Ok(send),
            None if self.phase == Phase::Stored && !self.touched.is_empty() => Ok(Next::Renew { covers: self.changes }),
            None => {
                self.settled = self.changes;
                Ok(Next::Nothing)
            }
        }
    }

    /// Sends the batch that there is, unchanged if it was sent before.
    fn send(&mut self) -> Option<Next> {
        let batch = self.batch.as_mut()?;
        if batch.sent > 0 {
            Arc::make_mut(&mut batch.commit).repeated = true;
        }
        batch.sent += 1;
        let enter = batch.purpose == Purpose::Create;
        Some(Next::Send { key: batch.key.clone(), commit: Arc::clone(&batch.commit), enter })
    }

    fn destructions(&self) -> Vec<(SessionKey, Destruction)> {
        let under_way = |purpose| self.batch.as_ref().is_some_and(|batch| batch.purpose == purpose);
        let mut targets = Vec::new();
        if let (Some(place), Some(generation)) = (&self.place, self.generation) {
            let leave_tombstone = under_way(Purpose::Create);
            targets.push((place.key.clone(), Destruction { generation, leave_tombstone }));
        }
        if let Some(rotation) = &self.rotation
            && let Some(generation) = rotation.successor()
        {
            let leave_tombstone = under_way(Purpose::Copy);
            targets.push((rotation.to.key.clone(), Destruction { generation, leave_tombstone }));
        }
        targets
    }

    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.place.as_ref().map(|place| place.id.fingerprint())
    }
}
