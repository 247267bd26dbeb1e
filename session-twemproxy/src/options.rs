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
