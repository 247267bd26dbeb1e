//! Serializers for session attributes, each behind its own Cargo feature, and [`Codec`], the choice among those that are
//! compiled in.
//!
//! | feature | serializer | |
//! |---|---|---|
//! | `json` (default) | `Json` | readable in `redis-cli`, understood by every language |
//!
//! A feature only decides what is compiled in. Which serializer an application uses is chosen in its code, or by name at
//! run time:
//!
//! ```
//! # #[cfg(feature = "json")] {
//! use session_serde::Codec;
//!
//! let name = std::env::var("SESSION_SERIALIZER").unwrap_or_else(|_| "json".to_owned());
//! let codec = Codec::from_name(&name)?;
//! # let _ = codec;
//! # }
//! # Ok::<(), session_core::Error>(())
//! ```
//!
//! One's own serializer implements [`session_core::SessionSerializer`]; it needs nothing of this crate.

mod codec;
#[cfg(feature = "json")]
mod json;

pub use codec::Codec;
#[cfg(feature = "json")]
pub use json::Json;
