//! How long the store will keep the session, as this process last heard.

use std::time::Duration;

use tokio::time::Instant;

/// The expiry as last heard, by the monotonic clock.
#[derive(Default)]
pub(crate) struct Expiry {
    heard: Option<(Instant, Duration)>,
    /// A renewal did not bring it to the idle timeout, since the deadline is nearer.
    capped: bool,
    /// A renewal is on its way.
    pub(crate) renewing: bool,
}

impl Expiry {
    /// The store told the remaining life.
    pub(crate) fn heard(&mut self, remaining: Duration) {
        self.heard = Some((Instant::now(), remaining));
    }

    /// The store told the remaining life after it was set for a session with this idle timeout.
    pub(crate) fn set(&mut self, remaining: Duration, idle_timeout: Duration) {
        self.heard(remaining);
        self.capped = remaining < idle_timeout;
    }

    /// What remains now; `None` if nothing is known or nothing remains.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        let (at, remaining) = self.heard?;
        remaining.checked_sub(at.elapsed())
    }

    /// Whether the session might end before the idle timeout has passed since now, and renewing helps.
    pub(crate) fn is_due(&self, idle_timeout: Duration) -> bool {
        !self.capped
            && !self.renewing
            && self.heard.is_some()
            && self.remaining().is_none_or(|left| left < idle_timeout)
    }
}
