//! Making room in a session that passes its size limit, as the size handler decides.

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::handle::Handle;
use crate::limits::{Oversize, OversizeAt, SizeAction};
use crate::live::{Live, Phase, State};

impl Handle {
    /// Sees to it that an attribute may hold so many bytes. What makes the session no larger is always allowed.
    ///
    /// # Errors
    ///
    /// `TooLarge`, and nothing is changed.
    pub(crate) fn make_room(&self, live: &Live, state: &mut State, index: usize, value: usize) -> Result<()> {
        let too_large = |text: String| Err(Error::new(ErrorKind::TooLarge, Operation::Change, text));
        let longest = live.store.provider.capabilities().max_value_bytes;
        if value > longest {
            return too_large(format!("the value has {value} bytes, and this store takes {longest}"));
        }
        let slot = &state.slots[index];
        let alone = slot.name().as_bytes().len() + value;
        let bytes = state.size - slot.size() + alone;
        let limit = self.shared.settings.max_session_bytes;
        if bytes <= limit || alone <= slot.size() {
            return Ok(());
        }
        match self.ask(state, bytes, OversizeAt::Change) {
            SizeAction::Allow if bytes <= self.shared.settings.unloadable_bytes() => Ok(()),
            SizeAction::Allow => too_large(format!(
                "the session would have {bytes} bytes, and one of more than ten times max_session_bytes ({limit}) \
                 could not be loaded again"
            )),
            SizeAction::Clear if alone <= limit => {
                state.clear(Some(index), self.author);
                tracing::info!(session = state.fingerprint().map(tracing::field::display), bytes, limit, "cleared");
                Ok(())
            }
            SizeAction::Clear => too_large(format!(
                "the attribute alone would have {alone} bytes, and max_session_bytes is {limit}; nothing was cleared"
            )),
            SizeAction::Refuse => {
                too_large(format!("the session would have {bytes} bytes, and max_session_bytes is {limit}"))
            }
        }
    }

    /// Looks at the size of a session that this request has just opened.
    pub(crate) fn meet_oversize(&self) {
        let live = self.live();
        let limit = self.shared.settings.max_session_bytes;
        let (cleared, bytes) = {
            let Ok(mut state) = live.lock() else { return };
            let bytes = state.size;
            if bytes <= limit || !matches!(state.phase, Phase::Stored | Phase::Oversize) {
                return;
            }
            let unloaded = state.phase == Phase::Oversize;
            match self.ask(&state, bytes, OversizeAt::Load) {
                SizeAction::Allow if !unloaded => return,
                SizeAction::Clear if self.check_mode(Operation::Load).is_ok() => {
                    (state.clear_stored(self.author), bytes)
                }
                SizeAction::Allow | SizeAction::Clear | SizeAction::Refuse => (None, bytes),
            }
        };
        if let Some(change) = cleared {
            self.changed(change);
            tracing::info!(session = self.fingerprint().map(tracing::field::display), bytes, limit, "cleared");
        } else {
            let text = format!("the stored session has {bytes} bytes, and max_session_bytes is {limit}; shrink it");
            let error = Error::new(ErrorKind::TooLarge, Operation::Load, text);
            self.note(&live.store.named(error));
        }
    }

    fn ask(&self, state: &State, bytes: usize, when: OversizeAt) -> SizeAction {
        self.shared.settings.size_handler.decide(&Oversize {
            session: state.fingerprint(),
            context: self.route.context(),
            bytes,
            limit: self.shared.settings.max_session_bytes,
            when,
        })
    }
}
