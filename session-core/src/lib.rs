//! Web session state: the session as handlers see it, its live copies, and the protocol by which concurrent requests
//! merge their changes, for any store and any serializer.

#[cfg(test)]
use secret_watch as _;

mod attribute;
mod callback;
mod connection;
mod context;
mod ending;
mod error;
mod handle;
mod id;
mod inspect;
mod key;
mod limits;
mod live;
mod manager;
mod memory;
mod mode;
mod name;
mod observer;
mod on_drop;
mod periodic;
mod provider;
mod retry;
mod room;
mod route;
mod serializer;
mod session;
mod settings;
mod shared;
mod stores;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use connection::{Connection, ConnectionOptions, OpenConnection};
pub use context::RequestContext;
pub use error::{Effect, Error, ErrorKind, Operation, Result};
pub use id::{Fingerprint, Generation, SessionId, WriterId};
pub use inspect::{Content, Inspected};
pub use key::{KeyDerivation, SessionKey};
pub use limits::{Oversize, OversizeAt, SizeAction, SizeHandler};
pub use manager::{SessionManager, SessionManagerBuilder};
pub use memory::MemoryProvider;
pub use mode::ConcurrencyMode;
pub use name::AttributeName;
#[cfg(feature = "metrics")]
pub use observer::MetricsObserver;
pub use observer::{EVENTS_TOLD_WITHIN, EVENTS_WAITING_AT_MOST, ErrorSource, Observer, SizeAt, Subject};
pub use provider::{
    Action, COUNTER_LIMIT, Capabilities, Change, Checked, Commit, Committed, Creation, Deadline, Destroyed,
    Destruction, Header, Loaded, RESEND_AT_MOST, Renewal, Renewed, Retired, Retirement, SessionProvider, StoredSession,
    TOMBSTONE_AFTER_REPEATED_CREATION, TOMBSTONE_AFTER_ROTATION, Traffic, WRITER_KEPT_FOR,
};
pub use serializer::{SerializerError, SessionSerializer};
pub use session::{ClientId, Closed, Session};
