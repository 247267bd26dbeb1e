//! Which setting a name means, and what was probably meant where it means none.

use crate::connection::ConnectionSettings;
use crate::settings::Settings;
use crate::table::Setting;
use crate::value::Unit;

/// A setting, and the unit that a value has under the name by which it was found.
#[derive(Clone, Copy)]
pub(crate) enum Known {
    OfSessions(&'static Setting<Settings>, Unit),
    OfConnection(&'static Setting<ConnectionSettings>, Unit),
}

/// The setting one of whose names `is` the one that was looked for.
pub(crate) fn find(is: impl Fn(&str) -> bool) -> Option<Known> {
    let of_connection = || find_in(ConnectionSettings::SETTINGS, &is).map(|(it, unit)| Known::OfConnection(it, unit));
    find_in(Settings::SETTINGS, &is).map(|(it, unit)| Known::OfSessions(it, unit)).or_else(of_connection)
}

pub(crate) fn find_in<T>(
    settings: &'static [Setting<T>],
    is: impl Fn(&str) -> bool,
) -> Option<(&'static Setting<T>, Unit)> {
    settings.iter().find_map(|setting| {
        let (_, unit) = setting.names().find(|(name, _)| is(name))?;
        Some((setting, unit))
    })
}

/// All names that a setting of a connection has.
pub(crate) fn of_connections() -> impl Iterator<Item = &'static str> {
    ConnectionSettings::SETTINGS.iter().flat_map(Setting::names).map(|(name, _)| name)
}

/// All names that a setting has.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    Settings::SETTINGS.iter().flat_map(Setting::names).map(|(name, _)| name).chain(of_connections())
}

/// As the environment writes it: `idleTimeout` and `idle_timeout` are `IDLE_TIMEOUT`.
pub(crate) fn in_capitals(name: &str) -> String {
    let mut capitals = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            capitals.push('_');
        }
        capitals.push(character.to_ascii_uppercase());
    }
    capitals
}

/// Which of these names are near to one that is none of them: at most three, nearest first.
pub(crate) fn near_misses(name: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    // Distances cost as much as both lengths multiplied, and this one comes from outside.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return Vec::new();
    }
    let bound = (name.len() / 3).clamp(1, 4);
    let mut near: Vec<_> = names
        .map(|candidate| (strsim::osa_distance(name, &candidate), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

/// The question to append, if there is something to ask.
pub(crate) fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean `{}`?", near.join("` or `")) }
}

/// A name from outside, so that it can stand in a line of text.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 64;
    let mut shown: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

/// What the ancestors' settings that have no counterpart are here.
pub(crate) fn elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "settingsClassName" | "settingsMethodName" => {
            "names a .NET method; here it is a closure, `ConnectionSettings::settings_provider`"
        }
        "loggingClassName" | "loggingMethodName" => {
            "names a .NET method; here it is an `Observer`, given to the builder in code, and `tracing`"
        }
        "type" | "customProvider" | "mode" => "names a .NET class; here it is `provider`",
        "name" | "description" => "is of no use here; leave it out",
        "executionTimeout" => "limits how long a request may lock its session; here none is locked",
        "allowConcurrentRequestsPerSession" => "is always so here; leave it out",
        "regenerateExpiredSessionId" => "is always so here; leave it out",
        "cookieless" => "sessions are told by a cookie only",
        "compressionEnabled" => "a serializer that compresses is given in code",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_name_means_two_settings_not_even_in_capitals() {
        let mut seen = HashMap::new();
        for name in all() {
            let of = |known| match known {
                Known::OfSessions(setting, _) => setting.name,
                Known::OfConnection(setting, _) => setting.name,
            };
            let setting = find(|other| other == name).map(of).unwrap();
            let before = seen.insert(in_capitals(name), setting);
            assert!(before.is_none_or(|before| before == setting), "{name}");
            assert!(elsewhere(name).is_none(), "{name}");
        }
    }

    #[test]
    fn names_in_capitals() {
        for (name, capitals) in [
            ("url", "URL"),
            ("idle_timeout", "IDLE_TIMEOUT"),
            ("retryTimeoutInMilliseconds", "RETRY_TIMEOUT_IN_MILLISECONDS"),
        ] {
            assert_eq!(in_capitals(name), capitals);
        }
    }

    #[test]
    fn what_was_probably_meant() {
        let near = |name: &str| did_you_mean(&near_misses(name, all().map(str::to_owned)));
        assert_eq!(near("ulr"), "; did you mean `url`?");
        assert_eq!(near("acess-key"), "; did you mean `access_key` or `accessKey`?");
        assert_eq!(near("MANAGER"), "");
        assert_eq!(near(&"x".repeat(1 << 20)), "");
        assert_eq!(shown("a\n\u{1b}b"), "a\\n\\u{1b}b");
        assert_eq!(shown(&"ß".repeat(100)), format!("{}...", "ß".repeat(64)));
    }
}
