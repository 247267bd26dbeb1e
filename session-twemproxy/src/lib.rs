//! Keeps web sessions in Redis servers behind a TwemProxy (nutcracker): one round trip to read, one to write.
//!
//! [`TwemproxyProvider`] is the [`SessionProvider`](session_core::SessionProvider) for it, [`TwemproxyConfig`] its
//! settings. Everything that a provider promises holds behind the proxy too; tested with nutcracker 0.5.0 before
//! redis-server 7.0. Sessions lie in the same hashes, written by the same scripts, as by
//! [`session_redis`]: a session may be reached through the proxy and directly on its server.
//!
//! # How the pool must be set
//!
//! ```yaml
//! sessions:
//!   listen: 127.0.0.1:22121
//!   redis: true
//!   hash: fnv1a_64
//!   distribution: ketama
//!   auto_eject_hosts: false      # see below
//!   timeout: 400                 # milliseconds; well below the provider's operation timeout
//!   preconnect: true
//!   server_connections: 1        # see below
//!   servers:
//!     - 10.0.0.1:6379:1 first    # with names, so that a server can be moved without losing its sessions
//!     - 10.0.0.2:6379:1 second
//! ```
//!
//! - **`auto_eject_hosts: false`.** With `true`, a server that was unreachable for a moment loses its keys to the others,
//!   silently: its users find themselves logged out, log in again and fill their carts elsewhere. When it is back, so
//!   are the *old* values: a logout done meanwhile is undone, and what was written meanwhile waits for the next ejection.
//!   None of a provider's promises survives that.
//! - **`server_connections: 1`.** With 4, the proxy reorders the commands that one client sends one after the other: 5,400
//!   of 6,000 reads right after a write were wrong, and 86 of 6,000 sessions written by one command and given an expiry by the next were
//!   left without. Our writes are one command each and remain correct; our reads are two commands that may then tell of
//!   two moments.
//! - **`timeout`** must be set: without it, a server that hangs blocks the proxy's clients until the operation timeout.
//! - **`redis_auth`** is one password for all, [`TwemproxyConfig::access_key`]. The proxy has no users, and silently takes
//!   database 0 whatever `redis_db` says beside a password.
//!
//! # When something goes wrong
//!
//! | | error | executed? |
//! |---|---|---|
//! | the proxy cannot be reached | [`Unavailable`](session_core::ErrorKind::Unavailable) | surely not |
//! | a server refuses the proxy's connection (it is down) | `Unavailable`, in under a millisecond | surely not |
//! | a server does not answer within the pool's `timeout` (it hangs) | [`OutcomeUnknown`](session_core::ErrorKind::OutcomeUnknown) | perhaps, even later |
//! | a server is out of memory, loading, or busy | `OutcomeUnknown` | the refused commands not; but the proxy cannot read these refusals, drops its connection to the server, and all others whose replies were to come over that get the same error |
//! | a server is a read-only replica, lacks replicas or its master | [`Rejected`](session_core::ErrorKind::Rejected) | no |
//!
//! All of these are worth a repetition, which `retry_timeout` of the session manager makes, and which never applies
//! anything twice. The sessions on the other servers go on; those that were asked for behind a server that hangs, on the
//! same connection to the proxy, wait for its `timeout`: see [`TwemproxyConfig::connections`].
//!
//! A destroy that finds nothing is told as such, [`Destroyed::NothingFound`](session_core::Destroyed::NothingFound) in
//! [`Closed::destroyed`](session_core::Closed::destroyed): the session had ended or expired before, or it lies on a
//! server that the proxy does not ask at present (`auto_eject_hosts: true`). An application that must be sure looks.
//!
//! # What is sent
//!
//! `HGETALL`, `HMGET`, `PTTL`, `EVALSHA` and `EVAL` with one key, and on a new connection `AUTH password` and `PING`. The
//! proxy closes the connection on any command that it does not forward, so this set is closed: a connection takes nothing
//! else, and answers [`Unsupported`](session_core::ErrorKind::Unsupported) to it without sending anything.
//!
//! What is not possible through a proxy at all, such as being told of changes by the server, is said beforehand by the
//! provider's [`Capabilities`](session_core::Capabilities), for which an application asks
//! [`SessionManager::capabilities`](session_core::SessionManager::capabilities).

#[cfg(test)]
use secret_watch as _;

mod command;
mod config;
mod connection;
mod error;
mod options;
mod provider;

pub use config::TwemproxyConfig;
pub use provider::TwemproxyProvider;
