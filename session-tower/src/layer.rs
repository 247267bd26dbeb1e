//! The layer and its settings.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::request::Parts;
use session_core::{
    ConcurrencyMode, Error, ErrorKind, Operation, RequestContext, Result, SessionManager, SessionSerializer,
};
use session_serde::Codec;
use tower_layer::Layer;

use crate::cookie::SessionCookie;
use crate::service::SessionService;

/// Gives the services below it a session per request.
///
/// It does no I/O until a handler asks for the session (with the axum extractor `Session`, or [`SessionSlot`]). When the
/// response is ready, its head is held until the store has acknowledged what was changed. If that fails, the response
/// is replaced by an empty one with the status of [`status_of`]. If the inner service fails or panics, or the client
/// hangs up, changes are committed in the background.
///
/// Layers that change the response's body, catch panics or set timeouts can be on either side of it. Where a layer is
/// there twice, the inner one counts.
///
/// [`SessionSlot`]: crate::SessionSlot
/// [`status_of`]: crate::status_of
#[derive(Clone)]
pub struct SessionLayer<S = Codec> {
    settings: Arc<Settings<S>>,
}

type ContextRule = dyn Fn(&Parts) -> RequestContext + Send + Sync;

/// What all requests of a layer share.
#[derive(Clone)]
pub(crate) struct Settings<S> {
    pub(crate) manager: SessionManager<S>,
    pub(crate) cookie: SessionCookie,
    pub(crate) mode: ConcurrencyMode,
    context: Option<Arc<ContextRule>>,
}

impl<S: SessionSerializer> SessionLayer<S> {
    /// A layer with the default [`SessionCookie`] and an empty context.
    pub fn new(manager: SessionManager<S>) -> Self {
        let (cookie, mode) = (SessionCookie::default(), ConcurrencyMode::default());
        Self { settings: Arc::new(Settings { manager, cookie, mode, context: None }) }
    }

    /// Uses this cookie.
    ///
    /// ```no_run
    /// # use session_core::{MemoryProvider, SessionManager};
    /// # use session_serde::Codec;
    /// # use session_tower::{SessionCookie, SessionLayer};
    /// # fn f(manager: SessionManager<Codec>, current_key: Vec<u8>, previous_key: Vec<u8>) -> session_core::Result<()> {
    /// let cookie = SessionCookie::builder().name("__Host-shop").signing_keys([current_key, previous_key]).build()?;
    /// let layer = SessionLayer::new(manager).with_cookie(cookie);
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_cookie(mut self, cookie: SessionCookie) -> Self {
        Arc::make_mut(&mut self.settings).cookie = cookie;
        self
    }

    /// For plain http on a developer's machine only: [`SessionCookie::insecure_development`].
    #[must_use]
    pub fn with_insecure_development_cookie(self) -> Self {
        self.with_cookie(SessionCookie::insecure_development())
    }

    /// What requests may do with their sessions. Default: [`ConcurrencyMode::Merge`].
    ///
    /// For some routes only, these get a layer of their own, since the inner one counts:
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_core::{ConcurrencyMode, MemoryProvider, SessionManager};
    /// # use session_serde::Json;
    /// # use session_tower::SessionLayer;
    /// # fn f() -> session_core::Result<()> {
    /// # let manager = SessionManager::builder(MemoryProvider::new(), Json).build()?;
    /// let sessions = SessionLayer::new(manager);
    /// let reports = Router::<()>::new()
    ///     .route("/report", get(|| async { "read only" }))
    ///     .layer(sessions.clone().with_mode(ConcurrencyMode::ReadOnly));
    /// let app = Router::new().route("/", get(|| async { "changes merge" })).merge(reports).layer(sessions);
    /// # let _: Router = app;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_mode(mut self, mode: ConcurrencyMode) -> Self {
        Arc::make_mut(&mut self.settings).mode = mode;
        self
    }

    /// Describes each request to the key and connection callbacks. Default: an empty context.
    ///
    /// Called once for every request that passes the layer, also if its handler never asks for the session, so it
    /// should be quick. If it panics, opening the session fails with [`ErrorKind::KeyCallback`].
    ///
    /// ```no_run
    /// # use session_core::{MemoryProvider, RequestContext, SessionManager};
    /// # use session_serde::Codec;
    /// # use session_tower::SessionLayer;
    /// struct Tenant(Option<String>);
    /// # fn f(manager: SessionManager<Codec>) {
    /// let layer = SessionLayer::new(manager).with_context(|parts| {
    ///     let host = parts.headers.get("host").and_then(|host| host.to_str().ok());
    ///     RequestContext::new(Tenant(host.map(str::to_owned)))
    /// });
    /// # let _ = layer;
    /// # }
    /// ```
    #[must_use]
    pub fn with_context(mut self, context: impl Fn(&Parts) -> RequestContext + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.settings).context = Some(Arc::new(context));
        self
    }
}

impl<S> Settings<S> {
    pub(crate) fn context_of(&self, parts: &Parts) -> Result<RequestContext> {
        let Some(rule) = &self.context else { return Ok(RequestContext::default()) };
        catch_unwind(AssertUnwindSafe(|| rule(parts)))
            .map_err(|_| Error::new(ErrorKind::KeyCallback, Operation::Route, "the layer's context function panicked"))
    }
}

impl<S, Inner> Layer<Inner> for SessionLayer<S> {
    type Service = SessionService<Inner, S>;

    fn layer(&self, inner: Inner) -> Self::Service {
        SessionService::new(inner, Arc::clone(&self.settings))
    }
}

impl<S> fmt::Debug for SessionLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("cookie", &self.settings.cookie).finish_non_exhaustive()
    }
}
