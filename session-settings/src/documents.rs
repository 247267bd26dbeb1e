//! `session.toml` and the table of the crate's documentation: written from the list of settings, and compared with what
//! the code does. After a change of a setting, write them again with
//!
//! ```sh
//! SESSION_WRITE_DOCUMENTS=1 cargo test --package session-settings --all-features --lib documents
//! ```

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use crate::table::Setting;
use crate::value::Unit;
use crate::{ConnectionSettings, Settings};

const INTRODUCTION: &str = "\
# Settings of web sessions. Each is here with a sentence and, behind a `#`, its default: remove the
# `#` from what you change.
#
# Durations are written as \"20m\", \"500ms\", \"1h 30m\". The environment wins over this file, where
# the program reads both: SESSION_IDLE_TIMEOUT=30m, SESSION_URL=...
";

const FURTHER: &str = "
# ---- Further connections ----

# Each has a table of its own under its name, with settings as above under \"Connection\", and inherits
# nothing but the provider. In the environment: SESSION_CONNECTION_EU_URL.
#[connection.eu]
";

/// What stands in TOML as a comment, in lines of at most a hundred characters.
fn comment(text: &str, into: &mut String) {
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > 100 {
            let _ = writeln!(into, "{line}");
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(into, "{line}");
}

fn toml_of<T>(title: &str, settings: &[Setting<T>], into: &mut String) {
    let _ = writeln!(into, "\n# ---- {title} ----");
    for Setting { name, value, has_default, text, .. } in settings {
        into.push('\n');
        let example = if *has_default { "" } else { " No default, but for instance:" };
        comment(&format!("{text}{example}"), into);
        let _ = writeln!(into, "#{name} = {value}");
    }
}

fn session_toml() -> String {
    let mut text = INTRODUCTION.to_owned();
    toml_of("Connection", ConnectionSettings::SETTINGS, &mut text);
    toml_of("Sessions", Settings::SETTINGS, &mut text);
    text.push_str(FURTHER);
    let _ = writeln!(text, "#url = \"redis://eu.redis.internal\"");
    text
}

fn table_of<T>(title: &str, settings: &[Setting<T>], into: &mut String) {
    let _ = writeln!(into, "\n## {title}\n\n| setting | default | also | |\n|---|---|---|---|");
    for Setting { name, value, has_default, text, aliases, .. } in settings {
        let default = if *has_default { format!("`{value}`") } else { String::new() };
        let aliases: Vec<_> = aliases.iter().map(|(alias, unit)| format!("`{alias}`{}", unit_of(*unit))).collect();
        let _ = writeln!(into, "| `{name}` | {default} | {} | {} |", aliases.join(", "), text.trim());
    }
}

fn unit_of(unit: Unit) -> &'static str {
    match unit {
        Unit::Minutes => " (minutes)",
        // The name says it.
        Unit::Written | Unit::Milliseconds => "",
    }
}

fn settings_md() -> String {
    let mut text = "# All settings\n".to_owned();
    table_of("Of a connection", ConnectionSettings::SETTINGS, &mut text);
    table_of("Of sessions", Settings::SETTINGS, &mut text);
    text
}

#[test]
fn the_documents_are_those_of_the_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, text) in [("session.toml", session_toml()), ("src/settings.md", settings_md())] {
        let path = folder.join(file);
        if env::var_os("SESSION_WRITE_DOCUMENTS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == text, "{file} is not as the list of settings has it; see the beginning of documents.rs");
    }
}

/// Everything that settings lead to, as far as it can be seen.
fn effect(settings: &Settings) -> String {
    let connection = settings.connection("default").unwrap();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        settings.manager().unwrap(),
        settings.cookie().unwrap(),
        settings.key_derivation(),
        settings.codec().unwrap(),
        (connection.provider_kind().unwrap_or_default(), connection.topology_kind()),
        connection.redis_config().unwrap().check().unwrap(),
    )
}

/// The lines of `session.toml` without the tables at its end, as they are once the `#` is removed.
fn lines() -> Vec<String> {
    let text = include_str!("../session.toml");
    let (settings, _) = text.split_once("#[connection.eu]").unwrap();
    let is_setting = |line: &&str| line.starts_with(|first: char| first.is_ascii_lowercase());
    settings.lines().filter_map(|line| line.strip_prefix('#')).filter(is_setting).map(str::to_owned).collect()
}

#[test]
fn every_default_in_session_toml_is_what_the_code_does() {
    let unset = effect(&Settings::new());
    let settings = Settings::SETTINGS.iter().map(|it| (it.name, it.has_default));
    let all = ConnectionSettings::SETTINGS.iter().map(|it| (it.name, it.has_default)).chain(settings);
    let lines = lines();
    assert_eq!(lines.len(), all.clone().count(), "each setting once, and nothing else");
    for ((name, has_default), line) in all.zip(lines) {
        assert!(line.starts_with(&format!("{name} = ")), "{line}");
        match toml::from_str::<Settings>(&line) {
            // An example that were a key would be the key of those who copy it.
            Err(error) if name == "signing_keys" => assert!(error.to_string().contains("`signing_keys`"), "{error}"),
            Err(error) => panic!("{line}: {error}"),
            Ok(settings) if has_default => assert_eq!(effect(&settings), unset, "{line}"),
            Ok(settings) => assert_ne!(settings, Settings::new(), "{line}"),
        }
    }
}

#[test]
fn session_toml_can_be_read_as_it_is_and_with_all_defaults() {
    let text = include_str!("../session.toml");
    assert_eq!(toml::from_str::<Settings>(text).unwrap(), Settings::new());
    let (_, tables) = text.split_once("#[connection.eu]").unwrap();
    let tables = format!("[connection.eu]{tables}").replace("\n#", "\n");
    assert!(toml::from_str::<Settings>(&tables).unwrap().connection("eu").is_some());
}
