//! What a server's error replies mean.

use session_core::{Error, ErrorKind, Operation};

use crate::transport::ServerError;

/// The error for a command that the server refused. Shows the server's error code and texts of our own only: a server
/// may repeat keys and arguments in its texts.
pub fn refusal(error: &ServerError, operation: Operation) -> Error {
    let (kind, why) = meaning(error);
    let code = error.code();
    let detail = if why.is_empty() { format!("the server answered {code}") } else { format!("{why} ({code})") };
    Error::new(kind, operation, detail)
}

/// As [`refusal`], for a connection to a cluster: what its nodes say while slots or nodes change is over soon.
pub(crate) fn cluster_refusal(error: &ServerError, operation: Operation) -> Error {
    let why = match error.code() {
        "CLUSTERDOWN" => "the cluster is down, or no node serves the key's slot",
        "TRYAGAIN" => "the key's slot is being moved to another node",
        "MOVED" | "ASK" => "the node sent us to another one, in a way that cannot be understood",
        _ => return refusal(error, operation),
    };
    Error::new(ErrorKind::Rejected, operation, format!("{why} ({})", error.code()))
}

/// Whether the server asks us to look for another one: after a fail-over, the one that we are connected to takes no
/// writes any more.
pub(crate) fn should_reconnect(error: &ServerError) -> bool {
    error.code() == "READONLY"
}

/// Whether a server has closed the connection because it has too many.
pub(crate) fn no_room(error: &ServerError) -> bool {
    error.code() == "ERR" && error.text().starts_with("max number of clients")
}

fn meaning(error: &ServerError) -> (ErrorKind, &'static str) {
    let text = error.text();
    match error.code() {
        "LOADING" => (ErrorKind::Rejected, "the server is still loading its data"),
        "OOM" => (ErrorKind::Rejected, "the server is out of memory"),
        "READONLY" => (ErrorKind::Rejected, "the server is a read-only replica"),
        "MISCONF" => (ErrorKind::Rejected, "the server cannot persist and therefore takes no writes"),
        "NOREPLICAS" => (ErrorKind::Rejected, "the server has too few replicas to take writes"),
        "MASTERDOWN" => (ErrorKind::Rejected, "the server is a replica without its master"),
        "BUSY" => (ErrorKind::Unavailable, "the server is busy with a script"),
        "NOAUTH" => (ErrorKind::Auth, "the server asks for credentials (settings `username`, `access_key`)"),
        "WRONGPASS" => (ErrorKind::Auth, "the server refused the credentials (settings `username`, `access_key`)"),
        "NOPERM" => (ErrorKind::Auth, "the server's user lacks a permission (setting `username`)"),
        "DENIED" => (ErrorKind::Auth, "the server is in protected mode and refuses other hosts"),
        "WRONGTYPE" => (ErrorKind::ForeignKey, "the key holds another type"),
        "MOVED" | "ASK" | "CLUSTERDOWN" | "TRYAGAIN" | "CROSSSLOT" => (
            ErrorKind::Unsupported,
            "the server is part of a cluster, and this connection is for a single server (setting `topology`)",
        ),
        "ERR" if text.starts_with("The user executing the script can't") => {
            (ErrorKind::Auth, "the server's user lacks a permission (setting `username`)")
        }
        "ERR" if no_room(error) => (ErrorKind::Unavailable, "the server has too many clients"),
        "ERR" if text.starts_with("unknown command") || text.starts_with("unknown subcommand") => {
            (ErrorKind::Unsupported, "the server does not know a command that we need")
        }
        "ERR" if text.starts_with("Protocol error") => {
            (ErrorKind::TooLarge, "the server refused the request's size (setting `max_value_bytes`)")
        }
        // Not known to us, so not known to be without effect either.
        _ => (ErrorKind::OutcomeUnknown, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (line, kind) in [
            ("LOADING Redis is loading the dataset in memory", ErrorKind::Rejected),
            ("OOM command not allowed when used memory > 'maxmemory'.", ErrorKind::Rejected),
            ("READONLY You can't write against a read only replica.", ErrorKind::Rejected),
            ("MISCONF Redis is configured to save RDB snapshots", ErrorKind::Rejected),
            ("NOREPLICAS Not enough good replicas to write.", ErrorKind::Rejected),
            ("MASTERDOWN Link with MASTER is down", ErrorKind::Rejected),
            ("BUSY Redis is busy running a script.", ErrorKind::Unavailable),
            ("ERR max number of clients reached", ErrorKind::Unavailable),
            ("NOAUTH Authentication required.", ErrorKind::Auth),
            ("WRONGPASS invalid username-password pair", ErrorKind::Auth),
            ("NOPERM this user has no permissions", ErrorKind::Auth),
            ("ERR The user executing the script can't run this command", ErrorKind::Auth),
            ("WRONGTYPE Operation against a key", ErrorKind::ForeignKey),
            ("MOVED 3999 127.0.0.1:6381", ErrorKind::Unsupported),
            ("ASK 3999 127.0.0.1:6381", ErrorKind::Unsupported),
            ("CLUSTERDOWN The cluster is down", ErrorKind::Unsupported),
            ("ERR unknown command 'EVALSHA', with args beginning with: 'secret'", ErrorKind::Unsupported),
            ("ERR something else", ErrorKind::OutcomeUnknown),
        ] {
            let error = refusal(&ServerError::parse(line), Operation::Commit);
            assert_eq!(error.kind(), kind, "{line}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn kinds_of_a_cluster() {
        for (line, kind) in [
            ("CLUSTERDOWN Hash slot not served", ErrorKind::Rejected),
            ("TRYAGAIN Multiple keys request during rehashing of slot", ErrorKind::Rejected),
            ("MOVED 3999 ?:0", ErrorKind::Rejected),
            ("CROSSSLOT Keys in request don't hash to the same slot", ErrorKind::Unsupported),
            ("LOADING Redis is loading the dataset in memory", ErrorKind::Rejected),
        ] {
            assert_eq!(cluster_refusal(&ServerError::parse(line), Operation::Commit).kind(), kind, "{line}");
        }
    }

    #[test]
    fn an_unsafe_code_is_not_shown() {
        let error = refusal(&ServerError::parse("my-secret-key rest"), Operation::Load);
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
