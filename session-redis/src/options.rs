//! A Redis as a connection that the connection callback can ask for.

use std::any::Any;
use std::sync::Arc;

use session_core::{ConnectionOptions, OpenConnection, Result};

use crate::config::RedisConfig;
use crate::provider::RedisProvider;

/// The database that is chosen takes the place of the one that the settings name.
impl ConnectionOptions for RedisConfig {
    fn open(&self, database: Option<u32>) -> Result<OpenConnection> {
        let settings = self.check()?;
        let settings = match database {
            Some(database) => settings.in_database(database)?,
            None => settings,
        };
        let database = settings.endpoint.database;
        Ok(OpenConnection { database, provider: Arc::new(RedisProvider::with_settings(self, settings)) })
    }

    fn same_as(&self, other: &dyn ConnectionOptions) -> bool {
        (other as &dyn Any).downcast_ref() == Some(self)
    }
}
