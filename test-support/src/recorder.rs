//! A TCP proxy that notes which commands go through it.

use std::collections::BTreeMap;
use std::io::{Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::relay::{Direction, Pass, Relay};

/// What was sent, but for what it was about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recorded {
    /// The command's name as it was sent.
    pub name: String,
    /// How many arguments it had.
    pub arguments: usize,
    /// How many keys a script was given, as it said.
    pub script_keys: Option<String>,
}

/// A TCP proxy before a server, which notes every command that is sent. Ends its connections when dropped.
#[derive(Debug)]
pub struct Recorder(Relay<Record>);

#[derive(Debug, Default)]
struct Record {
    commands: Mutex<BTreeMap<Recorded, u64>>,
    /// What was sent and is no command.
    garbage: AtomicBool,
}

impl Recorder {
    /// Listens on a free port of 127.0.0.1 and passes everything on to `upstream`.
    ///
    /// # Errors
    ///
    /// There is no port to be had.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        Ok(Self(Relay::start(upstream, Record::default())?))
    }

    /// The address to connect to.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// `redis://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// All that was sent, and how often.
    ///
    /// # Panics
    ///
    /// If anything was sent that is no command.
    pub fn commands(&self) -> BTreeMap<Recorded, u64> {
        assert!(!self.0.pass().garbage.load(Ordering::SeqCst), "something was sent that is no command");
        self.0.pass().commands().clone()
    }
}

impl Record {
    fn commands(&self) -> MutexGuard<'_, BTreeMap<Recorded, u64>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the whole commands from the front.
    fn record(&self, unread: &mut Vec<u8>) {
        loop {
            match parse(unread) {
                Parsed::Command(recorded, length) => {
                    *self.commands().entry(recorded).or_default() += 1;
                    unread.drain(..length);
                }
                Parsed::Incomplete => return,
                Parsed::Garbage => {
                    self.garbage.store(true, Ordering::SeqCst);
                    unread.clear();
                    return;
                }
            }
        }
    }
}

impl Pass for Record {
    fn pass(&self, _: u64, direction: Direction, mut from: &TcpStream, mut to: &TcpStream) -> Result<()> {
        let mut buffer = [0; 64 * 1024];
        let mut unread = Vec::new();
        loop {
            let length = from.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            if direction == Direction::ToServer {
                // Noted first, so that who has seen a reply finds its command noted.
                unread.extend_from_slice(&buffer[..length]);
                self.record(&mut unread);
            }
            to.write_all(&buffer[..length])?;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    /// And how many bytes it was.
    Command(Recorded, usize),
    Incomplete,
    Garbage,
}

fn parse(bytes: &[u8]) -> Parsed {
    let mut at = 0;
    let mut words = Vec::new();
    let count = match number(bytes, &mut at, b'*') {
        Ok(Some(count)) if count > 0 => count,
        Ok(None) => return Parsed::Incomplete,
        _ => return Parsed::Garbage,
    };
    for _ in 0..count {
        let length = match number(bytes, &mut at, b'$') {
            Ok(Some(length)) => length,
            Ok(None) => return Parsed::Incomplete,
            Err(()) => return Parsed::Garbage,
        };
        let Some(word) = bytes.get(at..at + length) else { return Parsed::Incomplete };
        words.push(word);
        match bytes.get(at + length..at + length + 2) {
            Some(b"\r\n") => at += length + 2,
            Some(_) => return Parsed::Garbage,
            None => return Parsed::Incomplete,
        }
    }
    let name = String::from_utf8_lossy(words[0]).into_owned();
    let script_keys = ["EVAL", "EVALSHA"].contains(&name.to_ascii_uppercase().as_str());
    let script_keys =
        script_keys.then(|| words.get(2).map_or_else(String::new, |keys| String::from_utf8_lossy(keys).into_owned()));
    Parsed::Command(Recorded { name, arguments: count - 1, script_keys }, at)
}

/// Reads `<mark><number>\r\n`; `None` if it is not there yet.
fn number(bytes: &[u8], at: &mut usize, mark: u8) -> std::result::Result<Option<usize>, ()> {
    let Some(rest) = bytes.get(*at..).filter(|rest| !rest.is_empty()) else { return Ok(None) };
    if rest[0] != mark {
        return Err(());
    }
    let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&rest[1..end]).map_err(|_| ())?;
    *at += end + 2;
    text.parse().map(Some).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(name: &str, arguments: usize, script_keys: Option<&str>) -> Recorded {
        Recorded { name: name.to_owned(), arguments, script_keys: script_keys.map(str::to_owned) }
    }

    #[test]
    fn commands_are_read_wherever_they_are_split() {
        let first = b"*2\r\n$4\r\nPTTL\r\n$3\r\na\r\n\r\n";
        let text = [&first[..], b"*4\r\n$4\r\nEVAL\r\n$0\r\n\r\n$1\r\n1\r\n$1\r\nk\r\n"].concat();
        for end in 0..first.len() {
            assert_eq!(parse(&text[..end]), Parsed::Incomplete, "{end}");
        }
        assert_eq!(parse(&text), Parsed::Command(recorded("PTTL", 1, None), first.len()));
        let rest = &text[first.len()..];
        assert_eq!(parse(rest), Parsed::Command(recorded("EVAL", 3, Some("1")), rest.len()));
        for garbage in ["PING\r\n", "*x\r\n", "*0\r\n", "*1\r\n:1\r\n", "*1\r\n$1\r\nabc"] {
            assert_eq!(parse(garbage.as_bytes()), Parsed::Garbage, "{garbage:?}");
        }
    }
}
