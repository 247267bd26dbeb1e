//! What happens when a session passes its size limit.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::context::RequestContext;
use crate::id::Fingerprint;

/// Decides what happens when a session passes
/// [`max_session_bytes`](crate::SessionManagerBuilder::max_session_bytes).
///
/// Whatever it decides, no change makes a session of more than ten times the limit, and none is loaded: it can only be
/// destroyed, or cleared by this.
#[derive(Clone, Default)]
pub struct SizeHandler(Rule);

type Decide = dyn Fn(&Oversize<'_>) -> SizeAction + Send + Sync;

#[derive(Clone, Default)]
enum Rule {
    #[default]
    Refuse,
    Clear,
    Custom(Arc<Decide>),
}

impl SizeHandler {
    /// Always [`SizeAction::Refuse`]. The default.
    pub fn refuse() -> Self {
        Self(Rule::Refuse)
    }

    /// Always [`SizeAction::Clear`].
    pub fn clear() -> Self {
        Self(Rule::Clear)
    }

    /// Asks this function each time. It runs while the session is locked, so it should be quick, and it cannot use the
    /// session. A panic is taken for [`SizeAction::Refuse`] and logged.
    ///
    /// ```
    /// # use session_core::{OversizeAt, RequestContext, SizeAction, SizeHandler};
    /// struct Paying;
    /// let handler = SizeHandler::custom(|oversize| match oversize.when {
    ///     _ if oversize.context.get::<Paying>().is_some() && oversize.bytes < 2 * oversize.limit => SizeAction::Allow,
    ///     OversizeAt::Load => SizeAction::Clear,
    ///     _ => SizeAction::Refuse,
    /// });
    /// # let _ = handler;
    /// ```
    pub fn custom(decide: impl Fn(&Oversize<'_>) -> SizeAction + Send + Sync + 'static) -> Self {
        Self(Rule::Custom(Arc::new(decide)))
    }

    /// Whether a session may be cleared, for which the names of its attributes have to be known.
    pub(crate) fn may_clear(&self) -> bool {
        !matches!(self.0, Rule::Refuse)
    }

    pub(crate) fn decide(&self, oversize: &Oversize<'_>) -> SizeAction {
        match &self.0 {
            Rule::Refuse => SizeAction::Refuse,
            Rule::Clear => SizeAction::Clear,
            Rule::Custom(decide) => catch_unwind(AssertUnwindSafe(|| decide(oversize))).unwrap_or_else(|_| {
                tracing::warn!("the size handler panicked, which is taken for a refusal");
                SizeAction::Refuse
            }),
        }
    }
}

impl fmt::Debug for SizeHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Rule::Refuse => "Refuse",
            Rule::Clear => "Clear",
            Rule::Custom(_) => "Custom(..)",
        })
    }
}

/// A session that is larger than it may be, or would become so.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Oversize<'a> {
    /// What stands for the session's id; none if it is not stored yet.
    pub session: Option<Fingerprint>,
    /// That of the request at hand.
    pub context: &'a RequestContext,
    /// The bytes of its attributes, names and values: as it was found, or as the change would make it.
    pub bytes: usize,
    /// What it may have.
    pub limit: usize,
    /// When it was found.
    pub when: OversizeAt,
}

/// When a session was found to be too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OversizeAt {
    /// When a request opened it: it was stored so, by others or under another limit.
    Load,
    /// When a request made a change by which it would grow.
    Change,
}

/// What is done about a session that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SizeAction {
    /// A change by which it would grow is refused with [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge). A stored
    /// session is given to the request, and may only shrink.
    Refuse,
    /// Its attributes are removed, as by [`Session::clear`](crate::Session::clear): with the request's next commit they
    /// are deleted from the store. The attribute being changed keeps what the change makes of it, if that fits by
    /// itself; if not, nothing is removed and the change is refused.
    Clear,
    /// The change is made, a stored session given to the request as it is. What has more than ten times the limit is
    /// treated as by [`Refuse`](Self::Refuse), since it could not be loaded again.
    Allow,
}
