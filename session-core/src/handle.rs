//! One request's part in a session: what it changed, what it is owed, and what its client is told.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle as Runtime;

use crate::attribute::Author;
use crate::error::{Effect, Error, ErrorKind, Operation, Result};
use crate::id::{Fingerprint, SessionId};
use crate::live::{Live, Phase};
use crate::mode::ConcurrencyMode;
use crate::on_drop::OnDrop;
use crate::provider::Destroyed;
use crate::route::Route;
use crate::session::{ClientId, Closed};
use crate::shared::{Held, Shared};

/// A request's part in a session.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) route: Route,
    pub(crate) author: Author,
    mode: ConcurrencyMode,
    part: Mutex<Part>,
}

struct Part {
    held: Held,
    /// A session that this request destroyed, until the store has acknowledged it.
    doomed: Option<(Held, u64)>,
    /// The number of this request's last change to the live session; 0 if there is none.
    last_change: u64,
    /// That of its first change that no commit was acknowledged for; 0 if there is none.
    first_unsaved: u64,
    /// The client has to be told the id, once there is one.
    announce: bool,
    /// The id that the client has, as far as this request knows.
    own: Option<SessionId>,
    /// The id that this request's rotation gives.
    awaited: Option<SessionId>,
    /// The client has to forget its id.
    forget: bool,
    destroyed: Option<Destroyed>,
    is_new: bool,
    /// The response head was sent.
    closed: bool,
    /// A final commit failed: what is not stored is not sent any more for this request.
    given_up: bool,
    /// It was the last holder then, and the live copy is gone though the session may not be.
    let_go: bool,
    /// Why the session could not be read.
    degraded: Option<Error>,
    /// How many of the changes made to it all the same were reported as lost.
    lost: u64,
    last_error: Option<Error>,
}

impl Part {
    fn changed(&mut self, change: u64) {
        // Clones may come here in another order than they made their changes.
        self.last_change = self.last_change.max(change);
        self.first_unsaved = if self.first_unsaved == 0 { change } else { self.first_unsaved.min(change) };
    }
}

impl Handle {
    /// A request that found its session.
    pub(crate) fn found(shared: &Arc<Shared>, route: Route, held: Held, id: SessionId) -> Self {
        let handle = Self::with(shared, route, held, false, false, None);
        handle.part().own = Some(id);
        handle
    }

    /// A request that has none yet.
    pub(crate) fn fresh(shared: &Arc<Shared>, route: Route) -> Self {
        let live = Live::fresh(Arc::clone(&route.store));
        let held = Held::new(shared, Arc::new(live));
        Self::with(shared, route, held, true, true, None)
    }

    /// A request whose session has ended.
    pub(crate) fn ended(shared: &Arc<Shared>, route: Route) -> Self {
        let live = Live::ended(Arc::clone(&route.store));
        let held = Held::new(shared, Arc::new(live));
        Self::with(shared, route, held, false, false, None)
    }

    /// A request whose session could not be read and which goes on all the same.
    pub(crate) fn degraded(shared: &Arc<Shared>, route: Route, error: Error) -> Self {
        let live = Live::fresh(Arc::clone(&route.store));
        let held = Held::new(shared, Arc::new(live));
        Self::with(shared, route, held, false, false, Some(error))
    }

    fn with(
        shared: &Arc<Shared>,
        route: Route,
        held: Held,
        announce: bool,
        is_new: bool,
        degraded: Option<Error>,
    ) -> Self {
        let part = Part {
            held,
            doomed: None,
            last_change: 0,
            first_unsaved: 0,
            announce,
            own: None,
            awaited: None,
            forget: false,
            destroyed: None,
            is_new,
            closed: false,
            given_up: false,
            let_go: false,
            lost: 0,
            last_error: degraded.clone(),
            degraded,
        };
        let author = shared.next_author();
        Self { shared: Arc::clone(shared), route, author, mode: ConcurrencyMode::Merge, part: Mutex::new(part) }
    }

    /// The same in this mode.
    pub(crate) fn in_mode(mut self, mode: ConcurrencyMode) -> Self {
        self.mode = mode;
        self
    }

    /// The live session as it stands for this request.
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.part().held.live)
    }

    /// Whether this request may do that to its session.
    pub(crate) fn check_mode(&self, operation: Operation) -> Result<()> {
        match self.mode {
            ConcurrencyMode::Merge => Ok(()),
            ConcurrencyMode::ReadOnly => {
                let text = "change the session in a request whose concurrency mode is to merge";
                Err(Error::new(ErrorKind::ReadOnly, operation, text))
            }
        }
    }

    /// The live session, to be changed by this request.
    ///
    /// # Errors
    ///
    /// `ReadOnly` if it may not.
    pub(crate) fn live_to_change(&self) -> Result<Arc<Live>> {
        self.check_mode(Operation::Change)?;
        Ok(self.live())
    }

    /// The live session, for this request to put something into it.
    ///
    /// # Errors
    ///
    /// `ReadOnly` if it may not, and `TooLate` if that would create a session whose id cannot reach the client any more.
    pub(crate) fn live_to_fill(&self) -> Result<Arc<Live>> {
        self.check_mode(Operation::Change)?;
        let (live, closed) = {
            let part = self.part();
            // What nobody will ever see under any id may be written at any time.
            (Arc::clone(&part.held.live), part.closed && part.degraded.is_none())
        };
        if closed && live.lock()?.phase == Phase::Fresh {
            return Err(too_late());
        }
        Ok(live)
    }

    /// Remembers the request's last change.
    pub(crate) fn changed(&self, change: u64) {
        self.part().changed(change);
    }

    pub(crate) fn rotate(&self) -> Result<()> {
        self.check_mode(Operation::Rotate)?;
        if self.part().closed {
            return Err(too_late().with_operation(Operation::Rotate));
        }
        let live = self.live();
        let mut state = live.lock()?;
        state.check_writable().map_err(|error| error.with_operation(Operation::Rotate))?;
        if state.phase == Phase::Fresh && state.batch.is_none() {
            // The id that it gets has never been seen.
            return Ok(());
        }
        let (change, awaited) = match state.join_rotation(self.author) {
            Some(joined) => joined,
            None => state.want_rotation(self.route.fresh_place()?, self.author),
        };
        drop(state);
        let mut part = self.part();
        part.changed(change);
        part.announce = true;
        part.awaited = Some(awaited);
        Ok(())
    }

    pub(crate) fn destroy(&self) -> Result<()> {
        self.check_mode(Operation::Destroy)?;
        {
            let part = self.part();
            if let Some(error) = &part.degraded {
                let text = "the session could not be read, so it cannot be destroyed; try again";
                return Err(Error::new(error.kind(), Operation::Destroy, text).with_effect(Effect::NotApplied));
            }
            if part.let_go {
                let text = "the request's last commit failed, and it has let go of the session; open it again";
                return Err(Error::new(ErrorKind::Unavailable, Operation::Destroy, text));
            }
        }
        let live = self.live();
        let doomed = {
            let mut state = live.lock()?;
            match state.phase {
                // It has ended in favour of another id, which this request does not know.
                Phase::Ended => return Ok(()),
                // Another request of this process is at it.
                Phase::Doomed => Some(state.changed()),
                Phase::Fresh if state.batch.is_none() && state.astray.is_empty() => {
                    state.end();
                    None
                }
                _ => Some(state.doom(self.author)),
            }
        };
        let fresh = Held::new(&self.shared, Arc::new(Live::fresh(Arc::clone(&self.route.store))));
        let mut part = self.part();
        let old = mem::replace(&mut part.held, fresh);
        part.last_change = 0;
        part.first_unsaved = 0;
        part.announce = true;
        part.forget = true;
        part.is_new = true;
        let replaced = match doomed {
            Some(change) => part.doomed.replace((old, change)).map(|(held, _)| held),
            None => Some(old),
        };
        drop(part);
        drop(replaced);
        Ok(())
    }

    /// Writes what this request changed.
    pub(crate) async fn commit(&self) -> Result<()> {
        let result = self.commit_all().await.map_err(|error| {
            // The session is still held, so what is pending will be sent again; never what a degraded one was given.
            if error.kind().is_retryable() && !self.is_degraded() {
                error.with_effect(Effect::PerhapsApplied)
            } else {
                error
            }
        });
        self.conclude(result)
    }

    /// The last commit before the response head.
    pub(crate) async fn close(&self) -> Closed {
        let mut result = self.commit_all().await;
        if let Err(error) = result {
            result = Err(self.give_up(error));
        }
        let failed = result.is_err();
        let client = match failed {
            _ if self.part().degraded.is_some() => ClientId::Keep,
            false => self.client_id(),
            true => self.awaited_id(),
        };
        let destroyed = {
            let mut part = self.part();
            part.closed = true;
            part.announce = false;
            part.forget = false;
            part.given_up = failed;
            part.destroyed
        };
        Closed { result: self.conclude(result), client, destroyed }
    }

    async fn commit_all(&self) -> Result<()> {
        let (degraded, doomed, begun) = {
            let part = self.part();
            let doomed = part.doomed.as_ref().map(|(held, change)| (Arc::clone(&held.live), *change));
            (part.degraded.clone(), doomed, (Arc::clone(&part.held.live), part.last_change))
        };
        if let Some(error) = degraded {
            return self.lost_while_degraded(error).map_or(Ok(()), Err);
        }
        if let Some((live, change)) = doomed {
            self.shared.save(&live, &self.route, change).await?;
            let destroyed = live.lock()?.destroyed;
            let done = {
                let mut part = self.part();
                part.destroyed = destroyed;
                part.doomed.take()
            };
            drop(done);
        }
        let (live, last_change) = {
            let part = self.part();
            (Arc::clone(&part.held.live), part.last_change)
        };
        if last_change > 0 {
            self.shared.save(&live, &self.route, last_change).await?;
        }
        let failure = live.lock()?.take_failures(self.author);
        if let Some(error) = failure {
            return Err(live.store.named(error));
        }
        // A clone may have gone on changing it, or destroyed it, since this commit began.
        let mut part = self.part();
        let (live, last_change) = begun;
        if Arc::ptr_eq(&live, &part.held.live) {
            part.first_unsaved = if part.last_change > last_change { last_change + 1 } else { 0 };
        }
        Ok(())
    }

    /// A final commit failed: if nobody else holds the session, what is pending is dropped with it.
    fn give_up(&self, error: Error) -> Error {
        if !error.kind().is_retryable() || self.is_degraded() {
            return error;
        }
        let live = self.live();
        if self.part().doomed.is_some() || live.lock().is_ok_and(|state| state.phase == Phase::Doomed) {
            // Whichever request destroyed it: it stays marked, and the next to open it repeats the destruction.
            return error.with_effect(Effect::PerhapsApplied);
        }
        if !self.shared.table.detach_if_last(&live) {
            return error.with_effect(Effect::PerhapsApplied);
        }
        self.part().let_go = true;
        match live.lock() {
            Ok(mut state) => {
                let unanswered = state.is_unanswered();
                state.end();
                error.with_effect(if unanswered { Effect::PerhapsApplied } else { Effect::NotApplied })
            }
            Err(_) => error.with_effect(Effect::PerhapsApplied),
        }
    }

    /// What the client is told after a successful commit.
    fn client_id(&self) -> ClientId {
        let (live, announce, forget, last_change, own) = {
            let part = self.part();
            (Arc::clone(&part.held.live), part.announce, part.forget, part.last_change, part.own)
        };
        let id = stored_id(&live);
        let renewed = id.is_some() && !announce && !forget && self.shared.renew_if_due(&live, &self.route);
        match id {
            Some(id) if announce => {
                self.part().own = Some(id);
                ClientId::Issue(id)
            }
            _ if forget => ClientId::Forget,
            // Where another request changed the id meanwhile, whoever came with the old one must not learn the new one.
            Some(id) if own == Some(id) && (renewed || last_change > 0) => ClientId::Refresh(id),
            _ => ClientId::Keep,
        }
    }

    /// What the client is told although something failed: if the id was changed for it all the same, it has no other.
    fn awaited_id(&self) -> ClientId {
        let (live, awaited) = {
            let part = self.part();
            (Arc::clone(&part.held.live), part.awaited)
        };
        match stored_id(&live) {
            Some(id) if awaited == Some(id) => {
                self.part().own = Some(id);
                ClientId::Issue(id)
            }
            _ => ClientId::Keep,
        }
    }

    /// Notes an error, and keeps it from the caller if that is wanted.
    fn conclude(&self, result: Result<()>) -> Result<()> {
        let Err(mut error) = result else { return Ok(()) };
        let first_unsaved = self.part().first_unsaved;
        if first_unsaved > 0 && self.live().lock()?.acknowledged >= first_unsaved {
            // Some of what it concerns was written earlier.
            error = error.with_effect(Effect::PerhapsApplied);
        }
        self.note(&error);
        if self.shared.settings.throw_on_error {
            return Err(error);
        }
        Shared::unheard(self.fingerprint(), &error);
        Ok(())
    }

    pub(crate) fn note(&self, error: &Error) {
        self.shared.note(self.concerned().subject(&self.route), error);
        self.part().last_error = Some(error.clone());
    }

    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.concerned().lock().ok()?.fingerprint()
    }

    /// The session that an error concerns: the one being destroyed, if there is one.
    fn concerned(&self) -> Arc<Live> {
        let part = self.part();
        let doomed = part.doomed.as_ref().map(|(held, _)| &held.live);
        Arc::clone(doomed.unwrap_or(&part.held.live))
    }

    /// The id of the stored session.
    pub(crate) fn id(&self) -> Option<SessionId> {
        stored_id(&self.live())
    }

    pub(crate) fn is_new(&self) -> bool {
        self.part().is_new
    }

    pub(crate) fn is_degraded(&self) -> bool {
        self.part().degraded.is_some()
    }

    pub(crate) fn last_error(&self) -> Option<Error> {
        self.part().last_error.clone()
    }

    /// Whether something of this request is neither stored nor given up.
    fn is_unsaved(&self) -> bool {
        let part = self.part();
        if part.given_up || part.degraded.is_some() {
            return false;
        }
        if part.doomed.is_some() {
            return true;
        }
        let (live, last_change) = (Arc::clone(&part.held.live), part.last_change);
        drop(part);
        last_change > 0 && live.lock().is_ok_and(|state| state.settled < last_change)
    }

    /// Reports what this request changed and nobody commits any more.
    fn report_lost(&self, why: &'static str) {
        if !self.is_unsaved() {
            return;
        }
        let destroying = self.part().doomed.is_some();
        let live = self.concerned();
        let (unsure, names) = match live.lock() {
            // Others may still commit it.
            Ok(state) => (state.is_unanswered() || self.shared.table.is_shared(&live), state.unsaved_names()),
            Err(_) => (true, String::new()),
        };
        let (kind, effect) = match unsure {
            true => (ErrorKind::OutcomeUnknown, Effect::PerhapsApplied),
            false => (ErrorKind::Unavailable, Effect::NotApplied),
        };
        let (operation, what) = match destroying {
            true => (Operation::Destroy, "it was not destroyed".to_owned()),
            false => (Operation::Commit, format!("attributes: {names}")),
        };
        let error = Error::new(kind, operation, format!("{why}; {what}")).with_effect(effect);
        let error = live.store.named(error);
        self.note(&error);
        Shared::unheard(live.subject(&self.route).session, &error);
    }

    /// What to report of changes to a session that could not be read for this reason, once.
    fn lost_while_degraded(&self, error: Error) -> Option<Error> {
        let changes = self.live().lock().ok()?.changes;
        if std::mem::replace(&mut self.part().lost, changes) == changes {
            return None;
        }
        let text = "the session could not be read, so what the request changed is lost";
        let lost = Error::new(error.kind(), Operation::Commit, text).with_effect(Effect::NotApplied);
        Some(lost.with_source(error))
    }

    fn report_what_degraded_lost(&self) {
        let degraded = self.part().degraded.clone();
        if let Some(error) = degraded.and_then(|error| self.lost_while_degraded(error)) {
            self.note(&error);
            Shared::unheard(None, &error);
        }
    }

    fn part(&self) -> MutexGuard<'_, Part> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let live = self.live();
        // Failures that nobody will ask for any more.
        if let Ok(mut state) = live.lock() {
            let _ = state.take_failures(self.author);
        }
    }
}

/// Held by the clones of a request's session; when the last is dropped, what is unsaved is committed in the background.
pub(crate) struct Guard {
    pub(crate) handle: Arc<Handle>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A closure that holds its own session may be dropped while this thread has the live session locked.
        let locked_here = self.handle.live().lock().is_err();
        if !locked_here && !self.handle.is_unsaved() {
            self.handle.report_what_degraded_lost();
            return;
        }
        let handle = Arc::clone(&self.handle);
        let Ok(runtime) = Runtime::try_current() else {
            let text = "the session was dropped outside a runtime with changes that were not committed";
            if locked_here {
                tracing::warn!("{text}");
                // Releasing it would wait for the lock that this thread holds.
                mem::forget(handle);
            } else {
                handle.report_lost(text);
            }
            return;
        };
        let tasks = handle.shared.tasks.clone();
        let lost = OnDrop::new({
            let handle = Arc::clone(&handle);
            move || handle.report_lost("the runtime ended before the changes of a dropped session were committed")
        });
        runtime.spawn(tasks.track_future(async move {
            if let Err(error) = handle.close().await.result {
                Shared::unheard(handle.fingerprint(), &error);
            }
            lost.disarm();
        }));
    }
}

/// The id under which it is stored, if it is.
fn stored_id(live: &Live) -> Option<SessionId> {
    let state = live.lock().ok()?;
    if state.is_stored() { state.place.as_ref().map(|place| place.id) } else { None }
}

fn too_late() -> Error {
    let text = "the session's new id cannot reach the client any more; change it before the response is returned";
    Error::new(ErrorKind::TooLate, Operation::Change, text)
}
