//! The way to a server and back, behind a narrow seam: send these commands in one write, answer their replies as
//! slices.
//!
//! From the bottom: [`Endpoint`] opens one connection (TCP or Unix socket, TLS, credentials, database);
//! [`Supervisor`] keeps one open and replaces it when it is lost or no longer trusted; [`Link`] sends commands over one
//! or several supervised connections and heals, once per call, a connection that was found dead; a [`Route`] knows
//! which server has a key. A link is the route to a single server, with [`Sentinel`] to the master that sentinels name;
//! [`Cluster`] is the route to the nodes of a cluster.

mod client;
mod command;
mod connect;
mod end;
mod handshake;
mod link;
mod meter;
mod reply;
mod route;
mod supervisor;
#[cfg(feature = "tls")]
mod tls;
mod topology;
mod traffic;

use std::future::Future;
use std::pin::Pin;

use session_core::Result;

pub use client::RedisConnection;
pub use command::Command;
pub use connect::{Address, Credentials, Endpoint};
pub use link::{Call, Intent, Link};
pub use reply::{Reply, ServerError};
pub use route::{Exchange, Route};
pub use supervisor::Supervisor;
#[cfg(feature = "tls")]
pub use tls::{ClientIdentity, Tls};
pub use topology::{Cluster, ClusterCall, Sentinel};

/// Opens connections to one server.
pub trait Connect: Send + Sync + 'static {
    /// What it opens.
    type Connection: Connection;

    /// Opens a connection that is ready for commands: authenticated, on its database, and answering.
    ///
    /// The driver does the connection's input and output; it ends when the connection is lost, and dropping it closes
    /// the connection.
    ///
    /// # Errors
    ///
    /// Nothing was executed; the error says why there is no connection.
    fn connect(&self) -> impl Future<Output = Result<(Self::Connection, Driver)>> + Send;
}

/// Does the input and output of one connection until that is lost.
pub type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An open connection, shared by concurrent requests.
pub trait Connection: Clone + Send + Sync + 'static {
    /// Sends these commands in one write and answers one reply for each, in their order.
    ///
    /// Dropping the future abandons the replies; they never reach another request.
    ///
    /// # Errors
    ///
    /// The connection was lost before all replies had arrived.
    fn request(&self, commands: &[Command]) -> impl Future<Output = Result<Vec<Reply>, Lost>> + Send;
}

/// A connection was lost while a request was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Whether any part of the request may have been sent. If not, it was surely not executed.
    pub sent: bool,
}
