//! Opening sessions, and the settings with which that is done.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::{Connection, ConnectionOptions};
use crate::context::RequestContext;
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::id::SessionId;
use crate::key::KeyDerivation;
use crate::limits::SizeHandler;
use crate::mode::ConcurrencyMode;
use crate::observer::{Observer, Subject};
use crate::provider::{Capabilities, SessionProvider};
use crate::route::{ConnectionCallback, Place, Route, Routing};
use crate::serializer::SessionSerializer;
use crate::session::Session;
use crate::settings::Settings;
use crate::shared::{Opened, Shared};
use crate::stores::{Given, Stores};

/// Opens sessions: for the web layer, and for WebSockets, background jobs and anything else that knows an id.
///
/// Cheap to clone; clones share the live sessions of this process.
#[derive(Clone)]
pub struct SessionManager<S> {
    codec: S,
    shared: Arc<Shared>,
}

impl<S: SessionSerializer> SessionManager<S> {
    /// Settings for a manager that keeps sessions in this store, on the connection named `default`.
    pub fn builder(provider: impl SessionProvider, serializer: S) -> SessionManagerBuilder<S> {
        SessionManagerBuilder {
            codec: serializer,
            default: Arc::new(provider),
            others: Vec::new(),
            connection: None,
            max_connections: 100,
            keys: KeyDerivation::default(),
            settings: Settings::default(),
            observers: Vec::new(),
        }
    }

    /// Opens the session of this id as the store has it: with one round trip, of a few dozen bytes if this process has
    /// a copy. Writes nothing.
    ///
    /// Without an id, or with one that the store does not know, the request gets a new session, which is created under
    /// a fresh id if something is written. An id that has ended in favour of another gives a session that reads as
    /// empty and refuses to be written.
    ///
    /// # Errors
    ///
    /// Whatever the store answers after the timed retry, [`KeyCallback`](crate::ErrorKind::KeyCallback) if a callback
    /// fails, and [`Config`](crate::ErrorKind::Config) if the connection callback answers options that cannot be. With
    /// `throw_on_error(false)` the session is then degraded instead.
    pub async fn open(&self, context: &RequestContext, id: Option<&SessionId>) -> Result<Session<S>> {
        self.open_in_mode(context, id, ConcurrencyMode::Merge).await
    }

    /// As [`open`](Self::open), and says what the request may do with the session.
    ///
    /// ```
    /// # use session_core::{ConcurrencyMode, ErrorKind, MemoryProvider, RequestContext, SessionManager};
    /// # use session_serde::Json;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> session_core::Result<()> {
    /// let manager = SessionManager::builder(MemoryProvider::new(), Json).build()?;
    /// let report = manager.open_in_mode(&RequestContext::default(), None, ConcurrencyMode::ReadOnly).await?;
    /// assert_eq!(report.get::<i64>("visits")?, None);
    /// assert_eq!(report.increment("visits", 1).unwrap_err().kind(), ErrorKind::ReadOnly);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_in_mode(
        &self,
        context: &RequestContext,
        id: Option<&SessionId>,
        mode: ConcurrencyMode,
    ) -> Result<Session<S>> {
        self.shared.start_periodic_tasks();
        let session = id.map(SessionId::fingerprint);
        let handle = match self.shared.route(context, id) {
            Ok(route) => match id.map(|id| route.place(*id)).transpose() {
                Ok(place) => self.open_at(route, place.as_ref()).await,
                Err(error) => Err((Subject { session, ..route.subject(None) }, route, error)),
            },
            Err(error) => {
                let subject = Subject { session, key: None, connection: None, context: context.clone() };
                Err((subject, self.shared.routing.default_route(context), error))
            }
        };
        let handle = handle.or_else(|(subject, route, error)| {
            self.shared.note(subject, &error);
            if self.shared.settings.throw_on_error {
                Err(error)
            } else {
                Shared::unheard(session, &error);
                Ok(Handle::degraded(&self.shared, route, error))
            }
        })?;
        let handle = handle.in_mode(mode);
        handle.meet_oversize();
        Ok(Session::new(self.codec.clone(), handle))
    }

    async fn open_at(&self, route: Route, place: Option<&Place>) -> Result<Handle, (Subject, Route, Error)> {
        let Some(place) = place else { return Ok(Handle::fresh(&self.shared, route)) };
        match self.shared.open(&route, place).await {
            Ok(Opened::Found(held)) => Ok(Handle::found(&self.shared, route, held, place.id)),
            Ok(Opened::Unknown) => Ok(Handle::fresh(&self.shared, route)),
            Ok(Opened::Ended) => Ok(Handle::ended(&self.shared, route)),
            Err(error) => Err((route.subject(Some(place)), route, error)),
        }
    }

    /// What the provider can do that keeps the sessions of such requests. Asks the connection callback and no server.
    ///
    /// # Errors
    ///
    /// [`KeyCallback`](crate::ErrorKind::KeyCallback) or [`Config`](crate::ErrorKind::Config) if the connection callback
    /// fails or answers what cannot be.
    pub fn capabilities(&self, context: &RequestContext, id: Option<&SessionId>) -> Result<Capabilities> {
        Ok(self.shared.routing.store(context, id)?.provider.capabilities())
    }

    /// The names of the connections that are open so far, in the order in which they were opened; one in a database
    /// other than 0 as `name/database`, as in [`Error::connection`].
    pub fn connections(&self) -> Vec<Arc<str>> {
        self.shared.routing.stores.all().iter().map(|store| Arc::clone(&store.name)).collect()
    }

    /// The last error of any session.
    pub fn last_error(&self) -> Option<Error> {
        self.shared.last_error()
    }

    /// How many sessions this process has a live copy of, in use or kept.
    pub fn live_sessions(&self) -> usize {
        self.shared.table.count().0
    }

    /// The memory that the kept copies occupy, in bytes, as far as it is counted: their attributes, twice where they
    /// are decoded, and a constant each.
    pub fn kept_bytes(&self) -> usize {
        self.shared.table.count().1
    }

    /// Waits until everything that runs in the background is done: commits of requests that were dropped, renewals of
    /// expiries. Then repeats the destructions that had failed, and waits until observers were told what happened, the
    /// latest figures included, for [`EVENTS_TOLD_WITHIN`](crate::EVENTS_TOLD_WITHIN) at most. What fails is logged and is
    /// the [`last_error`](Self::last_error).
    ///
    /// It takes no longer than the retry timeout and a few operations of the store, and then those seconds. To be called
    /// at the end, on the runtime that served the requests, when no more of them come: what a running request has not
    /// committed is not waited for. Requests that come all the same work as ever, and what they leave in the background
    /// can be waited for by another call.
    pub async fn shutdown(&self) {
        self.shared.shut_down().await;
    }
}

impl<S> fmt::Debug for SessionManager<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

/// Settings of a [`SessionManager`]. Every method states its default.
pub struct SessionManagerBuilder<S> {
    codec: S,
    default: Arc<dyn SessionProvider>,
    others: Vec<(Arc<str>, Given)>,
    connection: Option<ConnectionCallback>,
    max_connections: usize,
    keys: KeyDerivation,
    settings: Settings,
    observers: Vec<Arc<dyn Observer>>,
}

impl<S: SessionSerializer> SessionManagerBuilder<S> {
    /// Another store, under a name for the [connection callback](Self::connection_callback).
    #[must_use]
    pub fn connection(mut self, name: impl Into<Arc<str>>, provider: impl SessionProvider) -> Self {
        self.others.push((name.into(), Given::Provider(Arc::new(provider))));
        self
    }

    /// Another connection, with all that it takes to open it: the [connection callback](Self::connection_callback) can
    /// also choose a database of it.
    #[must_use]
    pub fn connection_with_options(mut self, name: impl Into<Arc<str>>, options: impl ConnectionOptions) -> Self {
        self.others.push((name.into(), Given::Options(Arc::new(options))));
        self
    }

    /// Chooses the connection of a request, with its database, by its context and the id it came with, if any. It must
    /// answer the same for the life of a session, and is asked once for each request that opens one. Default: the
    /// connection named `default`.
    ///
    /// If it fails, or answers what cannot be, opening the session fails:
    /// [`KeyCallback`](crate::ErrorKind::KeyCallback) for a failure, a panic, an unknown name without options, and a
    /// connection more than [`max_connections`](Self::max_connections); [`Config`](crate::ErrorKind::Config) for options
    /// that are wrong, or are not those by which the connection of this name is open. See [`Connection`] for an example.
    #[must_use]
    pub fn connection_callback(
        mut self,
        callback: impl Fn(&RequestContext, Option<&SessionId>) -> Result<Connection> + Send + Sync + 'static,
    ) -> Self {
        self.connection = Some(Arc::new(callback));
        self
    }

    /// How many connections the [connection callback](Self::connection_callback) may open beside those that were given,
    /// each database counted as one; at most 65,536. They are never closed, and a callback that makes up a name for every
    /// request shall not exhaust the process. Default: 100.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How keys are made of ids. Default: `session:` and the SHA-256 of the id.
    #[must_use]
    pub fn key_derivation(mut self, rule: KeyDerivation) -> Self {
        self.keys = rule;
        self
    }

    /// How long a session lives after its last request, at least; 1 ms to 100 years. Default: 20 minutes.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout;
        self
    }

    /// By how many percent of the idle timeout the expiry is set later, so that not every read has to renew it; 0
    /// renews at every read, 100 is the most. Default: 10.
    #[must_use]
    pub fn expiry_slack(mut self, percent: u8) -> Self {
        self.settings.expiry_slack = percent;
        self
    }

    /// How long a session lives at most, whatever happens; 1 ms to 100 years. Default: as long as it is used.
    #[must_use]
    pub fn absolute_timeout(mut self, timeout: Duration) -> Self {
        self.settings.absolute_timeout = Some(timeout);
        self
    }

    /// How many bytes a session's attributes may have, names and values. What happens to one with more is the
    /// [size handler](Self::size_handler)'s to decide; one with more than ten times as much is not loaded. Changes that
    /// several processes make at the same time are each within the limit, but may pass it together: whoever next opens
    /// the session finds that. Default: 30,000.
    #[must_use]
    pub fn max_session_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_session_bytes = bytes;
        self
    }

    /// What happens when a session passes [`max_session_bytes`](Self::max_session_bytes). Default:
    /// [`SizeHandler::refuse`].
    ///
    /// ```
    /// # use session_core::{ErrorKind, MemoryProvider, RequestContext, SessionManager, SizeHandler};
    /// # use session_serde::Json;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> session_core::Result<()> {
    /// let manager = SessionManager::builder(MemoryProvider::new(), Json)
    ///     .max_session_bytes(100)
    ///     .size_handler(SizeHandler::clear())
    ///     .build()?;
    /// let session = manager.open(&RequestContext::default(), None).await?;
    /// session.insert("history", &"x".repeat(80))?;
    /// session.insert("user", &"y".repeat(80))?;
    /// assert_eq!(session.names()?, ["user"]);
    /// assert_eq!(session.insert("user", &"z".repeat(200)).unwrap_err().kind(), ErrorKind::TooLarge);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn size_handler(mut self, handler: SizeHandler) -> Self {
        self.settings.size_handler = handler;
        self
    }

    /// How long failed calls of the store are made again: after 20 ms, then every second, and one last time at the
    /// timeout; at most 5 minutes. Default: 0, not at all.
    #[must_use]
    pub fn retry_timeout(mut self, timeout: Duration) -> Self {
        self.settings.retry_timeout = timeout;
        self
    }

    /// Whether errors of the store reach the caller. If not, they are kept as the last error and the request goes on;
    /// a session that could not be read is degraded. Default: `true`.
    #[must_use]
    pub fn throw_on_error(mut self, throw: bool) -> Self {
        self.settings.throw_on_error = throw;
        self
    }

    /// Somebody who is told what happens, beside those given before. Default: nobody.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// How long a live copy is kept after its last request, to be validated when it is next used; 0 keeps none.
    /// Default: 2 minutes.
    #[must_use]
    pub fn keep_for(mut self, time: Duration) -> Self {
        self.settings.keep_for = time;
        self
    }

    /// How much memory kept copies may occupy in all. Default: 64 MiB.
    #[must_use]
    pub fn keep_bytes(mut self, bytes: usize) -> Self {
        self.settings.keep_bytes = bytes;
        self
    }

    /// How often kept copies whose time is over are dropped. Default: 5 seconds.
    #[must_use]
    pub fn check_interval(mut self, interval: Duration) -> Self {
        self.settings.check_interval = interval;
        self
    }

    /// Into how many parts the table of live sessions is divided, each with a lock of its own; 1 to 65,536, rounded up
    /// to a power of two. Default: four per core.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.settings.shards = shards;
        self
    }

    /// How often observers are told what went over each connection ([`Observer::traffic`]); 0 is never, 100 years the
    /// longest. Default: 30 seconds.
    #[must_use]
    pub fn figures_interval(mut self, interval: Duration) -> Self {
        self.settings.figures_interval = interval;
        self
    }

    /// Checks the settings. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) naming the setting that is wrong.
    pub fn build(self) -> Result<SessionManager<S>> {
        self.settings.check()?;
        self.keys.check()?;
        let stores = Stores::new(self.default, self.others, self.max_connections)?;
        let routing = Routing { stores, connection: self.connection, keys: Arc::new(self.keys) };
        let shared = Shared::new(self.settings, routing, self.observers);
        Ok(SessionManager { codec: self.codec, shared: Arc::new(shared) })
    }
}

impl<S> fmt::Debug for SessionManagerBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManagerBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
