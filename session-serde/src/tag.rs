//! The first byte of a stored value tells which serializer wrote it.

use session_core::SerializerError;

/// Before what [`MessagePack`](crate::MessagePack) wrote.
pub(crate) const MESSAGE_PACK: u8 = 0x01;

/// Before what [`Postcard`](crate::Postcard) wrote.
pub(crate) const POSTCARD: u8 = 0x02;

/// Who wrote a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// No tag: JSON, or the text of a counter.
    Json,
    MessagePack,
    Postcard,
    /// A tag that no serializer of this crate has.
    Unknown,
    /// There is not even one byte; no serializer leaves none.
    Nobody,
}

impl Writer {
    #[inline]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        match bytes.first() {
            None => Self::Nobody,
            Some(&MESSAGE_PACK) => Self::MessagePack,
            Some(&POSTCARD) => Self::Postcard,
            // JSON begins with a printable character or a space, a tabulator, a line's end.
            Some(0x09 | 0x0A | 0x0D | 0x20..=0x7E) => Self::Json,
            Some(_) => Self::Unknown,
        }
    }

    /// Why a serializer does not read what another wrote.
    #[cold]
    pub(crate) fn not_read_by(self, reader: &str) -> SerializerError {
        let writer = match self {
            Self::Nobody => return SerializerError::new("there are no bytes"),
            Self::Unknown => "a serializer whose tag is unknown",
            Self::Json => "JSON or another serializer without a tag",
            Self::MessagePack => "MessagePack",
            Self::Postcard => "postcard",
        };
        SerializerError::new(format!("written by {writer}, which {reader} does not read"))
    }
}
