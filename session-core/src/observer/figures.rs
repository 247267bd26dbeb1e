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
    at: Instant,
    /// By the connections' numbers. What is missing was opened since.
    counts: HashMap<u32, Traffic>,
}

impl Figures {
    /// Counts from here on.
    pub(crate) fn new(stores: &[Arc<Store>]) -> Self {
        let counts = stores.iter().map(|store| (store.number, store.provider.traffic())).collect();
        Self { running: AtomicBool::new(false), told: Mutex::new(Told { at: Instant::now(), counts }) }
    }

    /// Tells what was added since the last time.
    pub(crate) fn tell(&self, stores: &[Arc<Store>], delivery: &Delivery) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let over = now - std::mem::replace(&mut told.at, now);
        for store in stores {
            let count = store.provider.traffic();
            let earlier = told.counts.insert(store.number, count).unwrap_or_default();
            delivery.accept(Event::Traffic(Arc::clone(&store.name), count.since(&earlier), over));
        }
    }
}
