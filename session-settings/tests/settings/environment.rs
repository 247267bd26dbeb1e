//! Settings from the environment.

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use session_core::ErrorKind;
use session_settings::{ConnectionSettings, Settings};
use tracing_subscriber::fmt::MakeWriter;

use crate::sources::from_variables;

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The settings, and what was logged while they were read.
fn logged(variables: &[(&str, &str)]) -> (Settings, String) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let settings = tracing::subscriber::with_default(subscriber, || from_variables(variables));
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    (settings, text)
}

#[test]
fn an_unknown_variable_is_a_warning_with_near_ones() {
    for (variable, text) in [
        ("SESSION_MANAGER", "`SESSION_MANAGER` is no setting of sessions\n"),
        (
            "SESSION_IDLE_TIMOUT",
            "`SESSION_IDLE_TIMOUT` is no setting of sessions; did you mean `SESSION_IDLE_TIMEOUT`?",
        ),
        ("SESSION_ACESS_KEY", "did you mean `SESSION_ACCESS_KEY`?"),
        ("SESSION_idle_timeout", "`SESSION_idle_timeout` is no setting"),
        ("SESSION_CONNECTION_EU", "`SESSION_CONNECTION_EU` is no setting"),
        ("SESSION_CONNECTION_eu_URL", "`SESSION_CONNECTION_eu_URL` is no setting"),
        ("SESSION_CONNECTION__URL", "`SESSION_CONNECTION__URL` is no setting"),
        ("SESSION_CONNECTION_EU_IDLE_TIMEOUT", "`SESSION_CONNECTION_EU_IDLE_TIMEOUT` is no setting"),
        ("SESSION_\r\n", "`SESSION_\\r\\n` is no setting"),
    ] {
        let (settings, log) = logged(&[(variable, "sesame"), ("SESSION_PORT", "1")]);
        assert_eq!(settings, Settings::new().with_connection("default", ConnectionSettings::new().port(1)));
        assert!(log.contains("WARN") && log.contains(text), "{variable}: {log}");
        assert!(!log.contains("sesame"), "{log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }
    for silent in ["SESSION", "session_port", "MY_SESSION_PORT", "PORT", ""] {
        let (settings, log) = logged(&[(silent, "sesame")]);
        assert_eq!((settings, &*log), (Settings::new(), ""), "{silent}");
    }
}

#[test]
fn a_wrong_value_is_named_with_its_variable() {
    for (variable, value, setting) in [
        ("SESSION_IDLE_TIMEOUT", "sesame", "`idle_timeout`"),
        ("SESSION_PORT", "", "`port`"),
        ("SESSION_PROVIDER", "sesame", "`provider`"),
        ("SESSION_SIGNING_KEYS", "sesame!", "`signing_keys`"),
        ("SESSION_CONNECTION_EU_DATABASE", "sesame", "`database`"),
    ] {
        let error = Settings::from_variables([(variable, value)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.connection(), variable.contains("_EU_").then_some("eu"));
        let text = format!("{error} {error:?}");
        assert!(text.contains(setting) && text.contains(&format!("`{variable}`")), "{text}");
        assert!(!text.contains("sesame"), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_utf_8_is_an_error_only_where_it_is_a_setting() {
    use std::os::unix::ffi::OsStringExt as _;

    let odd = || OsString::from_vec(b"sesame\xFF".to_vec());
    let error = Settings::from_variables([(OsString::from("SESSION_URL"), odd())]).unwrap_err();
    assert!(error.to_string().contains("`SESSION_URL`: is not UTF-8"), "{error}");
    assert!(!format!("{error:?}").contains("sesame"));
    let name = OsString::from_vec(b"SESSION_\xFF".to_vec());
    assert_eq!(
        Settings::from_variables([(name, odd()), (OsString::from("SESSION_MANAGER"), odd())]).unwrap(),
        Settings::new()
    );
}

#[test]
fn a_variable_of_a_further_connection_has_its_name() {
    let connection = ConnectionSettings::new;
    for (variable, name, expected) in [
        ("SESSION_CONNECTION_EU_URL", "eu", connection().url("1")),
        ("SESSION_CONNECTION_EU_WEST_2_PORT", "eu_west_2", connection().port(1)),
        ("SESSION_CONNECTION_EU_SENTINEL_ACCESS_KEY", "eu", connection().sentinel_access_key("1")),
        ("SESSION_CONNECTION_STRING_HOST", "string", connection().host("1")),
        ("SESSION_CONNECTION_STRING", "default", connection().url("1")),
        ("SESSION_CONNECTION_DEFAULT_URL", "default", connection().url("1")),
        (
            "SESSION_CONNECTION_TIMEOUT_IN_MILLISECONDS",
            "default",
            connection().connect_timeout(std::time::Duration::from_millis(1)),
        ),
        ("SESSION_CONNECTIONS", "default", connection().connections(1)),
    ] {
        assert_eq!(from_variables(&[(variable, "1")]), Settings::new().with_connection(name, expected), "{variable}");
    }
}
