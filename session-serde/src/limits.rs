//! What every serializer of this crate refuses, when it writes as when it reads: nothing is stored that cannot be read.

use session_core::SerializerError;

/// How deeply a value may be nested; the same for all, so that a change of serializer changes little.
pub(crate) const MAX_DEPTH: usize = 127;

/// How many bytes one value may have; longer ones are better kept elsewhere than in a session.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// Lets `write` append a value; if that fails, or there is too much of it, nothing is appended.
#[inline]
pub(crate) fn append(
    into: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), SerializerError>,
) -> Result<(), SerializerError> {
    let start = into.len();
    let written = write(into).and_then(|()| check_size(into.len() - start));
    if written.is_err() {
        into.truncate(start);
    }
    written
}

pub(crate) fn check_size(bytes: usize) -> Result<(), SerializerError> {
    if bytes > MAX_BYTES { Err(SerializerError::new("longer than 16 MiB")) } else { Ok(()) }
}

pub(crate) fn too_deep() -> SerializerError {
    SerializerError::new("nested deeper than 127 levels")
}
