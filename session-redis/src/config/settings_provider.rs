//! A closure that knows where Redis is.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use session_core::{ErrorKind, Result};

use super::parse::{self, Parsed};
use super::wrong;

/// Answers a URL or connection string. Equal are only clones of one.
#[derive(Clone)]
pub(super) struct SettingsProvider(Arc<dyn Fn() -> Result<String> + Send + Sync>);

impl SettingsProvider {
    pub(super) fn new(provider: impl Fn() -> Result<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(provider))
    }

    /// What the closure's answer says. Errors name the closure's setting: nobody has set a `url`.
    pub(super) fn parsed(&self) -> Result<Parsed> {
        let named = |why| wrong("settings_provider", why);
        match catch_unwind(AssertUnwindSafe(|| (self.0)())) {
            Ok(Ok(answer)) => {
                parse::parse(&answer).map_err(|error| named("its answer cannot be used as `url`").with_source(error))
            }
            Ok(Err(error)) if error.kind() == ErrorKind::Config => Err(error),
            Ok(Err(error)) => Err(named("it failed").with_source(error)),
            // A panic's message may hold what the closure had just read.
            Err(_) => Err(named("it panicked")),
        }
    }
}

impl PartialEq for SettingsProvider {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SettingsProvider {}

impl fmt::Debug for SettingsProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<closure>")
    }
}
