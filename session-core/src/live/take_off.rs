//! Take-off: what was changed becomes a batch for the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::{Batch, Purpose};
use super::state::State;
use crate::error::Result;
use crate::id::Generation;
use crate::key::SessionKey;
use crate::provider::{Action, Change, Commit, Creation, Deadline};
use crate::shared::Shared;

impl State {
    pub(super) fn take_off_creation(&mut self, shared: &Shared) -> Result<()> {
        let Some(place) = self.place.clone() else { return Ok(()) };
        let generation = Generation::generate()?;
        let changes = self.copy_of_all();
        if changes.is_empty() {
            return Ok(());
        }
        self.generation = Some(generation);
        let deadline = shared.settings.absolute_timeout.map_or(Deadline::Never, Deadline::After);
        let creation = Creation { fingerprint: place.id.fingerprint(), created: None, deadline };
        let idle_timeout = self.idle.take_off();
        self.take_off(shared, place.key, Purpose::Create, generation, Some(creation), changes, idle_timeout);
        Ok(())
    }

    /// Puts everything on its way to a key that holds nothing yet.
    pub(super) fn copy_of_all(&mut self) -> Vec<Change> {
        let copied = self.slots.iter_mut().filter_map(|slot| {
            let action = Action::Set(slot.take_off_copy()?);
            Some(Change { name: slot.name().clone(), action })
        });
        copied.collect()
    }

    pub(super) fn take_off_changes(&mut self, shared: &Shared) {
        let (Some(place), Some(generation)) = (self.place.clone(), self.generation) else { return };
        let changes: Vec<_> = self
            .slots
            .iter_mut()
            .filter_map(|slot| {
                let action = slot.take_off()?;
                Some(Change { name: slot.name().clone(), action })
            })
            .collect();
        let idle_timeout = self.idle.take_off();
        if changes.is_empty() && idle_timeout.is_none() {
            return;
        }
        self.take_off(shared, place.key, Purpose::Change, generation, None, changes, idle_timeout);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one batch, named by the three callers")]
    pub(super) fn take_off(
        &mut self,
        shared: &Shared,
        key: SessionKey,
        purpose: Purpose,
        generation: Generation,
        creation: Option<Creation>,
        changes: Vec<Change>,
        idle_change: Option<Option<Duration>>,
    ) {
        let idle_timeout = self.idle.now().unwrap_or(shared.settings.idle_timeout);
        let commit = Commit {
            generation,
            writer: self.writer,
            sequence: shared.next_sequence(),
            repeated: false,
            creation,
            changes,
            idle_timeout: idle_change,
            time_to_live: shared.settings.time_to_live(idle_timeout),
        };
        self.batch = Some(Batch {
            commit: Arc::new(commit),
            key,
            purpose,
            covers: self.changes,
            idle_timeout,
            since: Instant::now(),
            sent: 0,
        });
    }
}
