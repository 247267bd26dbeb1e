//! The way from what happens to the observers: a bounded queue, and the one thread that empties it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle as Runtime;

use super::{EVENTS_TOLD_WITHIN, EVENTS_WAITING_AT_MOST, Event, Observer};

/// The observers of one manager. When it is dropped, what waits is still told, then the thread ends.
pub(crate) struct Delivery(Arc<Queue>);

struct Queue {
    observers: Vec<Arc<dyn Observer>>,
    state: Mutex<State>,
    /// For the thread: there is something to do.
    arrived: Condvar,
    /// For those who wait: something was told.
    told: Condvar,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    /// Dropped since that was last told.
    missed: u64,
    /// How many events were taken in, and how many of these were told.
    accepted: u64,
    told: u64,
    started: bool,
    ended: bool,
}

impl Delivery {
    pub(crate) fn new(observers: Vec<Arc<dyn Observer>>) -> Self {
        Self(Arc::new(Queue { observers, state: Mutex::default(), arrived: Condvar::new(), told: Condvar::new() }))
    }

    /// Has an event told; `false` if it is dropped, because too many wait. Never waits for an observer.
    pub(crate) fn accept(&self, event: Event) -> bool {
        let mut state = self.0.lock();
        if !state.started {
            state.started = self.start();
        }
        if state.events.len() >= EVENTS_WAITING_AT_MOST {
            state.missed += 1;
            return false;
        }
        state.events.push_back(event);
        state.accepted += 1;
        drop(state);
        self.0.arrived.notify_one();
        true
    }

    /// Starts the thread; `false` if the system has none to give, which the next event tries again.
    fn start(&self) -> bool {
        let queue = Arc::clone(&self.0);
        let started = std::thread::Builder::new().name("session-observer".to_owned()).spawn(move || queue.run());
        started.inspect_err(|error| tracing::warn!(%error, "no thread for the session observers")).is_ok()
    }

    /// Waits until everything taken in before was told; `false` if that takes too long.
    ///
    /// The time is real time, also where tokio's clock is paused: observers know no other.
    pub(crate) async fn all_told(&self) -> bool {
        let accepted = {
            let state = self.0.lock();
            if state.told >= state.accepted {
                return true;
            }
            state.accepted
        };
        let queue = Arc::clone(&self.0);
        let wait = move || queue.wait_until_told(accepted, EVENTS_TOLD_WITHIN);
        match Runtime::try_current() {
            Ok(runtime) => runtime.spawn_blocking(wait).await.unwrap_or(false),
            Err(_) => wait(),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.arrived.notify_one();
    }
}

impl Queue {
    /// The thread's work.
    fn run(&self) {
        loop {
            let (event, missed) = {
                let mut state = self.lock();
                loop {
                    if let Some(event) = state.events.pop_front() {
                        break (event, std::mem::take(&mut state.missed));
                    }
                    if state.ended {
                        return;
                    }
                    state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            };
            self.tell(&event);
            if missed > 0 {
                self.tell(&Event::Missed(missed));
            }
            // It may hold the last of something of the application's, which may do anything when it is dropped.
            let _ = catch_unwind(AssertUnwindSafe(move || drop(event)));
            self.lock().told += 1;
            self.told.notify_all();
        }
    }

    fn tell(&self, event: &Event) {
        self.observers.iter().for_each(|observer| event.tell(&**observer));
    }

    fn wait_until_told(&self, accepted: u64, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        while state.told < accepted {
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return false;
            };
            state = self.told.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
