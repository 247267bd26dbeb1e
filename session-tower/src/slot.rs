//! What the layer leaves in a request: the session that nobody has asked for yet.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Extensions;
use session_core::{RequestContext, Result, Session, SessionId, SessionSerializer};
use session_serde::Codec;
use tokio::sync::OnceCell;

use crate::layer::Settings;
use crate::rejection::SessionRejection;

/// The session of one request, which [`open`](Self::open) opens when it is first asked for.
///
/// [`SessionLayer`](crate::SessionLayer) puts it into the request's extensions, under the serializer's type. Clones are
/// the same slot.
pub struct SessionSlot<S = Codec>(Arc<Slot<S>>);

struct Slot<S> {
    settings: Arc<Settings<S>>,
    id: Option<SessionId>,
    context: Result<RequestContext>,
    /// A failure is kept as well: asking again within a request would only wait for the store again.
    opened: OnceCell<Result<Session<S>>>,
    phase: Mutex<Phase<S>>,
}

/// Decides between an `open` and the response's head: exactly one of the two comes first.
enum Phase<S> {
    Unopened,
    /// This clone also keeps the session from being dropped, and so committed unseen, before the layer closes it.
    Open(Session<S>),
    HeadReady,
}

impl<S: SessionSerializer> SessionSlot<S> {
    pub(crate) fn new(settings: Arc<Settings<S>>, id: Option<SessionId>, context: Result<RequestContext>) -> Self {
        Self(Arc::new(Slot { settings, id, context, opened: OnceCell::new(), phase: Mutex::new(Phase::Unopened) }))
    }

    /// The slot of the request that has these extensions.
    ///
    /// # Errors
    ///
    /// [`SessionRejection::MissingLayer`] if no [`SessionLayer`](crate::SessionLayer) with this serializer is above.
    pub fn from_extensions(extensions: &Extensions) -> Result<Self, SessionRejection> {
        extensions.get::<Self>().cloned().ok_or(SessionRejection::MissingLayer)
    }

    /// The request's session. The first call opens it, all others share it; if the first is cancelled, the next
    /// repeats it.
    ///
    /// The layer closes the session before it releases the response's head. What is first opened later (by a body that
    /// kept the slot) can be used, but not created or rotated, because no id can reach the client any more.
    ///
    /// # Errors
    ///
    /// Those of [`SessionManager::open`](session_core::SessionManager::open);
    /// [`KeyCallback`](session_core::ErrorKind::KeyCallback) if the layer's context function panicked. All calls of one
    /// request get the same error.
    pub async fn open(&self) -> Result<Session<S>> {
        self.0.opened.get_or_init(|| self.0.open()).await.clone()
    }

    /// Called once the response is ready: the session to close, if it was opened.
    pub(crate) fn head_ready(&self) -> Option<Session<S>> {
        match std::mem::replace(&mut *self.0.phase(), Phase::HeadReady) {
            Phase::Open(session) => Some(session),
            Phase::Unopened | Phase::HeadReady => None,
        }
    }

    pub(crate) fn settings(&self) -> &Settings<S> {
        &self.0.settings
    }
}

impl<S: SessionSerializer> Slot<S> {
    async fn open(&self) -> Result<Session<S>> {
        let opened = match &self.context {
            Ok(context) => self.settings.manager.open_in_mode(context, self.id.as_ref(), self.settings.mode).await,
            Err(error) => Err(error.clone()),
        };
        let session = opened.inspect_err(|error| tracing::warn!(%error, "a session could not be opened"))?;
        if !self.still_before_head(&session) {
            // Nothing was changed yet, so there is nothing to tell: this only forbids what would come too late.
            let _ = session.close().await;
        }
        Ok(session)
    }

    fn still_before_head(&self, session: &Session<S>) -> bool {
        let mut phase = self.phase();
        match *phase {
            Phase::HeadReady => false,
            Phase::Unopened | Phase::Open(_) => {
                *phase = Phase::Open(session.clone());
                true
            }
        }
    }
}

impl<S> Slot<S> {
    fn phase(&self) -> MutexGuard<'_, Phase<S>> {
        // Nothing panics while it is held, and every phase is whole.
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for SessionSlot<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for SessionSlot<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionSlot").field("opened", &self.0.opened.initialized()).finish_non_exhaustive()
    }
}
