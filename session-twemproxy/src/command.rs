//! The closed set of commands that are sent to a TwemProxy.
//!
//! The proxy answers a command that it does not forward by closing the client's connection, and everybody whose command
//! is on the way there loses the reply. So there is no trying: what is sent is made from a [`ProxyCommand`], and what is
//! none cannot be sent.

use bytes::Bytes;
use session_redis::transport::Command;

/// A command that a TwemProxy forwards, to the one server that has the key. Another one is not to be expressed here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyCommand<'a> {
    /// `HGETALL key`
    AllFields { key: &'a Bytes },
    /// `HMGET key field …`
    Fields { key: &'a Bytes, first: &'a Bytes, others: &'a [Bytes] },
    /// `PTTL key`
    TimeToLive { key: &'a Bytes },
    /// `EVALSHA digest 1 key argument …`
    ScriptByDigest { digest: &'a Bytes, key: &'a Bytes, arguments: &'a [Bytes] },
    /// `EVAL text 1 key argument …`
    ScriptByText { text: &'a Bytes, key: &'a Bytes, arguments: &'a [Bytes] },
}

impl<'a> ProxyCommand<'a> {
    /// `None` for what a TwemProxy does not forward, or not to one server, and for what we have no use for.
    pub(crate) fn from_command(command: &'a Command) -> Option<Self> {
        let (name, arguments) = command.parts().split_first()?;
        Some(match (&name[..], arguments) {
            (b"HGETALL", [key]) => Self::AllFields { key },
            (b"HMGET", [key, first, others @ ..]) => Self::Fields { key, first, others },
            (b"PTTL", [key]) => Self::TimeToLive { key },
            (b"EVALSHA", [digest, keys, key, arguments @ ..]) if &keys[..] == b"1" => {
                Self::ScriptByDigest { digest, key, arguments }
            }
            (b"EVAL", [text, keys, key, arguments @ ..]) if &keys[..] == b"1" => {
                Self::ScriptByText { text, key, arguments }
            }
            _ => return None,
        })
    }

    /// As it is sent.
    pub(crate) fn to_command(self) -> Command {
        let script = |name, script: &Bytes, key: &Bytes, arguments: &[Bytes]| {
            let command = Command::new(name).arg(script.clone()).arg(Bytes::from_static(b"1")).arg(key.clone());
            command.args(arguments.iter().cloned())
        };
        match self {
            Self::AllFields { key } => Command::new("HGETALL").arg(key.clone()),
            Self::Fields { key, first, others } => {
                Command::new("HMGET").arg(key.clone()).arg(first.clone()).args(others.iter().cloned())
            }
            Self::TimeToLive { key } => Command::new("PTTL").arg(key.clone()),
            Self::ScriptByDigest { digest, key, arguments } => script("EVALSHA", digest, key, arguments),
            Self::ScriptByText { text, key, arguments } => script("EVAL", text, key, arguments),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&'static str]) -> Command {
        Command::new(words[0]).args(words[1..].iter().map(|word| Bytes::from_static(word.as_bytes())))
    }

    #[test]
    fn what_is_forwarded_is_sent_as_it_was() {
        for words in [
            &["HGETALL", "key"][..],
            &["HMGET", "key", "@g"],
            &["HMGET", "key", "@g", "@v", "visits"],
            &["PTTL", "key"],
            &["EVALSHA", "digest", "1", "key"],
            &["EVALSHA", "digest", "1", "key", "one", "two"],
            &["EVAL", "return 1", "1", "key"],
            &["EVAL", "return 1", "1", "key", "one", "two"],
        ] {
            let command = command(words);
            let allowed = ProxyCommand::from_command(&command).unwrap_or_else(|| panic!("{words:?}"));
            assert!(allowed.to_command() == command, "{words:?}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for words in [
            // What would close the connection.
            &["PING", "x"][..],
            &["CLIENT", "SETINFO", "lib-name", "x"],
            &["HELLO", "3"],
            &["SELECT", "1"],
            &["INFO"],
            &["TIME"],
            &["MULTI"],
            &["SCRIPT", "LOAD", "return 1"],
            &["EVAL", "return 1", "0"],
            &["EVALSHA", "digest", "0"],
            &["EXPIRE", "key", "1", "NX"],
            &["HPEXPIRE", "key", "1", "FIELDS", "1", "f"],
            &["HGETALL"],
            &["HGETALL", "key", "more"],
            &["HMGET", "key"],
            &["PTTL", "key", "more"],
            // What would have servers speak unasked.
            &["CLIENT", "TRACKING", "ON", "BCAST"],
            &["CLIENT", "CACHING", "YES"],
            &["SUBSCRIBE", "__redis__:invalidate"],
            &["SSUBSCRIBE", "channel"],
            &["PSUBSCRIBE", "*"],
            &["MONITOR"],
            // What is wrong across servers.
            &["EVALSHA", "digest", "2", "key", "other"],
            &["EVAL", "return 1", "2", "key", "other"],
            &["EXISTS", "key", "other"],
            &["DEL", "key", "other"],
            // What is forwarded and writes without an expiry.
            &["HSET", "key", "field", "value"],
            &["SET", "key", "value"],
            // Names are compared as we write them.
            &["hgetall", "key"],
        ] {
            assert!(ProxyCommand::from_command(&command(words)).is_none(), "{words:?}");
        }
    }
}
