//! What a request may do with its session.

/// How a request shares its session with others, chosen for each route or job.
///
/// Either way nobody waits for anybody, and every open is validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ConcurrencyMode {
    /// Requests change the session at the same time, and their changes merge.
    #[default]
    Merge,
    /// The request reads the session as it stands, and never commits: whatever would change it, its id, or its expiry at
    /// once, answers [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly), and nothing is ever created. Reading counts as
    /// use, so the expiry is renewed when that is due.
    ReadOnly,
}
