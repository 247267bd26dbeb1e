//! The program itself: its settings, its start, its end.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// A running shop, killed when dropped.
struct Shop(Child);

impl Shop {
    /// Starts it with no settings but these.
    fn start(settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        for name in
            ["PROVIDER", "URL", "SERIALIZER", "KEY_PREFIX", "IDLE_TIMEOUT", "RETRY_TIMEOUT", "MAX_SESSION_BYTES"]
        {
            command.env_remove(format!("SESSION_{name}"));
        }
        command.env("PORT", "0").envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn first_line(&mut self) -> String {
        let output = self.0.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = sender.send(BufReader::new(output).read_line(&mut line).map(|_| line));
        });
        receiver.recv_timeout(DEADLINE).expect("it prints a line").unwrap()
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < DEADLINE, "it did not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_wrong_setting_is_named() {
    for (variable, text) in [
        ("PORT", "http"),
        ("SESSION_PROVIDER", "disk"),
        ("SESSION_URL", "http://127.0.0.1"),
        ("SESSION_SERIALIZER", "xml"),
        ("SESSION_IDLE_TIMEOUT", "20"),
        ("SESSION_RETRY_TIMEOUT", "-1s"),
        ("SESSION_MAX_SESSION_BYTES", "30k"),
    ] {
        let mut shop = Shop::start(&[(variable, text)]);
        let status = shop.wait();
        let mut told = String::new();
        shop.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert_eq!(status.code(), Some(2), "{variable}: {told}");
        assert!(told.contains(variable), "{told}");
    }
}

#[test]
fn it_says_where_it_listens_and_ends_when_told() {
    // It starts without asking for Redis, which is not there.
    for settings in [[("SESSION_PROVIDER", "memory")], [("SESSION_URL", "redis://127.0.0.1:1")]] {
        let mut shop = Shop::start(&settings);
        let line = shop.first_line();
        let port = line.trim_end().strip_prefix("listening on http://127.0.0.1:").unwrap_or_else(|| panic!("{line:?}"));
        assert_ne!(port.parse::<u16>().unwrap(), 0);
        let told = Command::new("kill").args(["-TERM", &shop.0.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert!(shop.wait().success());
    }
}
