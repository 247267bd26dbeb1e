//! Between values and bytes: the serializer, with counters read and written as text whatever it is.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Memo, counter};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::serializer::SessionSerializer;

thread_local! {
    /// Encoding starts in a buffer that is used again and again; an attribute keeps one copy of exact size.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A larger buffer is not kept, so that one large value does not occupy memory for ever.
const LARGEST_SCRATCH: usize = 1 << 20;

/// Encodes a value and gives its bytes to `use_bytes`.
pub(crate) fn encode<S: SessionSerializer, T: Serialize + ?Sized, R>(
    codec: &S,
    value: &T,
    use_bytes: impl FnOnce(&[u8]) -> R,
) -> Result<R> {
    let mut scratch = SCRATCH.take();
    scratch.clear();
    let encoded = catch_unwind(AssertUnwindSafe(|| codec.encode(value, &mut scratch)));
    let result = match encoded {
        Ok(Ok(())) => Ok(use_bytes(&scratch)),
        Ok(Err(error)) => Err(Error::new(ErrorKind::Encode, Operation::Change, codec.name()).with_source(error)),
        Err(_) => {
            Err(Error::new(ErrorKind::Encode, Operation::Change, "the value's Serialize implementation panicked"))
        }
    };
    if scratch.capacity() <= LARGEST_SCRATCH {
        SCRATCH.set(scratch);
    }
    result
}

/// Decodes a value.
pub(crate) fn decode<S: SessionSerializer, T: DeserializeOwned>(codec: &S, bytes: &[u8]) -> Result<T> {
    if let Some(value) = counter::parse(bytes).and_then(counter::decode) {
        return Ok(value);
    }
    match catch_unwind(AssertUnwindSafe(|| codec.decode(bytes))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::new(ErrorKind::Corrupt, Operation::Read, codec.name()).with_source(error)),
        Err(_) => {
            let text = "the value's Deserialize implementation panicked";
            Err(Error::new(ErrorKind::Corrupt, Operation::Read, text))
        }
    }
}

/// Changes a value: from the bytes it has to those it gets. An attribute that is not there starts from `Default`; one
/// that was a counter and still is an integer stays a counter.
pub(crate) fn modify<S, T>(
    codec: &S,
    current: Option<&Bytes>,
    memo: &mut Memo,
    change: impl FnOnce(&mut T),
) -> Result<Bytes>
where
    S: SessionSerializer,
    T: Serialize + DeserializeOwned + Default + Send + Sync + 'static,
{
    let mut value = match (memo.take::<T>(), current) {
        (Some(value), _) => value,
        (None, Some(bytes)) => decode(codec, bytes)?,
        (None, None) => T::default(),
    };
    catch_unwind(AssertUnwindSafe(|| change(&mut value))).map_err(|_| {
        Error::new(ErrorKind::Closure, Operation::Change, "the closure panicked; the attribute is left as it was")
    })?;
    let was_counter = current.is_some_and(|bytes| counter::parse(bytes).is_some());
    let bytes = match counter::of_value(&value).filter(|_| was_counter) {
        Some(number) => counter::text(number),
        None => encode(codec, &value, |bytes| match current {
            Some(current) if current == bytes => current.clone(),
            _ => Bytes::copy_from_slice(bytes),
        })?,
    };
    memo.set(Arc::new(value));
    Ok(bytes)
}

/// Adds to an attribute that the serializer stored as an integer, which makes it a counter.
pub(crate) fn into_counter<S: SessionSerializer>(codec: &S, current: Option<&Bytes>, by: i64) -> Result<Bytes> {
    match current {
        // Bytes that do not describe themselves are taken for an integer whatever they are.
        Some(bytes) if counter::parse(bytes).is_none() && codec.describes_itself(bytes) => {
            let value = codec
                .decode::<i64>(bytes)
                .map_err(|error| counter::not_a_counter("the attribute holds something else").with_source(error))?;
            counter::add(value, by).map(counter::text)
        }
        _ => counter::added(current, by),
    }
}
