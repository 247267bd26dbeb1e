//! The handler's view of a session.
use crate::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// A session, as one request holds it. Clones are the same request's.
#[derive(Clone)]
pub struct Session<S> {
    codec: S,
}

/// What the web layer tells the client about its id.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientId {
    /// Nothing.
    Keep,
    /// The expiry was renewed: a cookie that carries a max-age is sent again with this same id.
    Refresh(SessionId),
    /// The client shall use this id from now on.
    Issue(SessionId),
    /// The client shall forget its id.
    Forget,
}

/// How a request's part of a session ended.
#[must_use]
#[derive(Debug)]
pub struct Closed {
    /// Whether everything was acknowledged.
    pub result: Result<()>,
    /// What to tell the client; `Keep` whenever `result` is an error.
    pub client: ClientId,
}

#[allow(missing_docs, unused_variables)]
impl<S: SessionSerializer> Session<S> {
    /// Reads an attribute (a clone of the decoded value).
    pub fn get<T: DeserializeOwned + Clone + Send + Sync + 'static>(&self, name: &str) -> Result<Option<T>> {
        unimplemented!()
    }
    /// Reads an attribute without cloning.
    pub fn get_shared<T: DeserializeOwned + Send + Sync + 'static>(&self, name: &str) -> Result<Option<Arc<T>>> {
        unimplemented!()
    }
    pub fn insert<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<()> {
        unimplemented!()
    }
    pub fn update<T, R>(&self, name: &str, change: impl FnMut(&mut T) -> R + Send + 'static) -> Result<R>
    where
        T: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static,
    {
        unimplemented!()
    }
    pub fn increment(&self, name: &str, by: i64) -> Result<i64> {
        unimplemented!()
    }
    /// `true` if it was there.
    pub fn remove(&self, name: &str) -> Result<bool> {
        unimplemented!()
    }
    pub fn take<T: DeserializeOwned + Clone + Send + Sync + 'static>(&self, name: &str) -> Result<Option<T>> {
        unimplemented!()
    }
    pub fn clear(&self) -> Result<()> {
        unimplemented!()
    }
    pub fn contains(&self, name: &str) -> Result<bool> {
        unimplemented!()
    }
    pub fn names(&self) -> Result<Vec<String>> {
        unimplemented!()
    }
    pub fn len(&self) -> Result<usize> {
        unimplemented!()
    }
    pub fn is_empty(&self) -> Result<bool> {
        unimplemented!()
    }
    pub fn rotate_id(&self) -> Result<()> {
        unimplemented!()
    }
    pub fn destroy(&self) -> Result<()> {
        unimplemented!()
    }
    pub fn touch(&self) -> Result<()> {
        unimplemented!()
    }
    pub fn set_idle_timeout(&self, timeout: Duration) -> Result<()> {
        unimplemented!()
    }
    /// Writes what this request changed, and waits until it is acknowledged. The session goes on.
    pub async fn commit(&self) -> Result<()> {
        unimplemented!()
    }
    /// The final commit of a request, before its response head is sent. After it, creating or rotating answers `TooLate`.
    /// With `throw_on_error(false)` the result is always `Ok`.
    pub async fn close(&self) -> Closed {
        unimplemented!()
    }
    /// The id's fingerprint, for logs; `None` while nothing was stored.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        unimplemented!()
    }
    /// The id (a secret) once the session is stored.
    pub fn id(&self) -> Option<SessionId> {
        unimplemented!()
    }
    /// Whether no session was found in the store for this request.
    pub fn is_new(&self) -> bool {
        unimplemented!()
    }
    pub fn is_degraded(&self) -> bool {
        unimplemented!()
    }
    pub fn last_error(&self) -> Option<Error> {
        unimplemented!()
    }
}
