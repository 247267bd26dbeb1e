//! Settings from environment variables.

use std::env;
use std::ffi::OsString;

use session_core::Result;

use crate::error::wrong;
use crate::names::{self, Known};
use crate::raw::Raw;
use crate::reader::Reader;
use crate::settings::{DEFAULT, Settings, check_name};

/// What all our variables begin with.
const PREFIX: &str = "SESSION_";

/// What follows where a variable is for a connection other than the first.
const CONNECTION: &str = "CONNECTION_";

impl Settings {
    /// Reads the environment: `SESSION_`, then the name of a setting in capitals (`SESSION_IDLE_TIMEOUT=20m`). For a
    /// further connection, its name comes between: `SESSION_CONNECTION_EU_URL` is the `url` of the connection `eu`. Lists
    /// are separated by commas. Other names of a setting count, too: `SESSION_RETRY_TIMEOUT_IN_MILLISECONDS=5000`.
    ///
    /// A variable with the prefix that is no setting is a warning (with `tracing`), since the prefix is not ours alone:
    /// many desktops set `SESSION_MANAGER`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](session_core::ErrorKind::Config) naming setting and variable if its value is wrong, or if
    /// another variable is for the same setting.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(env::vars_os())
    }

    /// The environment's settings over these ones: `self.overlay(Settings::from_env()?)`.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    pub fn overlay_env(self) -> Result<Self> {
        Ok(self.overlay(Self::from_env()?))
    }

    /// Reads these variables as [`from_env`](Self::from_env) does those of the environment.
    ///
    /// ```
    /// # use session_settings::Settings;
    /// let settings = Settings::from_variables([("SESSION_KEY_PREFIX", "shop:"), ("HOME", "/home/shop")])?;
    /// assert_eq!(settings, Settings::new().key_prefix("shop:"));
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    pub fn from_variables<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Result<Self>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let mut reader = Reader::default();
        for (name, value) in variables {
            // A name that is no UTF-8 is none of ours.
            let Ok(name) = name.into().into_string() else { continue };
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let Some((known, connection)) = meaning(rest) else {
                warn_of(&name, rest);
                continue;
            };
            let Ok(value) = value.into().into_string() else { return Err(wrong(name, "is not UTF-8")) };
            reader.set(known, &connection, name, Raw::Text(value))?;
        }
        Ok(reader.finish())
    }
}

/// The setting of this variable (without the prefix), and its connection.
fn meaning(variable: &str) -> Option<(Known, String)> {
    if let Some(known) = names::find(|name| names::in_capitals(name) == variable) {
        return Some((known, DEFAULT.to_owned()));
    }
    let rest = variable.strip_prefix(CONNECTION)?;
    // Of `EU_SENTINEL_ACCESS_KEY`, `ACCESS_KEY` is also an end: the longest counts.
    let ends = |name: &&str| rest.strip_suffix(&names::in_capitals(name)).is_some_and(|start| start.ends_with('_'));
    let setting = names::of_connections().filter(ends).max_by_key(|name| names::in_capitals(name).len())?;
    let connection = rest.strip_suffix(&names::in_capitals(setting))?.strip_suffix('_')?;
    let lower = connection.to_ascii_lowercase();
    // Only capitals, as everywhere: what is lower case here would be a second spelling.
    if connection.to_ascii_uppercase() != connection || check_name(&lower).is_err() {
        return None;
    }
    Some((names::find(|name| name == setting)?, lower))
}

/// The value is not shown: it may be a password under a misspelt name.
fn warn_of(variable: &str, rest: &str) {
    let near = names::near_misses(rest, names::all().map(names::in_capitals));
    let near: Vec<_> = near.into_iter().map(|name| format!("{PREFIX}{name}")).collect();
    let (variable, question) = (names::shown(variable), names::did_you_mean(&near));
    tracing::warn!("the environment variable `{variable}` is no setting of sessions{question}");
}
