//! Slots: which of them a key is in, and which node has them.

use session_core::{Error, ErrorKind, Operation, Result};

use crate::error;
use crate::transport::{Address, Reply};

const SLOTS: usize = 16_384;

/// The slot of a key: what is between the first `{` and the next `}`, if anything is, decides for it.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        Some(&rest[..close]).filter(|tag| !tag.is_empty())
    });
    crc16(tag.unwrap_or(key)) % SLOTS as u16
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| (crc << 8) ^ CRC16[usize::from((crc >> 8) as u8 ^ byte)])
}

const CRC16: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// Which node has which slot, as far as is known.
#[derive(Default)]
pub(super) struct SlotMap {
    /// Masters and replicas.
    nodes: Vec<Address>,
    /// For each slot, an index into the nodes, or [`NOBODY`]; empty if nothing is known.
    owners: Vec<u16>,
}

const NOBODY: u16 = u16::MAX;

impl SlotMap {
    /// Reads a reply to `CLUSTER SLOTS`, which came from a node at this address.
    ///
    /// # Errors
    ///
    /// The node knows of no slots, or its reply makes no sense.
    pub(super) fn read(reply: Reply, from: &Address) -> Result<Self> {
        let ranges = match reply {
            Reply::Array(ranges) => ranges,
            Reply::Error(refusal) if refusal.code() == "ERR" && refusal.text().contains("cluster support disabled") => {
                return Err(failed(ErrorKind::Config, "`topology`: the server is not part of a cluster"));
            }
            Reply::Error(refusal) => return Err(error::cluster_refusal(&refusal, Operation::Connect)),
            _ => return Err(senseless()),
        };
        if ranges.is_empty() {
            return Err(failed(ErrorKind::Unavailable, "the cluster's node knows of no slots"));
        }
        let mut map = Self { nodes: Vec::new(), owners: vec![NOBODY; SLOTS] };
        for range in ranges {
            let Reply::Array(range) = range else { return Err(senseless()) };
            let [Reply::Integer(first), Reply::Integer(last), nodes @ ..] = range.as_slice() else {
                return Err(senseless());
            };
            let (Ok(first), Ok(last)) = (usize::try_from(*first), usize::try_from(*last)) else {
                return Err(senseless());
            };
            let nodes: Vec<_> =
                nodes.iter().map(|node| address(node, from)).collect::<Option<_>>().ok_or_else(senseless)?;
            let slots = map.owners.get_mut(first..=last).filter(|slots| !slots.is_empty()).ok_or_else(senseless)?;
            let mut indices = nodes.into_iter().map(|node| index(&mut map.nodes, node));
            // The master comes first.
            slots.fill(indices.next().ok_or_else(senseless)?);
            indices.for_each(drop);
        }
        Ok(map)
    }

    /// The node that has this slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Address> {
        self.nodes.get(usize::from(*self.owners.get(usize::from(slot))?))
    }

    /// A node has said that another has this slot.
    pub(super) fn learn(&mut self, slot: u16, owner: Address) {
        if let Some(known) = self.owners.get_mut(usize::from(slot)) {
            *known = index(&mut self.nodes, owner);
        }
    }

    /// Whether every slot is known to be on the same node, or on none, by both.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        (0..SLOTS as u16).all(|slot| self.owner(slot) == other.owner(slot))
    }

    /// All masters and replicas.
    pub(super) fn nodes(&self) -> &[Address] {
        &self.nodes
    }

    /// Whether this node has any slot.
    pub(super) fn has_slots(&self, node: &Address) -> bool {
        let index = self.nodes.iter().position(|known| known == node);
        index.is_some_and(|index| self.owners.iter().any(|owner| usize::from(*owner) == index))
    }
}

/// The index of a node, which is added if it is new. More than can be numbered, which is more than a cluster can have,
/// are nobody.
fn index(nodes: &mut Vec<Address>, node: Address) -> u16 {
    let index = nodes.iter().position(|known| *known == node).unwrap_or_else(|| {
        nodes.push(node);
        nodes.len() - 1
    });
    u16::try_from(index).unwrap_or(NOBODY)
}

/// The address in a node's description: host, port, id, and what else is known of it.
fn address(node: &Reply, from: &Address) -> Option<Address> {
    let Reply::Array(parts) = node else { return None };
    let [host, Reply::Integer(port), rest @ ..] = parts.as_slice() else { return None };
    let host = match host {
        Reply::Bulk(host) => std::str::from_utf8(host).ok()?,
        Reply::Nil => "",
        _ => return None,
    };
    // The node is to be known by a name and has none.
    let host = if host == "?" { ip(rest).unwrap_or_default() } else { host };
    at(host, u16::try_from(*port).ok()?, from)
}

/// The address behind the word `ip` in what else is known of a node.
fn ip(rest: &[Reply]) -> Option<&str> {
    let Some(Reply::Array(more)) = rest.get(1) else { return None };
    let mut pairs = more.chunks_exact(2);
    pairs.find_map(|pair| match pair {
        [Reply::Bulk(name), Reply::Bulk(value)] if &name[..] == b"ip" => std::str::from_utf8(value).ok(),
        _ => None,
    })
}

/// A node's address as another one has named it. No host means that of the node which says so.
pub(super) fn at(host: &str, port: u16, from: &Address) -> Option<Address> {
    let host = match (host, from) {
        ("", Address::Tcp { host, .. }) => host,
        ("" | "?", _) => return None,
        (host, _) => host,
    };
    (port != 0).then(|| Address::Tcp { host: host.to_owned(), port })
}

fn senseless() -> Error {
    failed(ErrorKind::Unavailable, "the node's reply to CLUSTER SLOTS makes no sense")
}

fn failed(kind: ErrorKind, why: &'static str) -> Error {
    Error::new(kind, Operation::Connect, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ServerError;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn slots_of_keys() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // As redis-server 7.0.15 answers CLUSTER KEYSLOT.
        for (key, expected) in [
            ("", 0),
            ("foo", 12182),
            ("{user1000}.following", 3443),
            ("{user1000}.followers", 3443),
            ("user1000", 3443),
            ("foo{}{bar}", 8363),
            ("foo{{bar}}zap", 4015),
            ("{bar", 4015),
            ("foo{bar}{zap}", 5061),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.to_owned().into())
    }

    fn node(host: Reply, port: i64, more: &[&str]) -> Reply {
        let more = Reply::Array(more.iter().map(|text| bulk(text)).collect());
        Reply::Array(vec![host, Reply::Integer(port), bulk("an id"), more])
    }

    fn range(first: i64, last: i64, nodes: impl IntoIterator<Item = Reply>) -> Reply {
        Reply::Array([Reply::Integer(first), Reply::Integer(last)].into_iter().chain(nodes).collect())
    }

    #[test]
    fn replies() {
        let from = tcp("seed", 7000);
        let reply = Reply::Array(vec![
            range(0, 99, [node(bulk("10.0.0.1"), 1, &[]), node(bulk("10.0.0.9"), 9, &[])]),
            range(100, 100, [node(bulk("::1"), 2, &[])]),
            range(200, 299, [node(Reply::Nil, 3, &[])]),
            range(300, 399, [node(bulk(""), 4, &[])]),
            range(400, 499, [node(bulk("?"), 5, &["ip", "10.0.0.5"])]),
            range(500, 599, [node(bulk("?"), 6, &[])]),
            range(600, 16_383, [node(bulk("10.0.0.1"), 1, &["hostname", "one"])]),
        ]);
        let mut map = SlotMap::read(reply, &from).unwrap();
        for (slot, owner) in [
            (0, Some(tcp("10.0.0.1", 1))),
            (99, Some(tcp("10.0.0.1", 1))),
            (100, Some(tcp("::1", 2))),
            (101, None),
            (200, Some(tcp("seed", 3))),
            (300, Some(tcp("seed", 4))),
            (400, Some(tcp("10.0.0.5", 5))),
            (500, Some(tcp("seed", 6))),
            (16_383, Some(tcp("10.0.0.1", 1))),
        ] {
            assert_eq!(map.owner(slot), owner.as_ref(), "{slot}");
        }
        assert_eq!(map.nodes().len(), 7);
        assert!(map.has_slots(&tcp("::1", 2)) && !map.has_slots(&tcp("10.0.0.9", 9)), "a replica has none");
        map.learn(100, tcp("new", 1));
        assert_eq!(map.owner(100), Some(&tcp("new", 1)));
        assert!(!map.has_slots(&tcp("::1", 2)));
        assert_eq!(SlotMap::default().owner(7), None);
        // The nodes' order means nothing.
        let map = |halves: [i64; 2]| {
            let range = |half: i64| range(8192 * half, 8192 * half + 8191, [node(bulk("h"), half + 1, &[])]);
            SlotMap::read(Reply::Array(halves.map(range).into()), &from).unwrap()
        };
        let mut one = map([0, 1]);
        assert!(one.agrees_with(&map([1, 0])));
        one.learn(16_383, tcp("h", 1));
        assert!(!one.agrees_with(&map([1, 0])));
    }

    #[test]
    fn replies_that_tell_nothing() {
        let one = || node(bulk("h"), 1, &[]);
        for reply in [
            Reply::Nil,
            Reply::Array(vec![]),
            Reply::Array(vec![Reply::Nil]),
            Reply::Array(vec![range(0, 1, [])]),
            Reply::Array(vec![range(-1, 1, [one()])]),
            Reply::Array(vec![range(0, 16_384, [one()])]),
            Reply::Array(vec![range(2, 1, [one()])]),
            Reply::Array(vec![range(9, 1, [one()])]),
            Reply::Array(vec![range(0, i64::MAX, [one()])]),
            Reply::Array(vec![range(0, 1, [node(bulk("h"), 70_000, &[])])]),
            Reply::Array(vec![range(0, 1, [node(bulk("h"), 0, &[])])]),
            Reply::Array(vec![range(0, 1, [Reply::Array(vec![])])]),
            Reply::Array(vec![range(0, 1, [node(Reply::Bulk(vec![0xff].into()), 1, &[])])]),
        ] {
            let error = SlotMap::read(reply.clone(), &tcp("h", 1)).err().unwrap_or_else(|| panic!("{reply:?}"));
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{reply:?}");
        }
        let refused = |line| SlotMap::read(Reply::Error(ServerError::parse(line)), &tcp("h", 1)).err().unwrap();
        let error = refused("ERR This instance has cluster support disabled");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("`topology`"), "{error}");
        assert_eq!(refused("NOPERM no").kind(), ErrorKind::Auth);
    }
}
