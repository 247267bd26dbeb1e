//! The arguments and replies of the commit script.
//!
//! Arguments: first, in one because every argument costs bytes, `<generation> <writer> <sequence> <milliseconds to live>`,
//! then options if there are any, and the fingerprint for a creation. The options are, without spaces between them,
//!
//! - `t`: renew the time of the writer's entry
//! - `c`: create, or `c<ms>`: with this time of creation; then `a<ms>`: ends this long after now, or `d<ms>`: ends at
//!   this time
//! - `m`: sent more than once; marks a creation, and has a refusal use up the number
//! - `i<ms>`: sets the session's own idle timeout; `x`: removes it
//!
//! Second, a letter for each change; then what each change needs:
//!
//! | letter | change | needs |
//! |---|---|---|
//! | `s`, `d` | set, remove | name, value; name |
//! | `i` | increment | name, number |
//! | `n`, `N` | set or remove if it is not there | name, value; name |
//! | `r`, `R` | set or remove if it holds these bytes | name, bytes, value; name, bytes |
//! | `h`, `H` | set or remove if it holds bytes of this SHA-1 | name, digest, value; name, digest |
//!
//! Replies: 0: gone; 1, version found, milliseconds to live, the counters' new values; 2 (already written), milliseconds
//! to live, the counters' present values; 3 (conflict) or 4 (not a counter), then the index and the present value of
//! each attribute concerned. A conflict without any: only the number is used up.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use session_core::{Action, Commit, Committed, Creation, Deadline};

use super::{Script, Unreadable, code, hex_digest};
use crate::layout::milliseconds;
use crate::transport::Reply;

const TEXT: &str = include_str!("commit.lua");

/// See [`SessionProvider::commit`](session_core::SessionProvider::commit).
pub static COMMIT: Script = Script::new(TEXT, || hex_digest(TEXT.as_bytes()));

/// Bytes seen that are longer than this are sent as their digest.
const DIGEST_LENGTH: usize = 40;

/// `repeated`: whether this batch may have been executed before; `stamp`: renew the time of the writer's entry.
pub fn commit_arguments(commit: &Commit, repeated: bool, stamp: bool) -> Vec<Bytes> {
    let mut arguments = Vec::with_capacity(2 + 3 * commit.changes.len());
    arguments.push(head(commit, repeated, stamp).into());
    let mut letters = Vec::with_capacity(commit.changes.len());
    arguments.push(Bytes::new());
    for change in &commit.changes {
        arguments.push(change.name.to_bytes());
        let letter = match &change.action {
            Action::Set(value) => {
                arguments.push(value.clone());
                b's'
            }
            Action::Remove => b'd',
            Action::Increment(by) => {
                arguments.push(by.to_string().into());
                b'i'
            }
            Action::Replace { seen, value } => {
                let letter = match seen {
                    None => b'n',
                    Some(seen) if seen.len() <= DIGEST_LENGTH => {
                        arguments.push(seen.clone());
                        b'r'
                    }
                    Some(seen) => {
                        arguments.push(hex_digest(seen));
                        b'h'
                    }
                };
                match value {
                    Some(value) => {
                        arguments.push(value.clone());
                        letter
                    }
                    None => letter.to_ascii_uppercase(),
                }
            }
        };
        letters.push(letter);
    }
    arguments[1] = letters.into();
    arguments
}

fn head(commit: &Commit, repeated: bool, stamp: bool) -> String {
    let Commit { generation, writer, sequence, repeated: _, creation, changes: _, idle_timeout, time_to_live } = commit;
    let mut head = format!("{generation} {writer} {sequence} {}", milliseconds(*time_to_live));
    if stamp || repeated || idle_timeout.is_some() || creation.is_some() {
        head.push(' ');
    }
    let mut add = |option: std::fmt::Arguments<'_>| {
        // Writing to a string does not fail.
        let _ = head.write_fmt(option);
    };
    if stamp {
        add(format_args!("t"));
    }
    if repeated {
        add(format_args!("m"));
    }
    match idle_timeout {
        Some(Some(timeout)) => add(format_args!("i{}", milliseconds(*timeout))),
        Some(None) => add(format_args!("x")),
        None => {}
    }
    if let Some(Creation { fingerprint, created, deadline }) = creation {
        match created {
            Some(created) => add(format_args!("c{created}")),
            None => add(format_args!("c")),
        }
        match deadline {
            Deadline::Never => {}
            Deadline::After(duration) => add(format_args!("a{}", milliseconds(*duration))),
            Deadline::At(time) => add(format_args!("d{time}")),
        }
        add(format_args!(" {fingerprint}"));
    }
    head
}

/// Reads the reply to a commit.
///
/// # Errors
///
/// See [`Unreadable`].
pub fn committed(reply: Reply, commit: &Commit) -> Result<Committed, Unreadable> {
    let increments = commit.changes.iter().filter(|change| matches!(change.action, Action::Increment(_))).count();
    let (code, mut rest) = code(reply)?;
    let outcome = match code {
        0 => Committed::Gone,
        1 => Committed::Done {
            found: integer(rest.next())?,
            remaining: Duration::from_millis(integer(rest.next())?),
            counters: rest
                .by_ref()
                .take(increments)
                .map(|value| bytes(value)?.ok_or(Unreadable::Broken))
                .collect::<Result<Vec<_>, _>>()
                .and_then(|counters| whole(counters, increments))?,
        },
        2 => Committed::Already {
            // Negative if the session has just expired or has no expiry.
            remaining: match rest.next() {
                Some(Reply::Integer(milliseconds)) => {
                    Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
                }
                _ => return Err(Unreadable::Broken),
            },
            counters: rest
                .by_ref()
                .take(increments)
                .map(bytes)
                .collect::<Result<Vec<_>, _>>()
                .and_then(|counters| whole(counters, increments))?,
        },
        3 => Committed::Conflict(concerned(&mut rest, commit)?),
        4 => match concerned(&mut rest, commit)? {
            none if none.is_empty() => return Err(Unreadable::Broken),
            which => Committed::NotACounter(which),
        },
        _ => return Err(Unreadable::Broken),
    };
    match rest.next() {
        None => Ok(outcome),
        Some(_) => Err(Unreadable::Broken),
    }
}

fn whole<T>(values: Vec<T>, expected: usize) -> Result<Vec<T>, Unreadable> {
    if values.len() == expected { Ok(values) } else { Err(Unreadable::Broken) }
}

fn integer(reply: Option<Reply>) -> Result<u64, Unreadable> {
    match reply {
        Some(Reply::Integer(number)) => u64::try_from(number).map_err(|_| Unreadable::Broken),
        _ => Err(Unreadable::Broken),
    }
}

fn bytes(reply: Reply) -> Result<Option<Bytes>, Unreadable> {
    match reply {
        Reply::Bulk(bytes) => Ok(Some(bytes)),
        Reply::Nil => Ok(None),
        _ => Err(Unreadable::Broken),
    }
}

type Concerned = Vec<(usize, Option<Bytes>)>;

fn concerned(replies: &mut impl Iterator<Item = Reply>, commit: &Commit) -> Result<Concerned, Unreadable> {
    let mut which = Vec::new();
    while let Some(index) = replies.next() {
        let index = integer(Some(index))?;
        let index = usize::try_from(index).ok().filter(|index| *index < commit.changes.len());
        let value = bytes(replies.next().ok_or(Unreadable::Broken)?)?;
        which.push((index.ok_or(Unreadable::Broken)?, value));
    }
    Ok(which)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_forgets_writers_when_the_layout_says_so() {
        let seconds = crate::layout::ENTRY_FORGOTTEN_AFTER.as_secs();
        assert!(TEXT.contains(&format!("stamp - other > {seconds} then")));
    }

    #[test]
    fn replies_that_make_no_sense() {
        let commit = Commit {
            generation: session_core::Generation::generate().unwrap(),
            writer: session_core::WriterId::generate().unwrap(),
            sequence: 1,
            repeated: false,
            creation: None,
            changes: Vec::new(),
            idle_timeout: None,
            time_to_live: Duration::from_secs(1),
        };
        let array = |numbers: &[i64]| Reply::Array(numbers.iter().copied().map(Reply::Integer).collect());
        for broken in [
            Reply::Nil,
            Reply::Array(Vec::new()),
            array(&[1]),
            array(&[1, -5, 1]),
            array(&[1, 5, 1, 9]),
            array(&[3, 0]),
            array(&[4]),
            array(&[4, 0, 0]),
            array(&[9]),
        ] {
            assert_eq!(committed(broken, &commit), Err(Unreadable::Broken));
        }
        assert_eq!(committed(Reply::Integer(-1), &commit), Err(Unreadable::Foreign));
        assert_eq!(committed(Reply::Integer(0), &commit), Ok(Committed::Gone));
        assert_eq!(committed(array(&[3]), &commit), Ok(Committed::Conflict(Vec::new())));
    }
}
