//! The shop's settings, from the environment.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use session_core::{KeyDerivation, MemoryProvider, SessionManager, SessionProvider};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Codec;
use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};

/// The shop's settings.
///
/// | variable | default | |
/// |---|---|---|
/// | `PORT` | 3000 | where it listens, on 127.0.0.1; 0: any free port |
/// | `SESSION_PROVIDER` | `redis` | where sessions are kept: `redis`, `twemproxy`, or `memory`, which ends with the shop |
/// | `SESSION_URL` | `redis://127.0.0.1:6379` | which Redis, or where the TwemProxy is |
/// | `SESSION_SERIALIZER` | `json` | with what it writes: `json`, `msgpack`, `postcard`; it reads what any of them wrote |
/// | `SESSION_KEY_PREFIX` | `shop:` | of the keys in Redis; each application has its own |
/// | `SESSION_IDLE_TIMEOUT` | `20m` | how long a session lives after its last request |
/// | `SESSION_RETRY_TIMEOUT` | `0` | how long a request waits for a Redis that cannot be reached; 0: not at all |
/// | `SESSION_MAX_SESSION_BYTES` | 30000 | how large a session may become |
///
/// Durations are written as `20m`, `500ms`, `1h 30m`.
#[derive(Debug)]
pub struct Settings {
    port: u16,
    provider: Provider,
    serializer: Codec,
    key_prefix: String,
    idle_timeout: Duration,
    retry_timeout: Duration,
    max_session_bytes: usize,
}

enum Provider {
    Memory,
    Redis(Box<RedisProvider>),
    Twemproxy(Box<TwemproxyProvider>),
}

/// A setting cannot be used; says which and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongSetting {
    variable: &'static str,
    why: String,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// The first setting that cannot be used.
    pub fn from_environment() -> Result<Self, WrongSetting> {
        Self::read(|variable| env::var_os(variable))
    }

    /// Reads settings from wherever `variables` finds them.
    ///
    /// # Errors
    ///
    /// The first setting that cannot be used.
    pub fn read(variables: impl Fn(&str) -> Option<OsString>) -> Result<Self, WrongSetting> {
        let text = |variable, default: &str| match variables(variable).map(OsString::into_string) {
            None => Ok(default.to_owned()),
            Some(Ok(text)) => Ok(text),
            Some(Err(_)) => Err(WrongSetting::new(variable, "is not UTF-8")),
        };
        let url = || text("SESSION_URL", "redis://127.0.0.1:6379");
        let wrong_url = |error| WrongSetting::new("SESSION_URL", error);
        // None of them connects yet.
        let provider = match text("SESSION_PROVIDER", "redis")?.as_str() {
            "memory" => Provider::Memory,
            "redis" => {
                let redis = RedisProvider::new(&RedisConfig::new().url(url()?)).map_err(wrong_url)?;
                Provider::Redis(Box::new(redis))
            }
            "twemproxy" => {
                let proxy = TwemproxyProvider::new(&TwemproxyConfig::new().url(url()?)).map_err(wrong_url)?;
                Provider::Twemproxy(Box::new(proxy))
            }
            _ => return Err(WrongSetting::new("SESSION_PROVIDER", "must be memory, redis or twemproxy")),
        };
        let duration = |variable, default| {
            let text = text(variable, default)?;
            humantime::parse_duration(&text).map_err(|error| WrongSetting::new(variable, error))
        };
        Ok(Self {
            port: number(text("PORT", "3000")?, "PORT", "must be a number from 0 to 65535")?,
            provider,
            serializer: Codec::from_name(&text("SESSION_SERIALIZER", "json")?)
                .map_err(|error| WrongSetting::new("SESSION_SERIALIZER", error))?,
            key_prefix: text("SESSION_KEY_PREFIX", "shop:")?,
            idle_timeout: duration("SESSION_IDLE_TIMEOUT", "20m")?,
            retry_timeout: duration("SESSION_RETRY_TIMEOUT", "0")?,
            max_session_bytes: number(
                text("SESSION_MAX_SESSION_BYTES", "30000")?,
                "SESSION_MAX_SESSION_BYTES",
                "must be a number of bytes",
            )?,
        })
    }

    /// The port to listen on; 0: any free one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The sessions' manager. It does not connect yet.
    ///
    /// # Errors
    ///
    /// Settings that cannot be used; the error names them.
    pub fn manager(self) -> session_core::Result<SessionManager<Codec>> {
        let provider: Arc<dyn SessionProvider> = match self.provider {
            Provider::Memory => Arc::new(MemoryProvider::new()),
            Provider::Redis(redis) => Arc::new(*redis),
            Provider::Twemproxy(proxy) => Arc::new(*proxy),
        };
        SessionManager::builder(provider, self.serializer)
            .key_derivation(KeyDerivation::hashed(self.key_prefix))
            .idle_timeout(self.idle_timeout)
            .retry_timeout(self.retry_timeout)
            .max_session_bytes(self.max_session_bytes)
            .build()
    }
}

fn number<N: std::str::FromStr>(text: String, variable: &'static str, why: &str) -> Result<N, WrongSetting> {
    text.parse().map_err(|_| WrongSetting::new(variable, why))
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "Memory",
            // What it holds is its own to show.
            Self::Redis(_) => "Redis(..)",
            Self::Twemproxy(_) => "Twemproxy(..)",
        })
    }
}

impl WrongSetting {
    fn new(variable: &'static str, why: impl fmt::Display) -> Self {
        Self { variable, why: why.to_string() }
    }

    /// The environment variable.
    pub fn variable(&self) -> &'static str {
        self.variable
    }
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.why)
    }
}

impl std::error::Error for WrongSetting {}

#[cfg(test)]
mod tests {
    use session_core::SessionSerializer as _;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, WrongSetting> {
        let variables: Vec<_> =
            variables.iter().map(|(name, text)| ((*name).to_owned(), OsString::from(text))).collect();
        Settings::read(|wanted| variables.iter().find(|(name, _)| name == wanted).map(|(_, text)| text.clone()))
    }

    #[test]
    fn defaults() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.port, 3000);
        assert!(matches!(settings.provider, Provider::Redis(_)));
        assert_eq!(settings.serializer, Codec::default());
        assert_eq!(settings.key_prefix, "shop:");
        assert_eq!(settings.idle_timeout, Duration::from_secs(20 * 60));
        assert_eq!(settings.retry_timeout, Duration::ZERO);
        assert_eq!(settings.max_session_bytes, 30_000);
    }

    #[test]
    fn each_can_be_set() {
        let settings = read(&[
            ("PORT", "0"),
            ("SESSION_PROVIDER", "memory"),
            ("SESSION_SERIALIZER", "msgpack"),
            ("SESSION_KEY_PREFIX", "other:"),
            ("SESSION_IDLE_TIMEOUT", "1h 30m"),
            ("SESSION_RETRY_TIMEOUT", "500ms"),
            ("SESSION_MAX_SESSION_BYTES", "1000"),
        ])
        .unwrap();
        assert_eq!(settings.port, 0);
        assert!(matches!(settings.provider, Provider::Memory));
        assert_eq!(settings.serializer.name(), "msgpack");
        assert_eq!(settings.key_prefix, "other:");
        assert_eq!(settings.idle_timeout, Duration::from_secs(90 * 60));
        assert_eq!(settings.retry_timeout, Duration::from_millis(500));
        assert_eq!(settings.max_session_bytes, 1000);
    }

    #[test]
    fn each_provider_can_be_chosen() {
        let provider = |name| format!("{:?}", read(&[("SESSION_PROVIDER", name)]).unwrap().provider);
        assert_eq!(["memory", "redis", "twemproxy"].map(provider), ["Memory", "Redis(..)", "Twemproxy(..)"]);
        // A TwemProxy has fewer things to be asked for than a Redis.
        let url = ("SESSION_URL", "redis://127.0.0.1/1");
        assert!(read(&[url, ("SESSION_PROVIDER", "redis")]).is_ok());
        assert_eq!(read(&[url, ("SESSION_PROVIDER", "twemproxy")]).unwrap_err().variable(), "SESSION_URL");
    }

    #[test]
    fn a_wrong_one_is_named() {
        for (variable, text) in [
            ("PORT", "65536"),
            ("PORT", ""),
            ("SESSION_PROVIDER", "Redis"),
            ("SESSION_URL", "http://user:hunter2@127.0.0.1"),
            ("SESSION_SERIALIZER", "xml"),
            ("SESSION_IDLE_TIMEOUT", "20"),
            ("SESSION_RETRY_TIMEOUT", "soon"),
            ("SESSION_MAX_SESSION_BYTES", "-1"),
        ] {
            let error = read(&[(variable, text)]).unwrap_err();
            assert_eq!(error.variable(), variable);
            assert!(error.to_string().starts_with(&format!("{variable}: ")), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
