//! Servers in memory, with databases.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use session_core::{
    ConnectionOptions, Error, ErrorKind, MemoryProvider, OpenConnection, Operation, Result, SessionProvider,
};

use crate::common::Path;

/// The number of databases that each server has.
pub(crate) const DATABASES: u32 = 16;

/// All servers there are.
#[derive(Default)]
pub(crate) struct Farm {
    databases: Mutex<BTreeMap<(&'static str, u32), Arc<Path>>>,
    opened: Mutex<Vec<(&'static str, u32)>>,
}

impl Farm {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What a process finds at this address.
    pub(crate) fn database(&self, address: &'static str, database: u32) -> Arc<Path> {
        let mut databases = self.databases.lock().unwrap();
        databases.entry((address, database)).or_insert_with(|| Path::to(&Arc::new(MemoryProvider::new()))).clone()
    }

    /// The providers that were made since this was last asked.
    pub(crate) fn take_opened(&self) -> Vec<(&'static str, u32)> {
        std::mem::take(&mut self.opened.lock().unwrap())
    }

    pub(crate) fn options(self: &Arc<Self>, address: &'static str) -> Options {
        Options { farm: self.clone(), address, database: 0, panics: false }
    }
}

/// How to reach a server.
#[derive(Clone)]
pub(crate) struct Options {
    farm: Arc<Farm>,
    address: &'static str,
    /// The one that these options name.
    database: u32,
    panics: bool,
}

impl Options {
    pub(crate) fn naming_database(self, database: u32) -> Self {
        Self { database, ..self }
    }

    /// That panic when they are to be opened.
    pub(crate) fn panicking(self) -> Self {
        Self { panics: true, ..self }
    }
}

impl ConnectionOptions for Options {
    fn open(&self, database: Option<u32>) -> Result<OpenConnection> {
        assert!(!self.panics, "in the options");
        let database = database.unwrap_or(self.database);
        if database >= DATABASES {
            return Err(Error::new(ErrorKind::Config, Operation::Configure, "`database`: there are 16"));
        }
        self.farm.opened.lock().unwrap().push((self.address, database));
        let provider: Arc<dyn SessionProvider> = self.farm.database(self.address, database);
        Ok(OpenConnection { database, provider })
    }

    fn same_as(&self, other: &dyn ConnectionOptions) -> bool {
        let other: Option<&Self> = (other as &dyn Any).downcast_ref();
        other.is_some_and(|other| (other.address, other.database) == (self.address, self.database))
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("address", &self.address).finish_non_exhaustive()
    }
}
