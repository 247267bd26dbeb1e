//! What is asked of settings and URLs of unknown origin: no panic, and that no error and no `Debug` repeats a secret.
//! Used by the fuzz targets, and by an ordinary test.

use std::fmt::Debug;

use session_redis::RedisConfig;
use session_settings::{ConnectionSettings, Provider, Settings};
use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};

/// What the settings below hold where the bytes have a `$`, and no error may.
const SECRET: &str = "Sesame";

/// Reads a file, and one variable for each of its lines of the form `NAME=value`; then makes of the settings what can be
/// made.
pub fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).replace(SECRET, "").replace('$', SECRET);
    // A name is shown where it is unknown, so a secret must not be one; toml's own errors show a line.
    if toml::from_str::<toml::Table>(&text).is_ok_and(|table| !has_secret_name(&table)) {
        match toml::from_str::<Settings>(&text) {
            Ok(settings) => made_of(&settings, &text),
            Err(error) => hidden(&error),
        }
    }
    let variables = text.lines().filter_map(|line| line.split_once('='));
    let variables = variables.filter(|(name, _)| !name.to_ascii_lowercase().contains(&SECRET.to_ascii_lowercase()));
    match Settings::from_variables(variables.map(|(name, value)| (format!("SESSION_{name}"), value))) {
        Ok(settings) => made_of(&settings, &text),
        Err(error) => hidden(&error),
    }
}

fn has_secret_name(table: &toml::Table) -> bool {
    table.iter().any(|(name, value)| name.contains(SECRET) || value.as_table().is_some_and(has_secret_name))
}

fn made_of(settings: &Settings, text: &str) {
    // What may be shown, may be the secret; and files that are named would be read, whichever they are.
    let covered = ConnectionSettings::new().host("h").unix_socket("/s").username("u").server_name("n").nodes(["n"]);
    let covered = covered.master_name("m").sentinel_username("u").ca_file("/").client_certificate("/").client_key("/");
    let shown =
        Settings::new().key_prefix("p").application_name("a").cookie_name("c").cookie_domain("d").cookie_path("/");
    // As is what belongs to further connections.
    if format!("{settings:?}").contains("connections: {}") {
        let shown = settings.clone().overlay(shown.with_connection("default", covered));
        assert!(!format!("{shown:?}").contains(SECRET), "shown by Debug");
    }
    if text.to_ascii_lowercase().contains("_file") || text.to_ascii_lowercase().contains("client_") || with_tls(text) {
        return;
    }
    for provider in [Provider::Redis, Provider::Twemproxy] {
        let connection = ConnectionSettings::new().provider(provider);
        if let Err(error) = settings.clone().with_connection("default", connection).manager() {
            hidden(&error);
        }
    }
    if let Err(error) = settings.cookie() {
        hidden(&error);
    }
}

/// Reads a URL or connection string.
pub fn url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).replace(SECRET, "").replace('$', SECRET);
    if with_tls(&text) {
        return;
    }
    let redis = RedisConfig::new().url(text.as_str());
    assert!(!format!("{redis:?}").contains(SECRET), "shown by Debug");
    if let Err(error) = redis.check() {
        hidden(&error);
    }
    let proxy = TwemproxyConfig::new().url(text.as_str());
    assert!(!format!("{proxy:?}").contains(SECRET), "shown by Debug");
    if let Err(error) = TwemproxyProvider::new(&proxy) {
        hidden(&error);
    }
}

/// Certificates are not what is tested here, and reading the system's takes long.
fn with_tls(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("rediss") || text.contains("ssl")
}

fn hidden(error: &(impl Debug + ToString)) {
    let text = format!("{error:?} {}", error.to_string());
    assert!(!text.contains(SECRET), "{text}");
}
