//! Settings from a file, or whatever else serde can read.

use serde::de::{Deserialize, Deserializer, Error as _};
use session_core::Result;

use crate::error::wrong;
use crate::names::{self, Known};
use crate::raw::Raw;
use crate::reader::Reader;
use crate::settings::{DEFAULT, Settings, check_name};

/// The table of further connections.
const CONNECTION: &str = "connection";

/// From any self-describing format.
///
/// # Errors
///
/// A wrong value, an unknown name, the same setting under two names: the text names it, and repeats no value.
///
/// Formats add something of their own. `toml` shows the line of what is no TOML, and, where the settings are a part of a
/// larger type, the line on which that part begins: so give it one of its own, `[session]`, instead of writing all of it
/// on one line.
impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Deliberately not while the format reads: where it knows the line of an error, it shows the line, password and
        // all.
        let raw = Raw::deserialize(deserializer)?;
        settings(raw).map_err(D::Error::custom)
    }
}

fn settings(raw: Raw) -> Result<Settings> {
    let mut reader = Reader::default();
    for (name, value) in table("settings", raw)? {
        if name == CONNECTION {
            for (connection, values) in table(CONNECTION, value)? {
                check_name(&connection)?;
                of_connection(&mut reader, &connection, values)?;
            }
        } else {
            let known = names::find(|other| other == name).ok_or_else(|| unknown(&name, names::all()))?;
            reader.set(known, DEFAULT, name, value)?;
        }
    }
    Ok(reader.finish())
}

fn of_connection(reader: &mut Reader, connection: &str, values: Raw) -> Result<()> {
    let values = table(connection, values).map_err(|error| error.with_connection(connection))?;
    reader.connection(connection);
    for (name, value) in values {
        let known = match names::find(|other| other == name) {
            Some(known @ Known::OfConnection(..)) => known,
            Some(Known::OfSessions(..)) => {
                let error = wrong(&name, "is the same for all connections; it belongs to the top level");
                return Err(error.with_connection(connection));
            }
            None => return Err(unknown(&name, names::of_connections()).with_connection(connection)),
        };
        reader.set(known, connection, name, value)?;
    }
    Ok(())
}

fn table(name: &str, raw: Raw) -> Result<Vec<(String, Raw)>> {
    let Raw::Table(entries) = raw else { return Err(wrong(names::shown(name), "must be a table of settings")) };
    let text = |(name, value)| match name {
        Raw::Text(name) => Ok((name, value)),
        _ => Err(wrong("settings", "a name must be a text")),
    };
    entries.into_iter().map(text).collect()
}

fn unknown(name: &str, names: impl Iterator<Item = &'static str>) -> session_core::Error {
    let shown = names::shown(name);
    match names::elsewhere(name) {
        Some(advice) => wrong(shown, advice),
        None => {
            let question = names::did_you_mean(&names::near_misses(name, names.map(str::to_owned)));
            wrong(shown, format_args!("there is no such setting{question}"))
        }
    }
}
