//! Why a request was not done, as a response.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use session_tower::SessionRejection;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The form is not filled in as it should be; the sentence tells how.
    Invalid(&'static str),
    /// The session cannot be had or changed.
    Session(SessionRejection),
}

impl From<session_core::Error> for Failure {
    fn from(error: session_core::Error) -> Self {
        Self::Session(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(why) => (StatusCode::UNPROCESSABLE_ENTITY, why).into_response(),
            Self::Session(rejection) => rejection.into_response(),
        }
    }
}
