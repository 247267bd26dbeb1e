//! One setting, said in code, in TOML, in JSON and in the environment.

use std::fmt::Write as _;

use session_core::{Error, ErrorKind};
use session_redis::RedisSettings;
use session_settings::{ConnectionSettings, Settings};

pub(crate) fn from_toml(text: &str) -> Settings {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// What the error of a file says.
pub(crate) fn toml_error(text: &str) -> String {
    match toml::from_str::<Settings>(text) {
        Ok(settings) => panic!("{text} is accepted as {settings:?}"),
        Err(error) => error.to_string(),
    }
}

pub(crate) fn from_json_of(text: &str) -> Settings {
    let json = serde_json::to_string(&toml::from_str::<toml::Table>(text).unwrap()).unwrap();
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}\n{error}"))
}

pub(crate) fn from_variables(variables: &[(&str, &str)]) -> Settings {
    Settings::from_variables(variables.iter().copied()).unwrap_or_else(|error| panic!("{variables:?} {error}"))
}

/// Lists are separated by commas in the environment; all else is as in TOML, but without quotes.
fn in_environment(toml: &str) -> String {
    toml.replace(['"', '[', ']'], "").replace(", ", ",")
}

/// The setting as all sources say it, after making sure that they mean the same as the code.
pub(crate) fn everywhere(code: Settings, name: &str, toml: &str) -> Settings {
    let line = format!("{name} = {toml}");
    let variable = format!("SESSION_{}", name.to_uppercase());
    for (source, settings) in [
        ("TOML", from_toml(&line)),
        ("JSON", from_json_of(&line)),
        ("environment", from_variables(&[(&variable, &in_environment(toml))])),
    ] {
        assert_eq!(settings, code, "{source}: {line}");
    }
    code
}

/// The same for settings of a connection, of the first one and of a further one.
pub(crate) fn on_connection(code: ConnectionSettings, lines: &[(&str, &str)]) -> ConnectionSettings {
    let mut text = String::new();
    for (name, toml) in lines {
        writeln!(text, "{name} = {toml}").unwrap();
    }
    let table = format!("[connection.eu]\n{text}");
    let variables = |infix: &str| {
        let variable =
            |(name, toml): &(&str, &str)| (format!("SESSION_{infix}{}", name.to_uppercase()), in_environment(toml));
        Settings::from_variables(lines.iter().map(variable)).unwrap()
    };
    for (connection, all) in [
        ("default", [from_toml(&text), from_json_of(&text), variables("")]),
        ("eu", [from_toml(&table), from_json_of(&table), variables("CONNECTION_EU_")]),
    ] {
        let expected = Settings::new().with_connection(connection, code.clone());
        for settings in all {
            assert_eq!(settings, expected, "{text}");
            assert_eq!(settings.connection(connection), Some(&code));
        }
    }
    code
}

/// Where a connection to a Redis leads.
pub(crate) fn redis(connection: &ConnectionSettings) -> RedisSettings {
    connection.redis_config().unwrap().check().unwrap()
}

/// Why a manager of these settings cannot be built: an error of kind `Config`.
pub(crate) fn refusal(settings: &Settings) -> Error {
    let error = settings.layer().err().unwrap_or_else(|| panic!("{settings:?} is accepted"));
    assert_eq!(error.kind(), ErrorKind::Config);
    error
}

/// What the manager of these settings shows of its own settings.
pub(crate) fn manager(settings: &Settings) -> String {
    format!("{:?}", settings.manager().unwrap())
}
