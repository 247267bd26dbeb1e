//! The session as an axum extractor.

use std::ops::Deref;

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use session_core::SessionSerializer;
use session_serde::Codec;

use crate::rejection::SessionRejection;
use crate::slot::SessionSlot;

/// The request's session: everything that [`session_core::Session`] can do.
///
/// Extracting it opens the session, once per request. Write plain `Session` in handlers; name the serializer
/// (`Session<MySerializer>`) if the layer's manager has another one than [`session_serde::Codec`].
///
/// ```
/// use session_tower::{Session, SessionRejection};
///
/// async fn theme(session: Session) -> Result<String, SessionRejection> {
///     Ok(session.get("theme")?.unwrap_or_else(|| "light".to_owned()))
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(theme));
/// ```
///
/// # Rejections
///
/// [`SessionRejection`], if there is no layer, or the session cannot be opened.
#[derive(Clone)]
pub struct Session<S = Codec>(session_core::Session<S>);

impl<S> Session<S> {
    /// The session as other code takes it.
    pub fn into_inner(self) -> session_core::Session<S> {
        self.0
    }
}

impl<S> Deref for Session<S> {
    type Target = session_core::Session<S>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<S: SessionSerializer, State: Send + Sync> FromRequestParts<State> for Session<S> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, SessionRejection> {
        let slot = SessionSlot::from_extensions(&parts.extensions)?;
        Ok(Self(slot.open().await?))
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        let status = self.status();
        match self {
            // A text of our own, for whoever develops the application: no session has ever been open here.
            Self::MissingLayer => {
                tracing::error!("{self}");
                (status, self.to_string()).into_response()
            }
            Self::Failed(error) => {
                tracing::debug!(%error, "a request failed for its session");
                status.into_response()
            }
        }
    }
}
