//! How errors name a setting.

use std::fmt;

use session_core::{Error, ErrorKind, Operation};

/// A setting that cannot be used, and why. Neither may hold a value.
pub(crate) fn wrong(setting: impl fmt::Display, why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Config, Operation::Configure, format!("`{setting}`: {why}"))
}

/// The same for a setting that has this name in its source.
pub(crate) fn wrong_as(setting: &str, name: &str, why: impl fmt::Display) -> Error {
    if setting == name {
        return wrong(setting, why);
    }
    Error::new(ErrorKind::Config, Operation::Configure, format!("`{setting}` (given as `{name}`): {why}"))
}
