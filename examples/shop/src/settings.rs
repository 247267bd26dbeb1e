//! The shop's settings, from the environment.

use std::env;
use std::ffi::{OsStr, OsString};

use session_core::{Error, ErrorKind, Operation, Result};

/// The shop's settings: its port, and those of its sessions.
///
/// | variable | default | |
/// |---|---|---|
/// | `PORT` | 3000 | where it listens, on 127.0.0.1; 0: any free port |
/// | `SESSION_...` | | everything that [`session_settings`] knows |
/// | `SESSION_KEY_PREFIX` | `shop:` | each application on a Redis has its own |
/// | `SESSION_COOKIE_SECURE` | `false` | the shop is reached by plain http on this machine; behind https, it is `true` |
#[derive(Debug)]
pub struct Settings {
    port: u16,
    sessions: session_settings::Settings,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] naming the setting that cannot be used.
    pub fn from_environment() -> Result<Self> {
        Self::from_variables(env::vars_os().collect())
    }

    fn from_variables(variables: Vec<(OsString, OsString)>) -> Result<Self> {
        let port = variables.iter().find(|(name, _)| name == "PORT").map_or(Ok(3000), |(_, text)| number(text))?;
        let defaults = session_settings::Settings::new().key_prefix("shop:").cookie_secure(false);
        Ok(Self { port, sessions: defaults.overlay(session_settings::Settings::from_variables(variables)?) })
    }

    /// The port to listen on; 0: any free one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Those of its sessions.
    pub fn sessions(&self) -> &session_settings::Settings {
        &self.sessions
    }
}

fn number(text: &OsStr) -> Result<u16> {
    let number = text.to_str().and_then(|text| text.parse().ok());
    number
        .ok_or_else(|| Error::new(ErrorKind::Config, Operation::Configure, "`PORT`: must be a number from 0 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::from_variables(variables.iter().map(|(name, text)| (name.into(), text.into())).collect())
    }

    #[test]
    fn defaults() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.port(), 3000);
        assert_eq!(settings.sessions(), &session_settings::Settings::new().key_prefix("shop:").cookie_secure(false));
    }

    #[test]
    fn each_can_be_set() {
        let settings = read(&[("PORT", "0"), ("SESSION_KEY_PREFIX", "other:"), ("SESSION_EXPIRY_SLACK", "5")]).unwrap();
        assert_eq!(settings.port(), 0);
        let sessions = session_settings::Settings::new().key_prefix("other:").cookie_secure(false).expiry_slack(5);
        assert_eq!(settings.sessions(), &sessions);
    }

    #[test]
    fn a_wrong_one_is_named() {
        for (variable, text) in [("PORT", "65536"), ("PORT", ""), ("SESSION_PROVIDER", "disk")] {
            let error = read(&[(variable, text)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(&format!("`{variable}`")), "{error}");
        }
    }
}
