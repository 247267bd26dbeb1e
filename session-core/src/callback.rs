//! Calling what the application gave us for routing: whatever goes wrong in it is an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorKind, Operation, Result};

/// Calls a routing callback. Its panics and its own errors become errors of kind `KeyCallback`.
pub(crate) fn call<T>(which: &'static str, callback: impl FnOnce() -> Result<T>) -> Result<T> {
    guarded(which, callback).map_err(|error| match error.kind() {
        ErrorKind::KeyCallback => error,
        _ => failed(which, "failed").with_source(error),
    })
}

/// Makes a panic an error of kind `KeyCallback`.
pub(crate) fn guarded<T>(which: &'static str, callback: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(callback)).unwrap_or_else(|_| Err(failed(which, "panicked")))
}

fn failed(which: &str, how: &str) -> Error {
    Error::new(ErrorKind::KeyCallback, Operation::Route, format!("{which} {how}"))
}
