//! Opening sessions.
use crate::*;
use std::sync::Arc;
use std::time::Duration;

/// Opens sessions. Cheap to clone.
#[derive(Clone)]
pub struct SessionManager<S> {
    codec: S,
}

/// Settings of a [`SessionManager`].
pub struct SessionManagerBuilder<S> {
    codec: S,
}

#[allow(missing_docs, unused_variables)]
impl<S: SessionSerializer> SessionManager<S> {
    pub fn builder(provider: impl SessionProvider, serializer: S) -> SessionManagerBuilder<S> {
        unimplemented!()
    }
    /// Opens the session of this id, or (no id; or one the store does not know) a new one under a fresh id, which is
    /// created only if something is written. With `throw_on_error(false)` a failed load answers a degraded session.
    pub async fn open(&self, context: &RequestContext, id: Option<&SessionId>) -> Result<Session<S>> {
        unimplemented!()
    }
    pub fn last_error(&self) -> Option<Error> {
        unimplemented!()
    }
    /// Ends background work and commits what is pending.
    pub async fn shutdown(&self) {
        unimplemented!()
    }
}

#[allow(missing_docs, unused_variables)]
impl<S: SessionSerializer> SessionManagerBuilder<S> {
    pub fn key_derivation(self, rule: KeyDerivation) -> Self {
        unimplemented!()
    }
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        unimplemented!()
    }
    /// Percent of the idle timeout.
    pub fn expiry_slack(self, percent: u8) -> Self {
        unimplemented!()
    }
    pub fn absolute_timeout(self, timeout: Duration) -> Self {
        unimplemented!()
    }
    pub fn max_session_bytes(self, bytes: usize) -> Self {
        unimplemented!()
    }
    pub fn retry_timeout(self, timeout: Duration) -> Self {
        unimplemented!()
    }
    pub fn throw_on_error(self, throw: bool) -> Self {
        unimplemented!()
    }
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        unimplemented!()
    }
    pub fn keep_for(self, time: Duration) -> Self {
        unimplemented!()
    }
    pub fn keep_bytes(self, bytes: usize) -> Self {
        unimplemented!()
    }
    pub fn build(self) -> Result<SessionManager<S>> {
        unimplemented!()
    }
}
