//! What all sessions of one manager share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle as Runtime;
use tokio_util::task::TaskTracker;

use crate::context::RequestContext;
use crate::error::{Error, Result};
use crate::id::{Fingerprint, SessionId};
use crate::live::{Live, Table, Validated};
use crate::observer::{Delivery, ErrorSource, Event, Figures, Observer, Subject};
use crate::on_drop::OnDrop;
use crate::route::{Place, Route, Routing};
use crate::settings::Settings;

/// The live sessions, where they are stored, and how.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) routing: Routing,
    pub(crate) table: Table<Live>,
    pub(crate) tasks: TaskTracker,
    /// None if there are no observers.
    pub(crate) delivery: Option<Delivery>,
    pub(crate) figures: Figures,
    /// Numbers this process's batches, and outlives every live session.
    sequence: AtomicU64,
    authors: AtomicU64,
    last_error: Mutex<Option<Error>>,
    pub(crate) sweeping: AtomicBool,
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
    pub(crate) fn new(settings: Settings, routing: Routing, observers: Vec<Arc<dyn Observer>>) -> Self {
        Self {
            table: Table::new(settings.shards, settings.keep_for, settings.keep_bytes),
            figures: Figures::new(&routing.stores.all()),
            settings,
            routing,
            tasks: TaskTracker::new(),
            delivery: (!observers.is_empty()).then(|| Delivery::new(observers)),
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

    /// Has the observers told of an event, if there are any.
    pub(crate) fn observe(&self, event: impl FnOnce() -> Event) {
        if let Some(delivery) = &self.delivery {
            delivery.accept(event());
        }
    }

    /// Notes an error. Who hears it logs it as what it is worth to him; what nobody hears is [`unheard`](Self::unheard).
    pub(crate) fn note(&self, subject: Subject, error: &Error) {
        tracing::debug!(session = subject.session.map(tracing::field::display), %error, "session error");
        self.observe(|| Event::Error(subject, ErrorSource::of(error.kind()), error.clone()));
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
    pub(crate) async fn open(self: &Arc<Self>, route: &Route, place: &Place) -> Result<Opened> {
        loop {
            let live = self.table.acquire(place.live_key(&route.store), || {
                Arc::new(Live::loading(Arc::clone(&route.store), place.clone()))
            });
            let held = Held::new(self, live);
            held.live.stands_at(place)?;
            match self.validate(&held.live, route).await? {
                // Rotated since it was found: the id that this request came with is dead, or about to be.
                Validated::Ready if !held.live.stands_at(place)? => return Ok(Opened::Ended),
                Validated::Ready => return Ok(Opened::Found(held)),
                Validated::Absent => return Ok(Opened::Unknown),
                Validated::Ended => return Ok(Opened::Ended),
                // Whoever ended it may not have taken it out yet.
                Validated::Replaced => self.table.remove(&held.live),
            }
        }
    }

    /// Renews the expiry in the background if that is due; `true` if it is.
    pub(crate) fn renew_if_due(self: &Arc<Self>, live: &Arc<Live>, route: &Route) -> bool {
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
        let (shared, route) = (Arc::clone(self), route.clone());
        // Also if the runtime ends before the renewal does: another one may renew it then.
        let over = OnDrop::new({
            let live = Arc::clone(live);
            move || {
                if let Ok(mut state) = live.lock() {
                    state.expiry.renewing = false;
                }
            }
        });
        let renewal = async move {
            let renewed = shared.renew(&held.live).await;
            drop(over);
            if let Err(error) = renewed {
                let subject = held.live.subject(&route);
                Self::unheard(subject.session, &error);
                shared.note(subject, &error);
            }
        };
        runtime.spawn(self.tasks.track_future(renewal));
        true
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
