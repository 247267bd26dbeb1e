//! What went over each connection since that was last told.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::{Delivery, Event};
use crate::provider::Traffic;
use crate::stores::Store;

/// The figures of a manager's connections.
pub(crate) struct Figures {
    /// A task tells them every so often.
    pub(crate) running: AtomicBool,
    told: Mutex<Told>,
}

/// What was told last.
struct Told {
    /// When that was last to be told.
    at: Instant,
    /// What was told of each connection, by its number, and when: earlier if the observers missed it the last time. What
    /// is missing was opened since.
    counts: HashMap<u32, (Instant, Traffic)>,
}

impl Figures {
    /// Counts from here on.
    pub(crate) fn new(stores: &[Arc<Store>]) -> Self {
        let at = Instant::now();
        let counts = stores.iter().map(|store| (store.number, (at, store.provider.traffic()))).collect();
        Self { running: AtomicBool::new(false), told: Mutex::new(Told { at, counts }) }
    }

    /// Tells what was added since the last time.
    pub(crate) fn tell(&self, stores: &[Arc<Store>], delivery: &Delivery) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let before = std::mem::replace(&mut told.at, now);
        for store in stores {
            let count = store.provider.traffic();
            let (at, earlier) = *told.counts.entry(store.number).or_insert((before, Traffic::default()));
            if delivery.accept(Event::Traffic(Arc::clone(&store.name), count.since(&earlier), now - at)) {
                told.counts.insert(store.number, (now, count));
            }
        }
    }
}
