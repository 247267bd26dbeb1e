//! The settings of web sessions: in code, from the environment, and from TOML, JSON or any other serde source; and what
//! is made of them.
//!
//! ```
//! use session_settings::Settings;
//!
//! let file: Settings = toml::from_str(r#"
//!     url = "redis://127.0.0.1:6379"
//!     application_name = "shop"
//!     idle_timeout = "30m"
//! "#)?;
//! let settings = file.overlay_env()?; // SESSION_URL and others in the environment win
//! let layer = settings.layer()?; // connects when the first request needs a session
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Settings::manager`] makes a `SessionManager`, [`Settings::manager_builder`] one to which callbacks and an observer
//! can be added in code, [`Settings::cookie`] the `SessionCookie`, and [`Settings::layer`] the `SessionLayer` with both.
//!
//! # Sources
//!
//! - **Code**: every setting is a method of [`Settings`] or [`ConnectionSettings`].
//! - **A file**: `Settings` is `Deserialize`, by itself or as a part of a type of the program's own. An unknown name is an
//!   error. `session.toml` in this crate's folder has every setting with its default and a sentence.
//! - **The environment**: [`Settings::from_env`]. `SESSION_`, then the name in capitals. An unknown name is a warning, since
//!   others use the prefix, too.
//!
//! [`Settings::overlay`] and [`Settings::overlay_env`] put one above the other.
//!
//! Durations are written as `20m`, `500ms`, `1h 30m`. Settings may also have the names, and then the units, that they have in
//! a `web.config` for Microsoft's provider: `retryTimeoutInMilliseconds = 5000`. One setting under two names is an error, as
//! are settings that exclude each other. All errors are of kind [`Config`](session_core::ErrorKind::Config) or, from a file,
//! of its format; they name the setting and repeat no value. Secrets are hidden in `Debug`.
//!
//! # Several connections
//!
//! The settings at the top level are those of the connection named `default`. Others have a table, or a part of a variable's
//! name, of their own, and inherit nothing but the `provider`:
//!
//! ```
//! use session_settings::Settings;
//!
//! let settings: Settings = toml::from_str(r#"
//!     url = "redis://us.redis.internal"
//!     [connection.eu]
//!     url = "redis://eu.redis.internal"
//!     database = 1
//! "#)?;
//! let environment = Settings::from_variables([("SESSION_CONNECTION_EU_OPERATION_TIMEOUT", "2s")])?;
//! let manager = settings
//!     .overlay(environment)
//!     .manager_builder()?
//!     .connection_callback(|context, _id| Ok(context.get::<&str>().copied().unwrap_or("default").into()))
//!     .build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! - `json` (default), `msgpack`, `postcard`: what `serializer` can be.
//! - `tls` (default): what `ssl` needs.
//! - `twemproxy`: a `provider`.
//!
#![doc = include_str!("settings.md")]

#[cfg(test)]
use secret_watch as _;

mod choice;
mod connection;
#[cfg(all(test, feature = "json"))]
mod documents;
mod environment;
mod error;
mod file;
mod names;
mod raw;
mod reader;
mod secret;
mod settings;
mod table;
mod value;

pub use choice::{Provider, SizeHandling, TopologyKind};
pub use connection::ConnectionSettings;
pub use secret::{Secret, SigningKeys};
pub use settings::Settings;
pub use value::List;
