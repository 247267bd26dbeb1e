//! What the error replies mean that come through a TwemProxy, and those of its own.

use session_core::{Error, ErrorKind, Operation};
use session_redis::transport::ServerError;

/// The code of the reply that is given, here and without asking anybody, to a command that the proxy would not forward.
pub(crate) const NOT_FORWARDED: &str = "NOTFORWARDED";

/// The error for a reply: the proxy's own, which are the texts of its system errors, or a server's that came through.
pub(crate) fn refusal(error: &ServerError, operation: Operation) -> Error {
    let (kind, why) = match (error.code(), error.text()) {
        (NOT_FORWARDED, _) => (ErrorKind::Unsupported, "a TwemProxy does not forward this command"),
        // Nothing was sent to the server, since there is no connection to it.
        ("ERR", "Connection refused") => (ErrorKind::Unavailable, "the server behind the proxy refused the connection"),
        // The request may wait on the way to a server that hangs, and be executed when that goes on.
        ("ERR", "Connection timed out") => {
            (ErrorKind::OutcomeUnknown, "the server behind the proxy did not answer within the pool's `timeout`")
        }
        // The proxy cannot read some refusals (OOM, BUSY, LOADING): it drops its connection to the server and answers
        // this to all whose replies were to come over that, executed or not.
        ("ERR", "Invalid argument") => {
            (ErrorKind::OutcomeUnknown, "the proxy could not read what the server behind it answered")
        }
        // The server ended its connection with the proxy, in the midst of whatever.
        ("ERR", "Connection reset by peer" | "Broken pipe" | "unknown") => {
            (ErrorKind::OutcomeUnknown, "the server behind the proxy closed the connection")
        }
        // Said when we gave no password, or a wrong one, after the connection was made.
        ("NOAUTH", _) => (ErrorKind::Auth, "the proxy or the server behind it asks for a password"),
        _ => return session_redis::refusal(error, operation),
    };
    Error::new(kind, operation, why)
}

/// Reconnecting would be to the same proxy, whose own connection is the matter, and cost the others their replies.
pub(crate) fn never_reconnect(_: &ServerError) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use session_core::Effect;

    use super::*;

    #[test]
    fn kinds() {
        for (code, text, kind) in [
            (NOT_FORWARDED, "", ErrorKind::Unsupported),
            ("ERR", "Connection refused", ErrorKind::Unavailable),
            ("ERR", "Connection timed out", ErrorKind::OutcomeUnknown),
            ("ERR", "Invalid argument", ErrorKind::OutcomeUnknown),
            ("ERR", "Connection reset by peer", ErrorKind::OutcomeUnknown),
            ("ERR", "No route to host", ErrorKind::OutcomeUnknown),
            ("ERR", "unknown", ErrorKind::OutcomeUnknown),
            ("NOAUTH", "Authentication required.", ErrorKind::Auth),
            ("READONLY", "You can't write against a read only replica.", ErrorKind::Rejected),
            ("MASTERDOWN", "Link with MASTER is down", ErrorKind::Rejected),
            ("NOREPLICAS", "Not enough good replicas to write.", ErrorKind::Rejected),
            ("WRONGTYPE", "Operation against a key", ErrorKind::ForeignKey),
            ("NOPERM", "this user has no permissions", ErrorKind::Auth),
        ] {
            let error = refusal(&ServerError::new(code, text), Operation::Commit);
            assert_eq!(error.kind(), kind, "{code} {text}");
            let perhaps = kind == ErrorKind::OutcomeUnknown;
            assert_eq!(error.effect() == Effect::PerhapsApplied, perhaps, "{code} {text}");
        }
    }
}
