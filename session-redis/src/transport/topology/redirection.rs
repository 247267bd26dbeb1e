//! What a cluster's node says when another one is to be asked.

use super::slots::at;
use crate::transport::{Address, Reply, ServerError};

/// Where to go instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redirection {
    /// To the node that has the slot.
    Moved(Address),
    /// To the node that the slot is being moved to, with this request only.
    Ask(Address),
}

/// Where the replies of a node to one request, about one key, send us. Of several, the last one is the newest.
pub(super) fn redirection(replies: &[Reply], from: &Address) -> Option<Redirection> {
    replies.iter().rev().find_map(|reply| match reply {
        Reply::Error(error) => read(error, from),
        _ => None,
    })
}

/// `MOVED slot host:port` or `ASK slot host:port`; an IPv6 address is without brackets there.
fn read(error: &ServerError, from: &Address) -> Option<Redirection> {
    let make = match error.code() {
        "MOVED" => Redirection::Moved,
        "ASK" => Redirection::Ask,
        _ => return None,
    };
    let (_, node) = error.text().split_once(' ')?;
    let (host, port) = node.rsplit_once(':')?;
    at(host, port.parse().ok()?, from).map(make)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let tcp = |host: &str, port| Address::Tcp { host: host.to_owned(), port };
        let read = |line| redirection(&[Reply::Error(ServerError::parse(line))], &tcp("asked", 1));
        for (line, expected) in [
            ("MOVED 3999 127.0.0.1:6381", Some(Redirection::Moved(tcp("127.0.0.1", 6381)))),
            ("ASK 3999 node.example:6381", Some(Redirection::Ask(tcp("node.example", 6381)))),
            ("MOVED 3999 ::1:6381", Some(Redirection::Moved(tcp("::1", 6381)))),
            ("MOVED 3999 :6381", Some(Redirection::Moved(tcp("asked", 6381)))),
            ("MOVED 3999 ?:6381", None),
            ("MOVED 3999 h:0", None),
            ("MOVED 3999 h:66666", None),
            ("MOVED 3999", None),
            ("MOVED", None),
            ("TRYAGAIN Multiple keys request during rehashing of slot", None),
            ("ERR no", None),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn one_of_several_replies_is_enough() {
        let from = Address::Tcp { host: "asked".into(), port: 1 };
        let error = |line| Reply::Error(ServerError::parse(line));
        assert_eq!(redirection(&[], &from), None);
        assert_eq!(redirection(&[Reply::Nil, Reply::Integer(1)], &from), None);
        let to = |host: &str| Address::Tcp { host: host.into(), port: 2 };
        assert_eq!(redirection(&[error("ASK 1 a:2"), Reply::Nil], &from), Some(Redirection::Ask(to("a"))));
        assert_eq!(redirection(&[Reply::Nil, error("ASK 1 a:2")], &from), Some(Redirection::Ask(to("a"))));
        let both = [error("ASK 1 a:2"), error("MOVED 1 b:2")];
        assert_eq!(redirection(&both, &from), Some(Redirection::Moved(to("b"))));
    }
}
