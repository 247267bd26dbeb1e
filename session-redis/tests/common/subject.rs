//! A store that consists of Redis servers, as the suites see it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::conformance::{Foreign, Life, NotPossible, Subject, unused_key};
use session_core::{SessionKey, SessionProvider};

type Cli = dyn Fn(&[&str]) -> String + Send + Sync;

/// A provider, and `redis-cli` where its sessions are.
pub struct Served {
    provider: Arc<dyn SessionProvider>,
    cli: Box<Cli>,
}

impl Served {
    /// `cli` runs `redis-cli` with these arguments, on the server of the key that they name. The servers are to live as
    /// long as it does.
    pub fn new(provider: impl SessionProvider, cli: impl Fn(&[&str]) -> String + Send + Sync + 'static) -> Self {
        Self { provider: Arc::new(provider), cli: Box::new(cli) }
    }

    fn cli(&self, arguments: &[&str], key: &SessionKey) -> String {
        let key = std::str::from_utf8(key.as_bytes()).expect("the suite's keys are text");
        let arguments: Vec<_> =
            arguments.iter().map(|argument| if *argument == "KEY" { key } else { argument }).collect();
        (self.cli)(&arguments)
    }
}

#[async_trait]
impl Subject for Served {
    fn provider(&self) -> Arc<dyn SessionProvider> {
        self.provider.clone()
    }

    fn unused_key(&self) -> SessionKey {
        unused_key("conformance:")
    }

    async fn put_foreign(&self, key: &SessionKey, foreign: Foreign) -> Result<(), NotPossible> {
        match foreign {
            Foreign::OtherType => self.cli(&["SET", "KEY", "somebody else's"], key),
            Foreign::WithoutHeader => self.cli(&["HSET", "KEY", "theirs", "somebody else's"], key),
        };
        Ok(())
    }

    async fn foreign_is_intact(&self, key: &SessionKey, foreign: Foreign) -> bool {
        let data = match foreign {
            Foreign::OtherType => self.cli(&["GET", "KEY"], key) == "somebody else's",
            Foreign::WithoutHeader => self.cli(&["HGETALL", "KEY"], key) == "theirs\nsomebody else's",
        };
        data && self.cli(&["PTTL", "KEY"], key) == "-1"
    }

    async fn life(&self, key: &SessionKey) -> Result<Life, NotPossible> {
        Ok(match self.cli(&["PTTL", "KEY"], key).parse::<i64>() {
            Ok(-2) => Life::Nothing,
            Ok(-1) => Life::Endless,
            Ok(milliseconds) => Life::Ends(Duration::from_millis(milliseconds.unsigned_abs())),
            Err(_) => return Err(NotPossible("the server did not tell the remaining time")),
        })
    }
}
