//! Web sessions for any tower stack, and an extractor for axum.
//!
//! [`SessionLayer`] takes the session id from the request's cookie and leaves a [`SessionSlot`] in the request. The
//! first handler that asks opens the session; a request whose handler never asks costs the store nothing. When the
//! response is ready, its head is held until the store has acknowledged the changes; then the client is told its id if
//! there is something to tell. If the client hangs up or the handler panics, the changes are still committed, because
//! the layer then drops its hold on the session, and a dropped session commits.
//!
//! ```no_run
//! # #[cfg(all(feature = "axum", feature = "json"))]
//! # mod example {
//! use axum::{Router, routing::get};
//! use session_core::{MemoryProvider, SessionManager};
//! use session_serde::Codec;
//! use session_tower::{Session, SessionLayer, SessionRejection};
//!
//! async fn visits(session: Session) -> Result<String, SessionRejection> {
//!     Ok(format!("visit {}", session.increment("visits", 1)?))
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let manager = SessionManager::builder(MemoryProvider::new(), Codec::default()).build()?;
//! let app: Router = Router::new().route("/visits", get(visits)).layer(SessionLayer::new(manager));
//! # let _ = app;
//! # Ok(())
//! # }
//! # }
//! ```
//!
//! # Without axum
//!
//! Any service below the layer takes the slot from the request's extensions:
//!
//! ```no_run
//! # use session_tower::{SessionRejection, SessionSlot};
//! async fn visits<B>(request: http::Request<B>) -> Result<i64, SessionRejection> {
//!     let slot: SessionSlot = SessionSlot::from_extensions(request.extensions())?;
//!     Ok(slot.open().await?.increment("visits", 1)?)
//! }
//! ```
//!
//! # Without the layer
//!
//! WebSockets and other pipelines open sessions with [`session_core::SessionManager`] and translate between ids and
//! headers with [`SessionCookie`].
//!
//! # Statuses
//!
//! [`status_of`] tells which status answers which kind of error. Responses contain no text of the error; it is logged.
//! An error never sets or removes a cookie, so an outage logs nobody out.
//!
//! # Features
//!
//! - `axum` (default): the extractor `Session`, and [`SessionRejection`] as a response.
//! - `json` (default), `msgpack`, `postcard`: make [`session_serde::Codec`] able to speak JSON, MessagePack, postcard.

#[cfg(test)]
use secret_watch as _;

mod cache;
mod cookie;
#[cfg(feature = "axum")]
mod extract;
mod future;
mod layer;
mod rejection;
mod service;
mod slot;

pub use cookie::{SameSite, SessionCookie, SessionCookieBuilder};
#[cfg(feature = "axum")]
pub use extract::Session;
pub use future::SessionFuture;
pub use layer::SessionLayer;
pub use rejection::{SessionRejection, status_of};
pub use service::SessionService;
pub use slot::SessionSlot;
