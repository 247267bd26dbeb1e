//! The settings, from the environment.

use std::env;
use std::fmt;

use session_redis::{RedisConfig, RedisProvider};

use crate::tenant::{Tenant, Tenants};

/// The settings.
///
/// | variable | default | |
/// |---|---|---|
/// | `APPLICATION` | `shop` | its name, in keys and of the cookie |
/// | `PORT` | 3000 | where it listens, on 127.0.0.1; 0: any free port |
/// | `TENANTS` | `north=redis://127.0.0.1:6379 south=redis://127.0.0.1:6380` | each tenant with the Redis, and perhaps its database, where its sessions are; apart by spaces |
#[derive(Debug)]
pub struct Settings {
    /// The application's name.
    pub application: String,
    /// The port to listen on.
    pub port: u16,
    /// All tenants.
    pub tenants: Tenants,
}

/// A setting cannot be used; says which and why.
#[derive(Debug)]
pub struct WrongSetting(String);

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// The first setting that cannot be used.
    pub fn from_environment() -> Result<Self, WrongSetting> {
        let text = |variable, default: &str| env::var(variable).unwrap_or_else(|_| default.to_owned());
        let application = text("APPLICATION", "shop");
        let port = text("PORT", "3000").parse().map_err(|_| WrongSetting("PORT: is no port".to_owned()))?;
        let tenants = text("TENANTS", "north=redis://127.0.0.1:6379 south=redis://127.0.0.1:6380");
        let tenants = tenants.split_whitespace().map(|tenant| Self::tenant(&application, tenant));
        Ok(Self { port, tenants: tenants.collect::<Result<_, _>>()?, application })
    }

    fn tenant(application: &str, text: &str) -> Result<Tenant, WrongSetting> {
        let wrong = |why: &dyn fmt::Display| WrongSetting(format!("TENANTS: {why}"));
        let (name, url) = text.split_once('=').ok_or_else(|| wrong(&"each is NAME=URL"))?;
        let is_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(is_label) {
            return Err(wrong(&"a name has small letters, digits and `-` only, as in a host"));
        }
        let redis = RedisConfig::new().url(url);
        // A wrong one is better found now than by the first of its requests. This connects to nothing.
        RedisProvider::new(&redis).map_err(|error| wrong(&format!("{name}: {error}")))?;
        Ok(Tenant::new(name, application, redis))
    }
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongSetting {}
