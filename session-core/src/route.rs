//! Where one request's session lives: the connection, and the rule from an id to a key.

use std::fmt;
use std::sync::Arc;

use crate::callback;
use crate::connection::Connection;
use crate::context::RequestContext;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::id::SessionId;
use crate::key::{KeyDerivation, SessionKey};
use crate::live::LiveKey;
use crate::observer::Subject;
use crate::stores::{Store, Stores};

pub(crate) type ConnectionCallback =
    Arc<dyn Fn(&RequestContext, Option<&SessionId>) -> Result<Connection> + Send + Sync>;

/// All connections, and how they and the keys are chosen.
pub(crate) struct Routing {
    pub(crate) stores: Stores,
    pub(crate) connection: Option<ConnectionCallback>,
    pub(crate) keys: Arc<KeyDerivation>,
}

impl Routing {
    pub(crate) fn route(&self, context: &RequestContext, id: Option<&SessionId>) -> Result<Route> {
        Ok(self.route_to(&self.store(context, id)?, context))
    }

    /// The store that the connection callback chooses.
    pub(crate) fn store(&self, context: &RequestContext, id: Option<&SessionId>) -> Result<Arc<Store>> {
        let Some(choose) = &self.connection else { return Ok(Arc::clone(self.stores.default())) };
        self.stores.find(&callback::call("the connection callback", || choose(context, id))?)
    }

    /// The route of a request whose callbacks failed: it leads nowhere that is read or written.
    pub(crate) fn default_route(&self, context: &RequestContext) -> Route {
        self.route_to(self.stores.default(), context)
    }

    pub(crate) fn route_to(&self, store: &Arc<Store>, context: &RequestContext) -> Route {
        Route { store: Arc::clone(store), keys: Arc::clone(&self.keys), context: context.clone() }
    }
}

/// The answers of the callbacks for one request, kept until its end: fresh and rotated ids need a key when the request
/// itself is gone.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) store: Arc<Store>,
    keys: Arc<KeyDerivation>,
    context: RequestContext,
}

impl Route {
    /// What the request was described with.
    pub(crate) fn context(&self) -> &RequestContext {
        &self.context
    }

    /// How observers are told of this request and the session at this place.
    pub(crate) fn subject(&self, place: Option<&Place>) -> Subject {
        Subject {
            session: place.map(|place| place.id.fingerprint()),
            key: place.map(|place| place.key.clone()),
            connection: Some(Arc::clone(&self.store.name)),
            context: self.context.clone(),
        }
    }

    /// Where the session of this id lives.
    pub(crate) fn place(&self, id: SessionId) -> Result<Place> {
        let key = self.keys.derive(&self.context, &id)?;
        let longest = self.store.provider.capabilities().max_key_bytes;
        if key.as_bytes().len() > longest {
            let text = format!("the key is longer than the {longest} bytes that this store takes");
            return Err(Error::new(ErrorKind::KeyCallback, Operation::Route, text));
        }
        Ok(Place { id, key })
    }

    /// A fresh id and its key.
    pub(crate) fn fresh_place(&self) -> Result<Place> {
        self.place(SessionId::generate()?)
    }
}

/// An id and the key it maps to.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) id: SessionId,
    pub(crate) key: SessionKey,
}

impl Place {
    pub(crate) fn live_key(&self, store: &Store) -> LiveKey {
        LiveKey { store: store.number, key: self.key.clone() }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.id, f)
    }
}
