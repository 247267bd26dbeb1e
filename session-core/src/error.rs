//! The one error type: what went wrong, what was being done, and whether the change may have been applied.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The result of everything in these crates that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store could not be reached, so nothing was executed. Trying again helps.
    Unavailable,
    /// The store was asked and did not answer; it may have executed the request. Trying again helps and is safe.
    OutcomeUnknown,
    /// The store is there and refused for now (out of memory, read-only, loading). Trying again helps.
    Rejected,
    /// The store refused the credentials or their permissions. Correct them.
    Auth,
    /// The session was destroyed, expired or evicted. Start a new one.
    Gone,
    /// An update could not be merged with other processes' changes within its time. Try the request again.
    Conflict,
    /// An increment met something that is no counter, or left the range of counters.
    NotACounter,
    /// The request opened its session to read it only. Change it in a request that may.
    ReadOnly,
    /// The response head was already sent, so no id can reach the client any more.
    TooLate,
    /// The attribute's bytes cannot be decoded as the type asked for. The attribute is left as it is.
    Corrupt,
    /// The value cannot be encoded by this serializer. The attribute is left as it was.
    Encode,
    /// The key holds something that is not this session: another type, a hash without our header, another id's session.
    ForeignKey,
    /// A size limit would be passed. Nothing was sent.
    TooLarge,
    /// The text is not a session id of ours.
    InvalidId,
    /// The attribute name is empty, too long or reserved.
    InvalidName,
    /// The key or connection callback failed or answered something unusable.
    KeyCallback,
    /// This store cannot do it. Said before anything was sent.
    Unsupported,
    /// A setting is wrong; the text names it.
    Config,
    /// A closure given to `update` panicked, or used the session it was updating. The attribute is left as it was.
    Closure,
}

impl ErrorKind {
    /// Whether the same request can succeed when it is made again.
    ///
    /// ```
    /// # use session_core::ErrorKind;
    /// assert!(ErrorKind::Unavailable.is_retryable());
    /// assert!(!ErrorKind::Auth.is_retryable());
    /// ```
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::OutcomeUnknown | Self::Rejected)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Unavailable => "the session store cannot be reached",
            Self::OutcomeUnknown => "the session store did not answer",
            Self::Rejected => "the session store refused for now",
            Self::Auth => "the session store refused the credentials",
            Self::Gone => "the session is gone",
            Self::Conflict => "the update could not be merged in time",
            Self::NotACounter => "not a counter",
            Self::ReadOnly => "the session was opened to be read only",
            Self::TooLate => "the response head was already sent",
            Self::Corrupt => "the attribute cannot be decoded",
            Self::Encode => "the value cannot be encoded",
            Self::ForeignKey => "the key does not hold this session",
            Self::TooLarge => "a size limit would be passed",
            Self::InvalidId => "not a session id",
            Self::InvalidName => "not an attribute name",
            Self::KeyCallback => "no key for this session",
            Self::Unsupported => "not supported by this session store",
            Self::Config => "a setting is wrong",
            Self::Closure => "the update's closure failed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What was being done when an error arose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Building or checking settings.
    Configure,
    /// Deriving the key or choosing the connection of a request.
    Route,
    /// Connecting to the store.
    Connect,
    /// Loading or validating a session.
    Load,
    /// Reading an attribute.
    Read,
    /// Changing an attribute of the live session.
    Change,
    /// Writing changes.
    Commit,
    /// Renewing the expiry.
    Renew,
    /// Changing the session's id.
    Rotate,
    /// Destroying the session.
    Destroy,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configure => "configuring",
            Self::Route => "choosing key and connection",
            Self::Connect => "connecting",
            Self::Load => "loading the session",
            Self::Read => "reading an attribute",
            Self::Change => "changing an attribute",
            Self::Commit => "committing",
            Self::Renew => "renewing the expiry",
            Self::Rotate => "changing the session id",
            Self::Destroy => "destroying the session",
        })
    }
}

/// Whether what failed may have been, or may still be, applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Surely not applied, and it will not be sent again.
    NotApplied,
    /// Perhaps applied already, or it travels with the next commit of another holder of the session.
    PerhapsApplied,
}

/// What went wrong, while doing what, on which connection.
///
/// Never contains a session id, an attribute's value or a password. Cheap to clone, since all who wait for one
/// round trip share its failure.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: Operation,
    effect: Effect,
    connection: Option<Arc<str>>,
    attribute: Option<Arc<str>>,
    detail: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with a sentence that tells the caller what to do next. `detail` may be empty; it must not contain
    /// ids, attribute values or passwords.
    pub fn new(kind: ErrorKind, operation: Operation, detail: impl Into<Cow<'static, str>>) -> Self {
        let effect = match kind {
            ErrorKind::OutcomeUnknown => Effect::PerhapsApplied,
            _ => Effect::NotApplied,
        };
        Self(Arc::new(Inner {
            kind,
            operation,
            effect,
            connection: None,
            attribute: None,
            detail: detail.into(),
            source: None,
        }))
    }

    /// Adds the cause. Its own text must not contain secrets either.
    #[must_use]
    pub fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.change(|inner| inner.source = Some(Arc::new(source)))
    }

    /// Adds the name of the connection.
    #[must_use]
    pub fn with_connection(self, name: impl Into<Arc<str>>) -> Self {
        self.change(|inner| inner.connection = Some(name.into()))
    }

    /// Adds the name of the attribute concerned.
    #[must_use]
    pub fn with_attribute(self, name: impl Into<Arc<str>>) -> Self {
        self.change(|inner| inner.attribute = Some(name.into()))
    }

    /// Says what was being done.
    #[must_use]
    pub fn with_operation(self, operation: Operation) -> Self {
        self.change(|inner| inner.operation = operation)
    }

    /// Says whether the change may have been applied.
    #[must_use]
    pub fn with_effect(self, effect: Effect) -> Self {
        self.change(|inner| inner.effect = effect)
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What a caller can act on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done.
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// Whether the change may have been, or may still be, applied. Meaningful for operations that write.
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// The name of the connection, where one was concerned; `name/database` for a database other than 0.
    pub fn connection(&self) -> Option<&str> {
        self.0.connection.as_deref()
    }

    /// The name of the attribute, where one was concerned.
    pub fn attribute(&self) -> Option<&str> {
        self.0.attribute.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, effect, connection, attribute, detail, source: _ } = &*self.0;
        write!(f, "{kind} while {operation}")?;
        if let Some(connection) = connection {
            write!(f, " on connection {connection:?}")?;
        }
        if let Some(attribute) = attribute {
            write!(f, ", attribute {attribute:?}")?;
        }
        if !detail.is_empty() {
            write!(f, ": {detail}")?;
        }
        if *effect == Effect::PerhapsApplied && *operation != Operation::Load {
            f.write_str(" (the change may still be applied)")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, effect, connection, attribute, detail, source } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("operation", operation)
            .field("effect", effect)
            .field("connection", connection)
            .field("attribute", attribute)
            .field("detail", detail)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
