//! What all sessions of one manager share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle as Runtime;
use tokio_util::task::TaskTracker;

use crate::context::RequestContext;
use crate::error::{Error, Result};
use crate::id::{Fingerprint, SessionId};
use crate::live::{Live, Table, Validated};
use crate::observer::{ErrorSource, Observer, tell};
use crate::route::{Route, Routing};
use crate::settings::Settings;

/// The live sessions, where they are stored, and how.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) routing: Routing,
    pub(crate) table: Table<Live>,
    pub(crate) tasks: TaskTracker,
    observer: Arc<dyn Observer>,
    /// Numbers this process's batches, and outlives every live session.
    sequence: AtomicU64,
    authors: AtomicU64,
    last_error: Mutex<Option<Error>>,
    sweeping: AtomicBool,
}

/// What was found for a request.
pub(crate) enum Opened {
    /// Its session.
    Found(Held),
    /// No session of this id; the request may have a new one.
    Unknown,
    /// A session that has ended in favour of another id, or is being destroyed: the request must not replace it.
    Ended,
}

impl Shared {
    pub(crate) fn new(settings: Settings, routing: Routing, observer: Arc<dyn Observer>) -> Self {
        Self {
            table: Table::new(settings.shards, settings.keep_for, settings.keep_bytes),
            settings,
            routing,
            tasks: TaskTracker::new(),
            observer,
            sequence: AtomicU64::new(0),
            authors: AtomicU64::new(0),
            last_error: Mutex::new(None),
            sweeping: AtomicBool::new(false),
        }
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn next_author(&self) -> u64 {
        self.authors.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn observe(&self, call: impl FnOnce(&dyn Observer)) {
        tell(&*self.observer, call);
    }

    /// Notes an error. Who hears it logs it as what it is worth to him; what nobody hears is [`unheard`](Self::unheard).
    pub(crate) fn note(&self, source: ErrorSource, session: Option<Fingerprint>, error: &Error) {
        tracing::debug!(session = session.map(tracing::field::display), %error, "session error");
        self.observe(|observer| observer.error(source, session, error));
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
    }

    /// Logs an error that reaches no caller.
    pub(crate) fn unheard(session: Option<Fingerprint>, error: &Error) {
        tracing::warn!(session = session.map(tracing::field::display), %error, "session error that no request was told");
    }

    pub(crate) fn last_error(&self) -> Option<Error> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn route(&self, context: &RequestContext, id: Option<&SessionId>) -> Result<Route> {
        self.routing.route(context, id)
    }

    /// Finds the session of an id, in this process or in the store.
    pub(crate) async fn open(self: &Arc<Self>, route: &Route, id: &SessionId) -> Result<Opened> {
        let place = route.place(*id)?;
        loop {
            let live = self.table.acquire(place.live_key(&route.store), || {
                Arc::new(Live::loading(Arc::clone(&route.store), place.clone()))
            });
            let held = Held::new(self, live);
            held.live.stands_at(&place)?;
            match self.validate(&held.live).await? {
                // Rotated since it was found: the id that this request came with is dead, or about to be.
                Validated::Ready if !held.live.stands_at(&place)? => return Ok(Opened::Ended),
                Validated::Ready => {
                    self.sweep_from_now_on();
                    return Ok(Opened::Found(held));
                }
                Validated::Absent => return Ok(Opened::Unknown),
                Validated::Ended => return Ok(Opened::Ended),
                // Whoever ended it may not have taken it out yet.
                Validated::Replaced => self.table.remove(&held.live),
            }
        }
    }

    /// Renews the expiry in the background if that is due; `true` if it is.
    pub(crate) fn renew_if_due(self: &Arc<Self>, live: &Arc<Live>) -> bool {
        let Ok(runtime) = Runtime::try_current() else { return false };
        {
            let Ok(mut state) = live.lock() else { return false };
            let idle_timeout = state.idle.now().unwrap_or(self.settings.idle_timeout);
            if !state.is_stored() || !state.expiry.is_due(idle_timeout) {
                return false;
            }
            state.expiry.renewing = true;
        }
        let held = Held::again(self, live);
        let shared = Arc::clone(self);
        let renewal = async move {
            let renewed = shared.renew(&held.live).await;
            let session = held.live.lock().ok().and_then(|mut state| {
                state.expiry.renewing = false;
                state.fingerprint()
            });
            if let Err(error) = renewed {
                shared.note(ErrorSource::Provider, session, &error);
                Self::unheard(session, &error);
            }
        };
        runtime.spawn(self.tasks.track_future(renewal));
        true
    }

    /// Drops kept sessions whose time is over, every so often, until the last manager is gone.
    fn sweep_from_now_on(self: &Arc<Self>) {
        if self.settings.keep_for.is_zero() || self.sweeping.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = Runtime::try_current() else { return };
        if self.sweeping.swap(true, Ordering::Relaxed) {
            return;
        }
        let shared = Arc::downgrade(self);
        let interval = self.settings.check_interval;
        // Another runtime starts the task anew should this one end.
        let stopped = OnDrop(Some({
            let shared = shared.clone();
            move || {
                if let Some(shared) = shared.upgrade() {
                    shared.sweeping.store(false, Ordering::Relaxed);
                }
            }
        }));
        runtime.spawn(async move {
            let _stopped = stopped;
            loop {
                tokio::time::sleep(interval).await;
                match shared.upgrade() {
                    Some(shared) => shared.table.sweep(),
                    None => return,
                }
            }
        });
    }
}

struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            run();
        }
    }
}

/// A hold on a live session, given back when dropped.
pub(crate) struct Held {
    shared: Arc<Shared>,
    pub(crate) live: Arc<Live>,
}

impl Held {
    /// Takes over a hold that was counted, or that of a session which is not in the table yet.
    pub(crate) fn new(shared: &Arc<Shared>, live: Arc<Live>) -> Self {
        Self { shared: Arc::clone(shared), live }
    }

    fn again(shared: &Arc<Shared>, live: &Arc<Live>) -> Self {
        shared.table.hold(live);
        Self::new(shared, Arc::clone(live))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.table.release(&self.live);
    }
}
