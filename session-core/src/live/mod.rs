//! The live copy of a session that all requests of this process share.
//!
//! `check` makes it as the store has it; `commit` writes what was changed, which leaves in `take_off` and arrives in
//! `landing`; `rotation` moves it to another id.

mod batch;
mod check;
mod commit;
mod expiry;
mod flight;
mod landing;
mod rotation;
mod rounds;
mod state;
mod sync;
mod table;
#[cfg(test)]
mod table_tests;
mod take_off;

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::field::{self, DisplayValue};

pub(crate) use check::Validated;
pub(crate) use state::{Phase, State};
pub(crate) use table::{LiveKey, Resident, Table};

pub(crate) use crate::attribute::Slot;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::id::Fingerprint;
use crate::observer::Subject;
use crate::route::{Place, Route};
use crate::stores::Store;
use flight::Flight;
use rounds::Rounds;

/// One session of this process.
pub(crate) struct Live {
    pub(crate) store: Arc<Store>,
    home: Mutex<Option<LiveKey>>,
    state: Mutex<State>,
    checks: Rounds<Validated>,
    commits: Rounds<()>,
    flight: Flight,
}

impl Live {
    /// A session about to be loaded.
    pub(crate) fn loading(store: Arc<Store>, place: Place) -> Self {
        Self::in_phase(store, Phase::Loading, Some(place))
    }

    /// A session that is nowhere yet.
    pub(crate) fn fresh(store: Arc<Store>) -> Self {
        Self::in_phase(store, Phase::Fresh, None)
    }

    /// A session that has ended.
    pub(crate) fn ended(store: Arc<Store>) -> Self {
        Self::in_phase(store, Phase::Ended, None)
    }

    fn in_phase(store: Arc<Store>, phase: Phase, place: Option<Place>) -> Self {
        let state = State::new(phase, place, store.writer);
        Self {
            store,
            home: Mutex::new(None),
            state: Mutex::new(state),
            checks: Rounds::new(),
            commits: Rounds::new(),
            flight: Flight::default(),
        }
    }

    /// Whether it is still the session of the id by whose key it was found, and has not got another id meanwhile.
    ///
    /// # Errors
    ///
    /// `ForeignKey` if it is that of another id, although both map to one key: no data is handed out.
    pub(crate) fn stands_at(&self, wanted: &Place) -> Result<bool> {
        match &self.lock()?.place {
            Some(place) if place.key == wanted.key && place.id != wanted.id => Err(self.store.named(Error::new(
                ErrorKind::ForeignKey,
                Operation::Load,
                "two ids map to one key; correct the key callback",
            ))),
            Some(place) => Ok(place.id == wanted.id),
            None => Ok(true),
        }
    }

    /// How observers are told of this session and a request.
    pub(crate) fn subject(&self, route: &Route) -> Subject {
        // If this thread has it locked, a closure does something to it: then the session is not told.
        self.lock().map_or_else(|_| route.subject(None), |state| route.subject(state.place.as_ref()))
    }

    /// What stands for the session in spans.
    pub(crate) fn shown(&self) -> Option<DisplayValue<Fingerprint>> {
        self.lock().ok()?.fingerprint().map(field::display)
    }

    /// How long one call of the store may take.
    pub(crate) fn operation_timeout(&self) -> Duration {
        self.store.provider.capabilities().operation_timeout
    }

    /// Locks the state.
    ///
    /// # Errors
    ///
    /// `Closure` if this thread has locked it already: then a closure given to `update` (or the code that encodes or
    /// drops a value) uses the very session that is running it. Without this check it would wait for itself.
    pub(crate) fn lock(&self) -> Result<StateGuard<'_>> {
        let entered = Entered::new(std::ptr::from_ref(self).addr())?;
        // What runs under the lock is either ours or has its panics caught.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(StateGuard { state, _entered: entered })
    }
}

impl Resident for Live {
    fn home(&self) -> &Mutex<Option<LiveKey>> {
        &self.home
    }

    fn keep(&self, keep_for: Duration) -> Option<(Duration, usize)> {
        self.lock().ok()?.keep(keep_for)
    }
}

/// The locked state.
pub(crate) struct StateGuard<'a> {
    state: MutexGuard<'a, State>,
    _entered: Entered,
}

impl Deref for StateGuard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

thread_local! {
    /// The live sessions whose state this thread has locked, by address.
    static LOCKED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

struct Entered(usize);

impl Entered {
    fn new(address: usize) -> Result<Self> {
        let entered = LOCKED.try_with(|locked| {
            let mut locked = locked.borrow_mut();
            if locked.contains(&address) {
                let text = "the closure uses the session that it is updating; give it what it needs instead";
                return Err(Error::new(ErrorKind::Closure, Operation::Change, text));
            }
            locked.push(address);
            Ok(())
        });
        // A thread that is ending has no such list any more, and runs no closures.
        entered.unwrap_or(Ok(())).map(|()| Self(address))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = LOCKED.try_with(|locked| {
            let mut locked = locked.borrow_mut();
            if let Some(index) = locked.iter().rposition(|address| *address == self.0) {
                locked.swap_remove(index);
            }
        });
    }
}
