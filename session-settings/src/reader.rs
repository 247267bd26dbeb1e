//! Puts named values where they belong, and keeps a source from setting the same thing twice.

use std::collections::HashMap;

use session_core::Result;

use crate::error::{wrong, wrong_as};
use crate::names::Known;
use crate::raw::Raw;
use crate::settings::{DEFAULT, Settings};

/// Settings under construction, from one source.
#[derive(Default)]
pub(crate) struct Reader {
    settings: Settings,
    /// Under which name each setting was given, by connection (none for what is not of a connection) and setting.
    given: HashMap<(Option<String>, &'static str), String>,
}

impl Reader {
    /// There is such a connection, even if nothing is set for it.
    pub(crate) fn connection(&mut self, name: &str) {
        self.settings.connection_mut(name.to_owned());
    }

    /// Sets it, on this connection if it is a setting of connections. `name` is as the source has it.
    pub(crate) fn set(&mut self, known: Known, connection: &str, name: String, raw: Raw) -> Result<()> {
        if let Raw::Nothing = raw {
            return Ok(());
        }
        let (connection, setting, outcome) = match known {
            Known::OfSessions(setting, unit) => (None, setting.name, (setting.set)(&mut self.settings, raw, unit)),
            Known::OfConnection(setting, unit) => {
                let place = self.settings.connection_mut(connection.to_owned());
                (Some(connection.to_owned()), setting.name, (setting.set)(place, raw, unit))
            }
        };
        let further = connection.clone().filter(|connection| connection != DEFAULT);
        outcome
            .map_err(|why| wrong_as(setting, &name, why))
            .and_then(|()| self.note(connection, setting, name))
            .map_err(|error| match further {
                None => error,
                Some(connection) => error.with_connection(connection),
            })
    }

    fn note(&mut self, connection: Option<String>, setting: &'static str, name: String) -> Result<()> {
        match self.given.insert((connection, setting), name.clone()) {
            None => Ok(()),
            Some(before) if before == name => Err(wrong(name, "is given twice")),
            Some(before) => Err(wrong(name, format_args!("is the same setting as `{before}`, which is given, too"))),
        }
    }

    pub(crate) fn finish(self) -> Settings {
        self.settings
    }
}
