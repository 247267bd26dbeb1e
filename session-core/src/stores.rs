//! The open connections of a manager: one for each name and database, opened when first asked for.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::callback;
use crate::connection::{Connection, ConnectionOptions, OpenConnection};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::id::WriterId;
use crate::provider::SessionProvider;

/// An open connection.
pub(crate) struct Store {
    /// Tells the sessions of different connections and databases apart. Never given twice.
    pub(crate) number: u32,
    /// The connection's name; `name/database` where that is not 0.
    pub(crate) name: Arc<str>,
    database: u32,
    /// Each its own: two connections may lead to one place, where they must be two writers.
    pub(crate) writer: WriterId,
    pub(crate) provider: Arc<dyn SessionProvider>,
}

impl Store {
    /// Says on which connection an error arose.
    pub(crate) fn named(&self, error: Error) -> Error {
        if error.connection().is_some() { error } else { error.with_connection(Arc::clone(&self.name)) }
    }
}

/// How a connection was given to the builder.
pub(crate) enum Given {
    Provider(Arc<dyn SessionProvider>),
    Options(Arc<dyn ConnectionOptions>),
}

/// All open connections.
pub(crate) struct Stores {
    default: Arc<Store>,
    /// How many the callback may open.
    max_opened: usize,
    open: RwLock<Open>,
}

#[derive(Default)]
struct Open {
    names: HashMap<Arc<str>, Named>,
    /// In the order of their numbers.
    all: Vec<Arc<Store>>,
    opened: usize,
}

/// What is open under one name.
struct Named {
    /// `None`: a ready provider.
    options: Option<Arc<dyn ConnectionOptions>>,
    /// By the builder, so that the name alone will do.
    given: bool,
    /// `None`: the database that the options name. Two of these can be the same store.
    databases: HashMap<Option<u32>, Arc<Store>>,
}

impl Stores {
    pub(crate) fn new(
        default: Arc<dyn SessionProvider>,
        others: Vec<(Arc<str>, Given)>,
        max_opened: usize,
    ) -> Result<Self> {
        let wrong = |text: String| Error::new(ErrorKind::Config, Operation::Configure, text);
        if max_opened > 1 << 16 {
            return Err(wrong("`max_connections`: at most 65,536".to_owned()));
        }
        let mut open = Open::default();
        let name: Arc<str> = Arc::from(Connection::DEFAULT);
        let default = open.give(&name, Given::Provider(default))?;
        for (name, given) in others {
            if open.names.contains_key(&name) {
                return Err(wrong(format!("`connection`: the name {name:?} is given twice")));
            }
            if name.len() > Connection::MAX_NAME_LENGTH {
                return Err(wrong("`connection`: a name is longer than 255 bytes".to_owned()));
            }
            open.give(&name, given).map_err(|error| error.with_connection(name))?;
        }
        Ok(Self { default, max_opened, open: RwLock::new(open) })
    }

    /// The one that a manager has from the beginning.
    pub(crate) fn default(&self) -> &Arc<Store> {
        &self.default
    }

    /// All that are open, in the order in which they were opened.
    pub(crate) fn all(&self) -> Vec<Arc<Store>> {
        self.read().all.clone()
    }

    /// The store of this connection, opened if this is the first time that it is asked for.
    pub(crate) fn find(&self, wanted: &Connection) -> Result<Arc<Store>> {
        if wanted.name.len() > Connection::MAX_NAME_LENGTH {
            let text = "the connection callback answered a name that is longer than 255 bytes";
            return Err(Error::new(ErrorKind::KeyCallback, Operation::Route, text));
        }
        let store = callback::guarded("opening the connection", || self.find_or_open(wanted));
        store.map_err(|error| error.with_operation(Operation::Route).with_connection(Arc::clone(&wanted.name)))
    }

    fn find_or_open(&self, wanted: &Connection) -> Result<Arc<Store>> {
        let options = {
            let open = self.read();
            match open.find(wanted)? {
                Found::Store(store) => return Ok(store),
                Found::Options(options) => {
                    open.check_room(wanted, self.max_opened)?;
                    options
                }
            }
        };
        // Not under the lock: these may be options of the application's own.
        let opened = options.open(wanted.database)?;
        let mut open = self.write();
        // Somebody else may have opened it meanwhile, perhaps with other options.
        match open.find(wanted)? {
            Found::Store(store) => Ok(store),
            Found::Options(_) => open.insert(wanted, options, opened, self.max_opened),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Open> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Open> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is for a connection that is asked for.
enum Found {
    Store(Arc<Store>),
    /// With these it is to be opened.
    Options(Arc<dyn ConnectionOptions>),
}

impl Open {
    fn find(&self, wanted: &Connection) -> Result<Found> {
        let wrong = |kind, text: &'static str| Err(Error::new(kind, Operation::Route, text));
        let Some(named) = self.names.get(&wanted.name).filter(|named| named.given || wanted.options.is_some()) else {
            return match &wanted.options {
                Some(options) => Ok(Found::Options(Arc::clone(options))),
                None => wrong(
                    ErrorKind::KeyCallback,
                    "the connection callback named a connection that the builder was not given; answer its options too",
                ),
            };
        };
        match (&named.options, &wanted.options) {
            (None, Some(_)) => {
                return wrong(
                    ErrorKind::Config,
                    "the connection callback answered options for a connection that the builder got as a provider; give \
                     the builder its options instead",
                );
            }
            (Some(known), Some(options)) if !Arc::ptr_eq(known, options) && !known.same_as(&**options) => {
                return wrong(
                    ErrorKind::Config,
                    "the connection callback answered other options than those by which the connection is open; give \
                     connections with different options different names",
                );
            }
            _ => {}
        }
        match (named.databases.get(&wanted.database), &named.options) {
            (Some(store), _) => Ok(Found::Store(Arc::clone(store))),
            (None, Some(options)) => Ok(Found::Options(Arc::clone(options))),
            (None, None) => wrong(
                ErrorKind::Config,
                "the connection callback chose a database of a connection that the builder got as a provider; give the \
                 builder its options instead",
            ),
        }
    }

    /// Adds a connection that the builder was given.
    fn give(&mut self, name: &Arc<str>, given: Given) -> Result<Arc<Store>> {
        let (options, OpenConnection { database, provider }) = match given {
            Given::Provider(provider) => (None, OpenConnection { database: 0, provider }),
            Given::Options(options) => {
                let opened = options.open(None)?;
                (Some(options), opened)
            }
        };
        let store = self.add(name, database, provider)?;
        let databases = HashMap::from([(None, Arc::clone(&store))]);
        self.names.insert(Arc::clone(name), Named { options, given: true, databases });
        Ok(store)
    }

    /// Refuses what surely would be one connection too many, before anything is made for it.
    fn check_room(&self, wanted: &Connection, max_opened: usize) -> Result<()> {
        // Of a known name only the options tell which database they name.
        let may_be_open = self.names.get(&wanted.name).is_some_and(|named| match wanted.database {
            Some(database) => named.databases.values().any(|store| store.database == database),
            None => true,
        });
        if may_be_open || self.opened < max_opened { Ok(()) } else { Err(too_many(max_opened)) }
    }

    /// Adds a connection that the callback asked for.
    fn insert(
        &mut self,
        wanted: &Connection,
        options: Arc<dyn ConnectionOptions>,
        opened: OpenConnection,
        max_opened: usize,
    ) -> Result<Arc<Store>> {
        let OpenConnection { database, provider } = opened;
        let mut known = self.names.get(&wanted.name).into_iter().flat_map(|named| named.databases.values());
        let store = match known.find(|store| store.database == database) {
            // Asked for by its number before, and now as the one that the options name, or the other way round.
            Some(store) => Arc::clone(store),
            None if self.opened < max_opened => {
                let store = self.add(&wanted.name, database, provider)?;
                self.opened += 1;
                store
            }
            None => return Err(too_many(max_opened)),
        };
        let named = self.names.entry(Arc::clone(&wanted.name));
        let named = named.or_insert_with(|| Named { options: Some(options), given: false, databases: HashMap::new() });
        named.databases.insert(wanted.database, Arc::clone(&store));
        Ok(store)
    }

    fn add(&mut self, name: &Arc<str>, database: u32, provider: Arc<dyn SessionProvider>) -> Result<Arc<Store>> {
        // There are at most as many as the builder was given and 65,536 more.
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let name = if database == 0 { Arc::clone(name) } else { format!("{name}/{database}").into() };
        let store = Arc::new(Store { number, name, database, writer: WriterId::generate()?, provider });
        self.all.push(Arc::clone(&store));
        Ok(store)
    }
}

fn too_many(max_opened: usize) -> Error {
    let text = format!(
        "the connection callback has opened {max_opened} connections, as many as it may (setting `max_connections`); it \
         should choose among a fixed number of names and databases"
    );
    Error::new(ErrorKind::KeyCallback, Operation::Route, text)
}
