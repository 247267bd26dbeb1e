//! Errors as responses.

use std::fmt;

use http::StatusCode;
use session_core::{Error, ErrorKind};

/// Why a handler did not get its session.
///
/// With the feature `axum` it is a response: [`status`](Self::status), with no text of the error in its body. Handlers
/// can also return it for the errors of the session itself, with `?`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SessionRejection {
    /// No [`SessionLayer`](crate::SessionLayer) with this serializer is above the handler. A mistake in the program.
    MissingLayer,
    /// The session could not be opened or used.
    Failed(Error),
}

impl SessionRejection {
    /// The status that answers it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MissingLayer => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Failed(error) => status_of(error.kind()),
        }
    }
}

/// The status that answers an error of this kind.
///
/// `Unavailable`, `OutcomeUnknown` and `Rejected`: 503, the same request can succeed later. `Gone` and `Conflict`: 409,
/// it can succeed with the session as it is now. All else: 500.
pub fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Unavailable | ErrorKind::OutcomeUnknown | ErrorKind::Rejected => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Gone | ErrorKind::Conflict => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for SessionRejection {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingLayer => f.write_str(
                "no session in this request: add a SessionLayer above this handler, with the serializer that the \
                 handler's session type names",
            ),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SessionRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::MissingLayer => None,
            Self::Failed(error) => error.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use session_core::Operation;

    use super::*;

    #[test]
    fn statuses() {
        for (kind, status) in [
            (ErrorKind::Unavailable, 503),
            (ErrorKind::OutcomeUnknown, 503),
            (ErrorKind::Rejected, 503),
            (ErrorKind::Gone, 409),
            (ErrorKind::Conflict, 409),
            (ErrorKind::Auth, 500),
            (ErrorKind::NotACounter, 500),
            (ErrorKind::ReadOnly, 500),
            (ErrorKind::TooLate, 500),
            (ErrorKind::Corrupt, 500),
            (ErrorKind::Encode, 500),
            (ErrorKind::ForeignKey, 500),
            (ErrorKind::TooLarge, 500),
            (ErrorKind::InvalidId, 500),
            (ErrorKind::InvalidName, 500),
            (ErrorKind::KeyCallback, 500),
            (ErrorKind::Unsupported, 500),
            (ErrorKind::Config, 500),
            (ErrorKind::Closure, 500),
        ] {
            assert_eq!(status_of(kind).as_u16(), status, "{kind:?}");
            let rejection = SessionRejection::from(Error::new(kind, Operation::Load, ""));
            assert_eq!(rejection.status().as_u16(), status, "{kind:?}");
        }
        assert_eq!(SessionRejection::MissingLayer.status().as_u16(), 500);
    }
}
