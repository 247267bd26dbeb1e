//! A TwemProxy as a connection that the connection callback can ask for.

use std::any::Any;
use std::sync::Arc;

use session_core::{ConnectionOptions, Error, ErrorKind, OpenConnection, Operation, Result};

use crate::config::TwemproxyConfig;
use crate::provider::TwemproxyProvider;

/// Any database but 0 is an error, as in the settings.
impl ConnectionOptions for TwemproxyConfig {
    fn open(&self, database: Option<u32>) -> Result<OpenConnection> {
        if database.is_some_and(|database| database != 0) {
            let text = "`database`: a TwemProxy has database 0 only";
            return Err(Error::new(ErrorKind::Config, Operation::Configure, text));
        }
        Ok(OpenConnection { database: 0, provider: Arc::new(TwemproxyProvider::new(self)?) })
    }

    fn same_as(&self, other: &dyn ConnectionOptions) -> bool {
        (other as &dyn Any).downcast_ref() == Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_database() {
        let config = TwemproxyConfig::new().host("proxy.internal").access_key("sesame");
        for database in [None, Some(0)] {
            assert_eq!(config.open(database).unwrap().database, 0);
        }
        let by_url = TwemproxyConfig::new().url("redis://proxy.internal/0");
        assert_eq!(by_url.open(Some(0)).unwrap().database, 0);
        for (config, database) in [(&config, Some(1)), (&TwemproxyConfig::new().database(1), None)] {
            let error = config.open(database).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("`database`"), "{error}");
        }
    }

    #[test]
    fn options_are_the_same_if_their_settings_are() {
        let config = || TwemproxyConfig::new().host("proxy.internal");
        assert!(config().same_as(&config()));
        assert!(!config().same_as(&config().port(1)));
        assert!(!config().same_as(&session_redis::RedisConfig::new().host("proxy.internal")));
    }
}
