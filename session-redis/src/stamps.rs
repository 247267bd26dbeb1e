//! When a writer has to renew the time of its entry in a session.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use session_core::{Generation, WriterId};

use crate::layout::STAMP_KEPT_FOR;

/// How many sessions are remembered at once.
const SLOTS: usize = 2048;

/// Remembers for the sessions written last when their entry's time was renewed, so that the script need not ask the
/// server for the time at every commit. A session that was forgotten, because another took its slot, is renewed early,
/// which is harmless.
pub(crate) struct Stamps {
    hasher: RandomState,
    slots: Box<[Mutex<Option<Slot>>]>,
}

struct Slot {
    generation: Generation,
    writer: WriterId,
    renewed: Instant,
}

impl Stamps {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), slots: (0..SLOTS).map(|_| Mutex::new(None)).collect() }
    }

    /// Whether a commit that is sent now must renew the time.
    pub(crate) fn are_due(&self, generation: Generation, writer: WriterId, now: Instant) -> bool {
        let slot = self.slot(generation).lock().unwrap_or_else(PoisonError::into_inner);
        !slot.as_ref().is_some_and(|slot| {
            slot.generation == generation
                && slot.writer == writer
                && now.saturating_duration_since(slot.renewed) < STAMP_KEPT_FOR
        })
    }

    /// A commit that was sent at `sent` has renewed the time, and the server has acknowledged it.
    pub(crate) fn renewed(&self, generation: Generation, writer: WriterId, sent: Instant) {
        let mut slot = self.slot(generation).lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Slot { generation, writer, renewed: sent });
    }

    fn slot(&self, generation: Generation) -> &Mutex<Option<Slot>> {
        &self.slots[self.hasher.hash_one(generation) as usize % SLOTS]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn due_until_renewed_and_again_after_a_minute() {
        let stamps = Stamps::new();
        let (generation, writer, now) =
            (Generation::generate().unwrap(), WriterId::generate().unwrap(), Instant::now());
        assert!(stamps.are_due(generation, writer, now));
        stamps.renewed(generation, writer, now);
        assert!(!stamps.are_due(generation, writer, now + Duration::from_secs(59)));
        assert!(stamps.are_due(generation, writer, now + Duration::from_secs(60)));
        assert!(stamps.are_due(generation, WriterId::generate().unwrap(), now));
        assert!(stamps.are_due(Generation::generate().unwrap(), writer, now));
    }
}
