//! Settings from files: what is refused, and that nothing of it is repeated.

use std::time::Duration;

use serde::Deserialize;
use session_settings::{ConnectionSettings, Settings};

use crate::sources::{from_toml, toml_error};

#[test]
fn a_wrong_value_is_named_and_not_repeated() {
    for (line, name) in [
        ("url = 5", "url"),
        ("url = [\"redis://:sesame@h\"]", "url"),
        ("url = { password = \"sesame\" }", "url"),
        ("access_key = 1979", "access_key"),
        ("access_key = [\"sesame\"]", "access_key"),
        ("sentinel_access_key = true", "sentinel_access_key"),
        ("signing_keys = [\"sesame!\"]", "signing_keys"),
        ("signing_keys = [1979]", "signing_keys"),
        ("port = \"sesame\"", "port"),
        ("port = 65536", "port"),
        ("port = -1", "port"),
        ("port = 1.5", "port"),
        ("ssl = \"sesame\"", "ssl"),
        ("ssl = 1", "ssl"),
        ("nodes = [[\"sesame\"]]", "nodes"),
        ("provider = \"sesame\"", "provider"),
        ("topology = \"sesame\"", "topology"),
        ("size_handler = \"sesame\"", "size_handler"),
        ("serializer = \"sesame\"", "serializer"),
        ("cookie_same_site = \"sesame\"", "cookie_same_site"),
        ("idle_timeout = 20", "idle_timeout"),
        ("idle_timeout = \"sesame\"", "idle_timeout"),
        ("idle_timeout = 1979-05-27", "idle_timeout"),
        ("absolute_timeout = \"sesame\"", "absolute_timeout"),
        ("expiry_slack = 256", "expiry_slack"),
        ("connection = \"sesame\"", "connection"),
        ("connection.eu = \"sesame\"", "eu"),
        ("connection.EU.url = \"redis://:sesame@h\"", "connection"),
        ("connection.eu.url = 5", "url"),
        ("connection.eu = { access_key = \"sesame\", port = \"sesame\" }", "port"),
    ] {
        let error = toml_error(line);
        assert!(error.contains(&format!("`{name}`")), "{line}: {error}");
        assert!(!error.contains("sesame") && !error.contains("1979"), "{line}: {error}");
        if line.starts_with("connection.eu.") {
            assert!(error.contains("\"eu\""), "{error}");
        }
        let json = serde_json::to_string(&toml::from_str::<toml::Table>(line).unwrap()).unwrap();
        let error = serde_json::from_str::<Settings>(&json).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")), "{json}: {error}");
        assert!(!error.contains("sesame") && !error.contains("1979"), "{json}: {error}");
    }
}

#[test]
fn an_unknown_name_is_an_error_with_a_near_one() {
    for (line, text) in [
        ("idle_timout = \"sesame\"", "`idle_timout`: there is no such setting; did you mean `idle_timeout`?"),
        ("acess_key = \"sesame\"", "`acess_key`: there is no such setting; did you mean `access_key`"),
        ("server_version = \"sesame\"", "`server_version`: there is no such setting"),
        ("nothing_like_it = \"sesame\"", "`nothing_like_it`: there is no such setting"),
        ("\"a\\nb\" = 1", "`a\\nb`: there is no such setting"),
        ("[connection.eu]\nulr = \"sesame\"", "`ulr`: there is no such setting; did you mean `url`?"),
        ("[connection.eu]\nidle_timeout = \"sesame\"", "`idle_timeout`: is the same for all connections"),
        ("[eu]\nurl = \"sesame\"", "`eu`: there is no such setting"),
    ] {
        let error = toml_error(line);
        assert!(error.contains(text), "{line}: {error}");
        assert!(!error.contains("sesame"), "{line}: {error}");
    }
}

#[test]
fn what_is_given_twice_is_an_error() {
    for json in [
        r#"{ "access_key": "sesame", "access_key": "sesame" }"#,
        r#"{ "access_key": "sesame", "connection": { "default": { "access_key": "sesame" } } }"#,
        r#"{ "connection": { "eu": { "access_key": "sesame" }, "eu": { "access_key": "sesame" } } }"#,
    ] {
        let error = serde_json::from_str::<Settings>(json).unwrap_err().to_string();
        assert!(error.contains("`access_key`: is given twice"), "{json}: {error}");
        assert!(!error.contains("sesame"), "{error}");
    }
}

#[test]
fn null_is_as_if_it_were_not_there() {
    assert_eq!(serde_json::from_str::<Settings>(r#"{ "url": null, "port": null }"#).unwrap(), Settings::new());
    assert!(serde_json::from_str::<Settings>(r#"{ "ulr": null }"#).is_err());
    for json in ["null", "[]", "5", "\"sesame\""] {
        let error = serde_json::from_str::<Settings>(json).unwrap_err().to_string();
        assert!(error.contains("`settings`: must be a table") && !error.contains("sesame"), "{error}");
    }
}

#[test]
fn the_connection_default_is_that_of_the_top_level() {
    let expected = from_toml("url = \"redis://h\"\noperation_timeout = \"2s\"");
    assert_eq!(from_toml("url = \"redis://h\"\n[connection.default]\noperation_timeout = \"2s\""), expected);
}

#[test]
fn a_connection_of_which_nothing_is_said_is_there_with_all_defaults() {
    let expected = Settings::new().with_connection("eu", ConnectionSettings::new());
    assert_eq!(from_toml("[connection.eu]"), expected);
    assert!(expected.connection("eu").is_some() && expected.connection("us").is_none());
}

#[test]
fn they_can_be_a_part_of_a_programs_own() {
    #[derive(Debug, Deserialize)]
    struct Own {
        port: u16,
        session: Settings,
    }

    let own: Own = toml::from_str("port = 80\n[session]\nport = 7000").unwrap();
    assert_eq!(own.port, 80);
    assert_eq!(own.session, Settings::new().with_connection("default", ConnectionSettings::new().port(7000)));
    // Here `toml` knows a line and shows it: that with the table's name.
    let error = toml::from_str::<Own>("port = 80\n[session]\nacess_key = \"sesame\"").unwrap_err().to_string();
    assert!(error.contains("`acess_key`") && !error.contains("sesame"), "{error}");
}

#[test]
fn what_is_put_over_wins() {
    let connection = ConnectionSettings::new;
    let built_in = Settings::new().key_prefix("shop:").idle_timeout(Duration::from_secs(60)).expiry_slack(5);
    let file = from_toml("idle_timeout = \"2m\"\nexpiry_slack = 6\nport = 7000\n[connection.eu]\nport = 7001");
    let environment = Settings::from_variables([
        ("SESSION_EXPIRY_SLACK", "7"),
        ("SESSION_OPERATION_TIMEOUT", "2s"),
        ("SESSION_CONNECTION_EU_DATABASE", "1"),
    ]);
    let expected = Settings::new()
        .key_prefix("shop:")
        .idle_timeout(Duration::from_secs(120))
        .expiry_slack(7)
        .with_connection("default", connection().port(7000).operation_timeout(Duration::from_secs(2)))
        .with_connection("eu", connection().port(7001).database(1));
    assert_eq!(built_in.overlay(file).overlay(environment.unwrap()), expected);
}

#[test]
fn a_url_takes_the_place_of_what_it_stands_for() {
    let below = from_toml(
        "host = \"h\"\nport = 1\nusername = \"u\"\naccess_key = \"sesame\"\nssl = true\ndatabase = 2\nconnections = 3",
    );
    let over = Settings::from_variables([("SESSION_URL", "redis://i")]).unwrap();
    assert_eq!(below.overlay(over), from_toml("url = \"redis://i\"\ndatabase = 2\nconnections = 3"));
    // The other way round nobody can tell what of the URL is to remain.
    let over = Settings::from_variables([("SESSION_HOST", "i")]).unwrap();
    let error = from_toml("url = \"rediss://:sesame@h\"").overlay(over).manager().unwrap_err().to_string();
    assert!(error.contains("`host`") && error.contains("`url`") && !error.contains("sesame"), "{error}");
}
