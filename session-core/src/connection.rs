//! Which server a request's session lives on: a name, a database, and the options to reach it with.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::provider::SessionProvider;

/// A named connection, as the connection callback answers it.
///
/// Connections are opened once per name and database, when they are first asked for, and are then shared. One name has
/// one set of options: an answer with others is an error. Sessions on different connections, or in different databases
/// of one, never meet.
///
/// Cheap to clone. A callback should keep its connections and answer clones: their options are then recognised by their
/// address, and need not be compared.
///
/// ```
/// # use std::sync::Arc;
/// # use session_core::{
/// #     Connection, ConnectionOptions, MemoryProvider, OpenConnection, RequestContext, SessionManager,
/// # };
/// # use session_serde::Json;
/// # #[derive(Debug, PartialEq)]
/// # struct RedisConfig(&'static str);
/// # impl RedisConfig {
/// #     fn new() -> Self { Self("") }
/// #     fn url(self, url: &'static str) -> Self { Self(url) }
/// # }
/// # impl ConnectionOptions for RedisConfig {
/// #     fn open(&self, database: Option<u32>) -> session_core::Result<OpenConnection> {
/// #         Ok(OpenConnection { database: database.unwrap_or(0), provider: Arc::new(MemoryProvider::new()) })
/// #     }
/// #     fn same_as(&self, other: &dyn ConnectionOptions) -> bool {
/// #         (other as &dyn std::any::Any).downcast_ref() == Some(self)
/// #     }
/// # }
/// struct Customer { region: &'static str, database: u32 }
///
/// let europe = Connection::named("europe").with_options(RedisConfig::new().url("redis://eu.internal"));
/// let manager = SessionManager::builder(MemoryProvider::new(), Json)
///     .connection_with_options("asia", RedisConfig::new().url("redis://asia.internal"))
///     .connection_callback(move |context, _| {
///         Ok(match context.get::<Customer>() {
///             Some(customer) if customer.region == "europe" => europe.clone().with_database(customer.database),
///             Some(customer) => Connection::named(customer.region), // given to the builder, or an error
///             None => Connection::default(),
///         })
///     })
///     .build()?;
/// # let _ = manager;
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Connection {
    pub(crate) name: Arc<str>,
    pub(crate) database: Option<u32>,
    pub(crate) options: Option<Arc<dyn ConnectionOptions>>,
}

impl Connection {
    /// The name of the connection that a manager has from the beginning.
    pub const DEFAULT: &str = "default";

    /// The longest name, in bytes.
    pub const MAX_NAME_LENGTH: usize = 255;

    /// The connection of this name. Without options it must have been given to the manager's builder.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), database: None, options: None }
    }

    /// The same connection in this database, in place of the one that its options name. The connection must have
    /// options: a ready provider knows no other database than its own.
    #[must_use]
    pub fn with_database(mut self, database: u32) -> Self {
        self.database = Some(database);
        self
    }

    /// The same connection with the options to open it with, should this be the first time that it is asked for.
    #[must_use]
    pub fn with_options(mut self, options: impl ConnectionOptions) -> Self {
        self.options = Some(Arc::new(options));
        self
    }
}

impl Default for Connection {
    /// The connection named [`DEFAULT`](Self::DEFAULT).
    fn default() -> Self {
        Self::named(Self::DEFAULT)
    }
}

impl From<&str> for Connection {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}

impl From<String> for Connection {
    fn from(name: String) -> Self {
        Self::named(name)
    }
}

impl From<Arc<str>> for Connection {
    fn from(name: Arc<str>) -> Self {
        Self::named(name)
    }
}

/// Everything that is needed to open a connection, apart from its name. `Debug` must show no secrets.
pub trait ConnectionOptions: Any + fmt::Debug + Send + Sync {
    /// Makes a provider for this database, or for the one that the options name (else 0) if none is given. Checks the
    /// settings and does not connect. Called on the task of the request that is the first to ask for the connection.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) naming the setting that is wrong.
    fn open(&self, database: Option<u32>) -> Result<OpenConnection>;

    /// Whether the other options would open the same connection. For options that can be compared:
    ///
    /// ```text
    /// (other as &dyn Any).downcast_ref() == Some(self)
    /// ```
    fn same_as(&self, other: &dyn ConnectionOptions) -> bool;
}

/// What [`ConnectionOptions::open`] made.
pub struct OpenConnection {
    /// The database in which the provider keeps sessions; 0 where there are none.
    pub database: u32,
    /// The provider, which connects when it is first used.
    pub provider: Arc<dyn SessionProvider>,
}

impl fmt::Debug for OpenConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenConnection").field("database", &self.database).finish_non_exhaustive()
    }
}
