//! The service: takes the cookie and leaves the slot.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use session_core::SessionSerializer;
use session_serde::Codec;
use tower_service::Service;

use crate::future::SessionFuture;
use crate::layer::Settings;
use crate::slot::SessionSlot;

/// What [`SessionLayer`](crate::SessionLayer) makes of a service.
#[derive(Clone)]
pub struct SessionService<Inner, S = Codec> {
    inner: Inner,
    settings: Arc<Settings<S>>,
}

impl<Inner, S> SessionService<Inner, S> {
    pub(crate) fn new(inner: Inner, settings: Arc<Settings<S>>) -> Self {
        Self { inner, settings }
    }
}

impl<Inner, S, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionService<Inner, S>
where
    Inner: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    S: SessionSerializer,
    ResponseBody: Default,
{
    type Response = Response<ResponseBody>;
    type Error = Inner::Error;
    type Future = SessionFuture<Inner::Future, ResponseBody, S>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    // The inner service is called here and not in the future, so it is the one that was ready; no clone is needed.
    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let id = self.settings.cookie.id(&parts.headers);
        let context = self.settings.context_of(&parts);
        let slot = SessionSlot::new(Arc::clone(&self.settings), id, context);
        parts.extensions.insert(slot.clone());
        SessionFuture::new(self.inner.call(Request::from_parts(parts, body)), slot)
    }
}

impl<Inner: fmt::Debug, S> fmt::Debug for SessionService<Inner, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .field("cookie", &self.settings.cookie)
            .finish_non_exhaustive()
    }
}
