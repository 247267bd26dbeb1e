//! Limits around any serializer or deserializer: how deeply a value is nested, and how many elements its lists have.
//!
//! `rmp-serde` limits neither what it writes nor the depth of enums that it reads, and `postcard` limits nothing: a few
//! bytes from a stranger overflow the stack or keep a processor busy for years.

mod de;
mod ser;

use std::cell::Cell;

use serde::{Deserializer, Serialize, Serializer};
use session_core::SerializerError;

use crate::limits::{MAX_DEPTH, too_deep};

/// How many elements the lists and maps of a value may have in all, beyond one for each of its bytes. Only elements
/// that take no bytes, those of a `Vec<()>`, need more than that.
pub(crate) const FREE_ELEMENTS: usize = 1_024;

/// Serializes a value within the limits; `elements` is then how many its lists and maps have.
pub(crate) fn serialize<S: Serializer, T: Serialize + ?Sized>(
    value: &T,
    serializer: S,
    budget: &Budget,
) -> Result<S::Ok, S::Error> {
    value.serialize(ser::Bounded { inner: serializer, budget })
}

/// A deserializer that keeps within the limits.
pub(crate) fn deserializer<'de, 'b, D>(
    inner: D,
    budget: &'b Budget,
) -> impl Deserializer<'de, Error = D::Error> + use<'de, 'b, D>
where
    D: Deserializer<'de> + 'b,
{
    de::Bounded { inner, budget }
}

/// How much of the limits the value at hand has used.
pub(crate) struct Budget {
    depth: Cell<usize>,
    elements: Cell<usize>,
    most_elements: usize,
    exceeded: Cell<Option<Limit>>,
}

#[derive(Clone, Copy)]
enum Limit {
    Depth,
    Elements,
}

impl Budget {
    /// For a value of this many bytes, or at most this many.
    pub(crate) fn for_bytes(bytes: usize) -> Self {
        Self {
            depth: Cell::new(0),
            elements: Cell::new(0),
            most_elements: bytes.saturating_add(FREE_ELEMENTS),
            exceeded: Cell::new(None),
        }
    }

    /// Whether what was used is within the limits of a value of this many bytes, too.
    // In MessagePack every element takes a byte at least.
    #[cfg(feature = "postcard")]
    pub(crate) fn check(&self, bytes: usize) -> Result<(), SerializerError> {
        if self.elements.get() > bytes.saturating_add(FREE_ELEMENTS) { Err(too_many()) } else { Ok(()) }
    }

    /// Why it was exceeded, if it was.
    pub(crate) fn exceeded(&self) -> Option<SerializerError> {
        Some(match self.exceeded.get()? {
            Limit::Depth => too_deep(),
            Limit::Elements => too_many(),
        })
    }

    #[inline]
    fn descend(&self) -> Result<(), Exceeded> {
        let depth = self.depth.get() + 1;
        if depth > MAX_DEPTH {
            return Err(self.exceed(Limit::Depth));
        }
        self.depth.set(depth);
        Ok(())
    }

    #[inline]
    fn ascend(&self, levels: usize) {
        self.depth.set(self.depth.get() - levels);
    }

    #[inline]
    fn take(&self, elements: usize) -> Result<(), Exceeded> {
        let elements = self.elements.get().saturating_add(elements);
        if elements > self.most_elements {
            return Err(self.exceed(Limit::Elements));
        }
        self.elements.set(elements);
        Ok(())
    }

    #[cold]
    fn exceed(&self, limit: Limit) -> Exceeded {
        self.exceeded.set(Some(limit));
        Exceeded
    }
}

/// A limit is passed; the budget knows which.
struct Exceeded;

impl Exceeded {
    #[cold]
    fn ser<E: serde::ser::Error>(self) -> E {
        E::custom("over a limit")
    }

    #[cold]
    fn de<E: serde::de::Error>(self) -> E {
        E::custom("over a limit")
    }
}

#[cold]
fn too_many() -> SerializerError {
    SerializerError::new("lists of far more elements than the value has bytes")
}
