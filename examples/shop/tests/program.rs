//! The program itself: its settings, its start, its end.

use secret_watch as _;

mod copies;

use std::io::Read as _;
use std::process::Command;

use copies::Shop;

#[test]
fn a_wrong_setting_is_named() {
    for (variable, text, setting) in [
        ("PORT", "http", "`PORT`"),
        ("SESSION_PROVIDER", "disk", "`SESSION_PROVIDER`"),
        ("SESSION_URL", "http://user:sesame@127.0.0.1", "`url`"),
        ("SESSION_SERIALIZER", "xml", "`SESSION_SERIALIZER`"),
        ("SESSION_IDLE_TIMEOUT", "20", "`SESSION_IDLE_TIMEOUT`"),
        ("SESSION_RETRY_TIMEOUT", "-1s", "`SESSION_RETRY_TIMEOUT`"),
        ("SESSION_MAX_SESSION_BYTES", "30k", "`SESSION_MAX_SESSION_BYTES`"),
        ("SESSION_COOKIE_NAME", "a;b", "cookie_name"),
    ] {
        let mut shop = Shop::start(&[(variable, text)]);
        let status = shop.wait();
        let mut told = String::new();
        shop.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert_eq!(status.code(), Some(2), "{variable}: {told}");
        assert!(told.contains(setting) && !told.contains("sesame"), "{told}");
    }
}

#[test]
fn it_says_where_it_listens_and_ends_when_told() {
    // It starts without asking for Redis, which is not there.
    for settings in [
        [("SESSION_URL", "redis://127.0.0.1:1"), ("SESSION_DATABASE", "1")],
        // Many desktops set the latter.
        [("SESSION_PROVIDER", "memory"), ("SESSION_MANAGER", "local/desktop:@/tmp/.ICE-unix/1")],
    ] {
        let mut shop = Shop::start(&settings);
        let line = shop.first_line();
        let port = line.trim_end().strip_prefix("listening on http://127.0.0.1:").unwrap_or_else(|| panic!("{line:?}"));
        assert_ne!(port.parse::<u16>().unwrap(), 0);
        let told = Command::new("kill").args(["-TERM", &shop.0.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert!(shop.wait().success());
    }
}
