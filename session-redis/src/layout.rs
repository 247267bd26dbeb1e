//! How a session lies in its hash: the header's fields, and how they are read.
//!
//! One field per attribute, under the attribute's own name. The header's fields start with `@`, which no attribute's
//! name does:
//!
//! | field | holds |
//! |---|---|
//! | `@g` | the generation |
//! | `@v` | the version |
//! | `@f` | the fingerprint of the id |
//! | `@c` | when it was created, milliseconds since 1970 |
//! | `@d` | when it ends whatever happens, milliseconds since 1970; absent: never |
//! | `@i` | its own idle timeout in milliseconds; absent: not overridden |
//! | `@w` | what each writer has written: for each ` <writer>:<sequence>:<seconds since 1970>`, and `:<sequence>` if a |
//! |      | repeated batch of this number was refused since; the first number is missing if it never wrote |
//! | `@m` | present if the creation was sent more than once |
//!
//! A tombstone is a hash with the field `@t` alone: the successor's generation, or empty after a destroy. Other fields
//! starting with `@` are left alone, as are fields that can't be an attribute's name.
//!
//! A writer's time in `@w` is that of the server. It may be up to a minute older than the writer's newest sequence
//! number (see [`STAMP_KEPT_FOR`]), so entries are forgotten after [`ENTRY_FORGOTTEN_AFTER`] and not earlier.

use std::time::Duration;

use bytes::Bytes;
use session_core::{
    AttributeName, Checked, Fingerprint, Generation, Header, Loaded, StoredSession, WRITER_KEPT_FOR, WriterId,
};

use crate::transport::Reply;

/// How long a writer does not renew the time of its entry.
pub const STAMP_KEPT_FOR: Duration = Duration::from_secs(60);

/// The age by its time from which a writer's entry is forgotten: then its newest sequence number is older than
/// [`WRITER_KEPT_FOR`], with a minute to spare for requests under way. The commit script has this number too.
pub const ENTRY_FORGOTTEN_AFTER: Duration =
    Duration::from_secs(WRITER_KEPT_FOR.as_secs() + STAMP_KEPT_FOR.as_secs() + 60);

/// Why replies could not be read as a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// The key holds something that is not a session.
    Foreign,
    /// These are not replies to what was asked.
    Broken,
}

/// Reads the replies to `HGETALL` and `PTTL`. The attributes are slices of the reply.
///
/// # Errors
///
/// See [`Unreadable`].
pub fn loaded(fields: Reply, time_to_live: &Reply, writer: WriterId) -> Result<Loaded, Unreadable> {
    let Reply::Array(fields) = fields else { return Err(Unreadable::Broken) };
    let remaining = match remaining(time_to_live)? {
        Some(remaining) if !fields.is_empty() => remaining,
        // It had expired between the two commands, or was not there.
        _ => return Ok(Loaded::Absent),
    };
    let mut parts = Parts::default();
    let mut attributes = Vec::with_capacity(fields.len() / 2);
    let mut fields = fields.into_iter();
    while let Some(field) = fields.next() {
        let (Reply::Bulk(field), Some(Reply::Bulk(value))) = (field, fields.next()) else {
            return Err(Unreadable::Broken);
        };
        if field.first() == Some(&b'@') {
            parts.take(&field, value);
        } else if let Some(name) = AttributeName::from_stored(field) {
            attributes.push((name, value));
        }
    }
    if parts.tombstone {
        return Ok(Loaded::Tombstone);
    }
    let written = parts.writers.as_deref().and_then(|entries| written(entries, writer));
    let header = parts.header().ok_or(Unreadable::Foreign)?;
    Ok(Loaded::Session(StoredSession { header, attributes, remaining, written }))
}

/// Reads the replies to `HMGET @g @v` and `PTTL`.
///
/// # Errors
///
/// [`Unreadable::Broken`] only: anything foreign is [`Checked::Missing`].
pub fn checked(header: &Reply, time_to_live: &Reply) -> Result<Checked, Unreadable> {
    let Reply::Array(header) = header else { return Err(Unreadable::Broken) };
    let [generation, version] = header.as_slice() else { return Err(Unreadable::Broken) };
    let (Reply::Bulk(generation), Reply::Bulk(version)) = (generation, version) else { return Ok(Checked::Missing) };
    let present = (Generation::parse(generation), number(version), remaining(time_to_live)?);
    let (Some(generation), Some(version), Some(remaining)) = present else { return Ok(Checked::Missing) };
    Ok(Checked::Present { generation, version, remaining })
}

/// A duration as the scripts want it: whole milliseconds, rounded up, at least 1, and few enough for the server.
pub fn milliseconds(duration: Duration) -> u64 {
    /// Three thousand years.
    const MOST: u64 = 100_000_000_000_000;
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(MOST).clamp(1, MOST)
}

/// The header's fields as they were found.
#[derive(Default)]
struct Parts {
    generation: Option<Bytes>,
    version: Option<Bytes>,
    fingerprint: Option<Bytes>,
    created: Option<Bytes>,
    deadline: Option<Bytes>,
    idle_timeout: Option<Bytes>,
    writers: Option<Bytes>,
    tombstone: bool,
}

impl Parts {
    fn take(&mut self, field: &[u8], value: Bytes) {
        match field {
            b"@g" => self.generation = Some(value),
            b"@v" => self.version = Some(value),
            b"@f" => self.fingerprint = Some(value),
            b"@c" => self.created = Some(value),
            b"@d" => self.deadline = Some(value),
            b"@i" => self.idle_timeout = Some(value),
            b"@w" => self.writers = Some(value),
            b"@t" => self.tombstone = true,
            _ => {}
        }
    }

    /// `None` if a part is missing or is not as we write it.
    fn header(self) -> Option<Header> {
        let optional = |part: Option<Bytes>| match part {
            Some(text) => number(&text).map(Some),
            None => Some(None),
        };
        Some(Header {
            generation: Generation::parse(&self.generation?)?,
            version: number(&self.version?)?,
            fingerprint: Fingerprint::parse(&self.fingerprint?)?,
            created: number(&self.created?)?,
            deadline: optional(self.deadline)?,
            idle_timeout: optional(self.idle_timeout)?.map(Duration::from_millis),
        })
    }
}

/// The newest sequence number that this writer's entry has as written.
fn written(entries: &[u8], writer: WriterId) -> Option<u64> {
    let writer = writer.to_string();
    entries.split(|byte| *byte == b' ').find_map(|entry| {
        let rest = entry.strip_prefix(writer.as_bytes())?.strip_prefix(b":")?;
        number(rest.split(|byte| *byte == b':').next()?)
    })
}

fn number(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The reply to `PTTL`: `None` if there is no such key, zero if it does not expire.
fn remaining(reply: &Reply) -> Result<Option<Duration>, Unreadable> {
    match *reply {
        Reply::Integer(-2) => Ok(None),
        Reply::Integer(milliseconds) => Ok(Some(Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)))),
        _ => Err(Unreadable::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn hash(fields: &[(&str, &str)]) -> Reply {
        Reply::Array(fields.iter().flat_map(|(name, value)| [bulk(name), bulk(value)]).collect())
    }

    #[test]
    fn a_whole_session() {
        let (generation, writer) = (Generation::generate().unwrap(), WriterId::generate().unwrap());
        let fingerprint = session_core::SessionId::generate().unwrap().fingerprint();
        let (g, f) = (generation.to_string(), fingerprint.to_string());
        let writers = format!(" AAAAAAAAAAA:9:1700000000 {writer}:41:1700000000");
        let fields = [
            ("@g", g.as_str()),
            ("@v", "7"),
            ("@f", &f),
            ("@c", "1700000000123"),
            ("@i", "60000"),
            ("@w", &writers),
            ("@future", "x"),
            ("cart", "[]"),
        ];
        let Ok(Loaded::Session(session)) = loaded(hash(&fields), &Reply::Integer(1500), writer) else { panic!() };
        assert_eq!(session.header.generation, generation);
        assert_eq!(session.header.version, 7);
        assert_eq!(session.header.created, 1_700_000_000_123);
        assert_eq!(session.header.deadline, None);
        assert_eq!(session.header.idle_timeout, Some(Duration::from_secs(60)));
        assert_eq!(session.remaining, Duration::from_millis(1500));
        assert_eq!(session.written, Some(41));
        assert_eq!(session.attributes.len(), 1);
        // What was refused for good was not written.
        assert_eq!(written(format!(" {writer}:41:1700000000:42").as_bytes(), writer), Some(41));
        assert_eq!(written(format!(" {writer}::1700000000:42").as_bytes(), writer), None);
        // Without any one of the fields that are always there it is not ours.
        for missing in ["@g", "@v", "@f", "@c"] {
            let fields: Vec<_> = fields.iter().copied().filter(|(name, _)| *name != missing).collect();
            assert_eq!(loaded(hash(&fields), &Reply::Integer(1), writer), Err(Unreadable::Foreign), "{missing}");
        }
        // Nor is it with a broken one.
        for broken in ["@g", "@v", "@f", "@c", "@i"] {
            let fields: Vec<_> =
                fields.iter().map(|&(name, value)| (name, if name == broken { "-1x" } else { value })).collect();
            assert_eq!(loaded(hash(&fields), &Reply::Integer(1), writer), Err(Unreadable::Foreign), "{broken}");
        }
    }

    #[test]
    fn what_is_no_session() {
        let writer = WriterId::generate().unwrap();
        assert_eq!(loaded(hash(&[]), &Reply::Integer(-2), writer), Ok(Loaded::Absent));
        assert_eq!(loaded(hash(&[("a", "b")]), &Reply::Integer(-2), writer), Ok(Loaded::Absent));
        assert_eq!(loaded(hash(&[("@t", "")]), &Reply::Integer(5), writer), Ok(Loaded::Tombstone));
        assert_eq!(loaded(hash(&[("a", "b")]), &Reply::Integer(-1), writer), Err(Unreadable::Foreign));
        assert_eq!(loaded(Reply::Nil, &Reply::Integer(5), writer), Err(Unreadable::Broken));
        assert_eq!(loaded(hash(&[("a", "b")]), &Reply::Nil, writer), Err(Unreadable::Broken));
        let odd = Reply::Array(vec![bulk("a")]);
        assert_eq!(loaded(odd, &Reply::Integer(5), writer), Err(Unreadable::Broken));
    }

    #[test]
    fn durations() {
        assert_eq!(milliseconds(Duration::ZERO), 1);
        assert_eq!(milliseconds(Duration::from_nanos(1_000_001)), 2);
        assert_eq!(milliseconds(Duration::MAX), 100_000_000_000_000);
    }
}
