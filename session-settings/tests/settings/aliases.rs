//! The names that settings have in a `web.config`, with the units that they have there.

use std::collections::BTreeSet;

use session_settings::Settings;

use crate::sources::{from_json_of, from_toml, from_variables, toml_error};

/// A name, a value as it is under that name, and what it says in ours.
const ALIASES: &[(&str, &str, &str)] = &[
    ("connection_string", r#""h:7000,password=x""#, r#"url = "h:7000,password=x""#),
    ("connectionString", r#""h:7000,password=x""#, r#"url = "h:7000,password=x""#),
    ("accessKey", r#""open sesame""#, r#"access_key = "open sesame""#),
    ("databaseId", "3", "database = 3"),
    ("connectionTimeoutInMilliseconds", "5000", r#"connect_timeout = "5s""#),
    ("operationTimeoutInMilliseconds", "700", r#"operation_timeout = "700ms""#),
    ("applicationName", r#""shop""#, r#"application_name = "shop""#),
    ("timeout", "30", r#"idle_timeout = "30m""#),
    ("cookieName", r#""shop""#, r#"cookie_name = "shop""#),
    ("cookieSameSite", r#""Strict""#, r#"cookie_same_site = "strict""#),
    ("throwOnError", "false", "throw_on_error = false"),
    ("retryTimeoutInMilliseconds", "5000", r#"retry_timeout = "5s""#),
    ("redisSerializerType", r#""json""#, r#"serializer = "json""#),
];

fn in_capitals(name: &str) -> String {
    name.chars().fold(String::new(), |capitals, character| {
        let gap = if character.is_ascii_uppercase() { "_" } else { "" };
        format!("{capitals}{gap}{}", character.to_ascii_uppercase())
    })
}

#[test]
fn every_alias_says_the_same_as_our_name() {
    for (alias, value, ours) in ALIASES {
        let expected = from_toml(ours);
        let text = value.trim_matches('"');
        assert_eq!(from_toml(&format!("{alias} = {value}")), expected, "{alias}");
        // A web.config has texts only.
        assert_eq!(from_json_of(&format!("{alias} = \"{text}\"")), expected, "{alias}");
        assert_eq!(from_variables(&[(&format!("SESSION_{}", in_capitals(alias)), text)]), expected, "{alias}");
    }
}

#[test]
fn all_aliases_are_in_the_table_above() {
    let documented: BTreeSet<_> = include_str!("../../src/settings.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split(" | ").nth(2))
        .flat_map(|aliases| aliases.split('`').skip(1).step_by(2))
        .collect();
    assert_eq!(documented, ALIASES.iter().map(|(alias, _, _)| *alias).collect());
}

#[test]
fn a_setting_under_two_names_is_an_error_that_names_both() {
    for (alias, value, ours) in ALIASES {
        let (name, _) = ours.split_once(' ').unwrap();
        let error = toml_error(&format!("{ours}\n{alias} = {value}"));
        assert!(error.contains(&format!("`{name}`")) && error.contains(&format!("`{alias}`")), "{error}");
        assert!(!error.contains("sesame"), "{error}");
        let variables = [format!("SESSION_{}", in_capitals(name)), format!("SESSION_{}", in_capitals(alias))];
        let text = value.trim_matches('"');
        // Under our name a duration has its unit.
        let text_of_ours = ours.split_once("= ").unwrap().1.trim_matches('"');
        let both = [(variables[0].as_str(), text_of_ours), (variables[1].as_str(), text)];
        let error = Settings::from_variables(both).unwrap_err().to_string();
        assert!(variables.iter().all(|variable| error.contains(variable)), "{error}");
    }
}

#[test]
fn a_wrong_value_is_told_of_both_names() {
    for (alias, value) in [
        ("timeout", r#""20m""#),
        ("retryTimeoutInMilliseconds", r#""sesame""#),
        ("operationTimeoutInMilliseconds", "-1"),
        ("databaseId", r#""sesame""#),
        ("accessKey", "1"),
    ] {
        let (_, _, ours) = ALIASES.iter().find(|(name, _, _)| *name == alias).unwrap();
        let error = toml_error(&format!("{alias} = {value}"));
        let name = ours.split_once(' ').unwrap().0;
        assert!(error.contains(&format!("`{name}` (given as `{alias}`)")), "{error}");
        assert!(!error.contains("sesame"), "{error}");
    }
}

#[test]
fn a_web_config_can_be_carried_over_line_by_line() {
    let settings = from_toml(
        r#"
        host = "cache.example.net"
        port = "6380"
        accessKey = "open sesame"
        ssl = "true"
        databaseId = "0"
        applicationName = "/shop"
        connectionTimeoutInMilliseconds = "5000"
        operationTimeoutInMilliseconds = "1000"
        retryTimeoutInMilliseconds = "5000"
        throwOnError = "True"
        timeout = "20"
        "#,
    );
    let ours = from_toml(
        r#"
        host = "cache.example.net"
        port = 6380
        access_key = "open sesame"
        ssl = true
        database = 0
        application_name = "/shop"
        connect_timeout = "5s"
        operation_timeout = "1s"
        retry_timeout = "5s"
        throw_on_error = true
        idle_timeout = "20m"
        "#,
    );
    assert_eq!(settings, ours);
}

#[test]
fn what_has_no_counterpart_is_told_where_it_is_here() {
    for (name, here) in [
        ("settingsClassName", "settings_provider"),
        ("settingsMethodName", "settings_provider"),
        ("loggingClassName", "Observer"),
        ("type", "`provider`"),
        ("executionTimeout", "none is locked"),
        ("allowConcurrentRequestsPerSession", "always so"),
    ] {
        let error = toml_error(&format!("{name} = \"sesame\""));
        assert!(error.contains(&format!("`{name}`")) && error.contains(here), "{error}");
        assert!(!error.contains("sesame"), "{error}");
    }
}
