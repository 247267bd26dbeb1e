//! Settings that are one of a few words.

use session_core::{SessionSerializer as _, SizeHandler};
use session_serde::Codec;
use session_tower::SameSite;

use crate::raw::Raw;
use crate::value::{Unit, Value, Why};

/// Where a connection leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Provider {
    /// This process' own memory: sessions end with it. Nothing else that is set for the connection is looked at.
    Memory,
    /// A Redis.
    #[default]
    Redis,
    /// A TwemProxy; needs the feature `twemproxy`.
    Twemproxy,
}

/// What stands behind a connection to Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TopologyKind {
    /// One server.
    #[default]
    Single,
    /// A master that Sentinels watch.
    Sentinel,
    /// A Redis Cluster.
    Cluster,
}

/// What is done with a session that would become too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SizeHandling {
    /// What would make it so is refused.
    #[default]
    Refuse,
    /// It is cleared.
    Clear,
}

impl SizeHandling {
    pub(crate) fn handler(self) -> SizeHandler {
        match self {
            Self::Refuse => SizeHandler::refuse(),
            Self::Clear => SizeHandler::clear(),
        }
    }
}

/// One of these words, in upper or lower case.
fn one_of<T: Copy>(raw: Raw, choices: &[(&'static str, T)]) -> Result<T, Why> {
    let is = |name: &str| matches!(&raw, Raw::Text(text) if text.eq_ignore_ascii_case(name));
    if let Some((_, choice)) = choices.iter().find(|(name, _)| is(name)) {
        return Ok(*choice);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
    Err(format!("must be one of {}", names.join(", ")).into())
}

impl Value for Provider {
    fn read(raw: Raw, _: Unit) -> Result<Self, Why> {
        one_of(raw, &[("redis", Self::Redis), ("twemproxy", Self::Twemproxy), ("memory", Self::Memory)])
    }
}

impl Value for TopologyKind {
    fn read(raw: Raw, _: Unit) -> Result<Self, Why> {
        one_of(raw, &[("single", Self::Single), ("sentinel", Self::Sentinel), ("cluster", Self::Cluster)])
    }
}

impl Value for SizeHandling {
    fn read(raw: Raw, _: Unit) -> Result<Self, Why> {
        one_of(raw, &[("refuse", Self::Refuse), ("clear", Self::Clear)])
    }
}

impl Value for SameSite {
    fn read(raw: Raw, _: Unit) -> Result<Self, Why> {
        one_of(raw, &[("lax", Self::Lax), ("strict", Self::Strict), ("none", Self::None)])
    }
}

/// Those that are compiled in.
impl Value for Codec {
    fn read(raw: Raw, _: Unit) -> Result<Self, Why> {
        let there: Vec<_> = Self::ALL.iter().map(|codec| (codec.name(), *codec)).collect();
        one_of(raw, &there).map_err(|why| format!("{why}, which are compiled in").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_case_and_no_others() {
        let read = |text: &str| Provider::read(Raw::Text(text.to_owned()), Unit::Written);
        assert_eq!((read("memory"), read("TwemProxy")), (Ok(Provider::Memory), Ok(Provider::Twemproxy)));
        for wrong in ["", "redis ", "disk"] {
            assert_eq!(read(wrong), Err(r#"must be one of "redis", "twemproxy", "memory""#.into()));
        }
        assert!(Provider::read(Raw::Bool(true), Unit::Written).is_err());
    }
}
