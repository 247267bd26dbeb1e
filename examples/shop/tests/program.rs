//! The program itself: its settings, its start, its end.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

/// The shop, with no settings but these.
fn shop(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    for variable in
        ["PROVIDER", "URL", "SERIALIZER", "KEY_PREFIX", "IDLE_TIMEOUT", "RETRY_TIMEOUT", "MAX_SESSION_BYTES"]
    {
        command.env_remove(format!("SESSION_{variable}"));
    }
    command.env("PORT", "0").envs(settings.iter().copied()).stdin(Stdio::null());
    command
}

#[test]
fn a_wrong_setting_is_named() {
    for (variable, text) in [
        ("PORT", "http"),
        ("SESSION_PROVIDER", "disk"),
        ("SESSION_URL", "nowhere"),
        ("SESSION_SERIALIZER", "xml"),
        ("SESSION_IDLE_TIMEOUT", "20"),
        ("SESSION_RETRY_TIMEOUT", "-1s"),
        ("SESSION_MAX_SESSION_BYTES", "30k"),
    ] {
        let Output { status, stdout, stderr } = shop(&[(variable, text)]).output().unwrap();
        let stderr = String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(2), "{variable}: {stderr}");
        assert!(stderr.contains(variable), "{stderr}");
        assert!(stdout.is_empty());
    }
}

#[test]
fn it_says_where_it_listens_and_ends_when_told() {
    // It starts without asking for Redis, which is not there.
    for settings in [[("SESSION_PROVIDER", "memory")], [("SESSION_URL", "redis://127.0.0.1:1")]] {
        let mut shop = shop(&settings).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(shop.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim_end().strip_prefix("listening on http://127.0.0.1:").unwrap_or_else(|| panic!("{line:?}"));
        assert_ne!(port.parse::<u16>().unwrap(), 0);
        let told = Command::new("kill").args(["-TERM", &shop.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert!(shop.wait().unwrap().success());
    }
}
