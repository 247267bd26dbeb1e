//! Serializers for session attributes, each behind its own Cargo feature, and [`Codec`], the choice among those that are
//! compiled in.
//!
//! | feature | serializer | |
//! |---|---|---|
//! | `json` (default) | `Json` | readable in `redis-cli`, understood by every language |
//! | `msgpack` | `MessagePack` | smaller and faster, and types may change as with JSON |
//! | `postcard` | `Postcard` | smallest and fastest; a changed type may be read wrongly |
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
//! # Tags
//!
//! The first byte of a stored value tells who wrote it:
//!
//! | first byte | |
//! |---|---|
//! | `0x01` | MessagePack |
//! | `0x02` | postcard |
//! | `0x00`, `0x03` to `0x08` | for serializers that this crate may have one day |
//! | `0x09` to `0x7E` | no tag: JSON, or the decimal text of a counter |
//! | `0x80` to `0xFF` | applications' own serializers |
//!
//! [`Codec`] writes with the chosen serializer and reads what any compiled-in one wrote, so a running deployment can
//! change its serializer and keep its sessions. A serializer by itself reads only what it wrote. A tag that is unknown, or
//! whose serializer is not compiled in, is an error that says so; the attribute is never taken for absent.
//!
//! # Limits
//!
//! All of them refuse values nested deeper than 127 levels or longer than 16 MiB, when they are written as when they are
//! read. Bytes that a stranger may have written neither overflow the stack nor take time or memory out of proportion to
//! their length (as far as the type itself does not: each element of a list of large arrays is large).
//!
//! # Tools and debugging
//!
//! [`Value`] is any value. `session.inspect::<Value>()` decodes a whole session, and
//! [`StoredSession::inspect`](session_core::StoredSession::inspect) what a store answered, as far as the bytes describe
//! themselves. What postcard wrote does not.
//!
//! # One's own serializer
//!
//! It implements [`session_core::SessionSerializer`] and needs nothing of this crate. `examples/own-serializer` shows one
//! that compresses.

#[cfg(test)]
use secret_watch as _;

#[cfg(any(feature = "msgpack", feature = "postcard"))]
mod bounded;
mod codec;
#[cfg(feature = "json")]
mod json;
#[cfg_attr(not(any(feature = "json", feature = "msgpack", feature = "postcard")), allow(dead_code))]
mod limits;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(feature = "postcard")]
mod postcard;
#[cfg_attr(not(any(feature = "json", feature = "msgpack", feature = "postcard")), allow(dead_code))]
mod tag;
mod value;

pub use codec::Codec;
#[cfg(feature = "json")]
pub use json::Json;
#[cfg(feature = "msgpack")]
pub use msgpack::MessagePack;
#[cfg(feature = "postcard")]
pub use postcard::Postcard;
pub use value::Value;
