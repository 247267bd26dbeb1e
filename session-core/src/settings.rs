//! What a manager was told: times, limits, behaviour.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::limits::SizeHandler;

/// The settings of a [`SessionManager`](crate::SessionManager); the builder's methods document them.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) idle_timeout: Duration,
    pub(crate) expiry_slack: u8,
    pub(crate) absolute_timeout: Option<Duration>,
    pub(crate) max_session_bytes: usize,
    pub(crate) size_handler: SizeHandler,
    pub(crate) retry_timeout: Duration,
    pub(crate) throw_on_error: bool,
    pub(crate) keep_for: Duration,
    pub(crate) keep_bytes: usize,
    pub(crate) check_interval: Duration,
    pub(crate) shards: usize,
    pub(crate) figures_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(20 * 60),
            expiry_slack: 10,
            absolute_timeout: None,
            max_session_bytes: 30_000,
            size_handler: SizeHandler::refuse(),
            retry_timeout: Duration::ZERO,
            throw_on_error: true,
            keep_for: Duration::from_secs(120),
            keep_bytes: 64 << 20,
            check_interval: Duration::from_secs(5),
            shards: std::thread::available_parallelism().map_or(4, usize::from) * 4,
            figures_interval: Duration::from_secs(30),
        }
    }
}

/// Redis takes an expiry as a signed 64-bit number of milliseconds since 1970; a hundred years stay far within.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Settings {
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |setting: &str, why: &str| {
            Err(Error::new(ErrorKind::Config, Operation::Configure, format!("`{setting}`: {why}")))
        };
        check_idle_timeout(self.idle_timeout)?;
        if self.expiry_slack > 100 {
            return wrong("expiry_slack", "at most 100 percent of the idle timeout");
        }
        if self.absolute_timeout.is_some_and(|timeout| timeout < Duration::from_millis(1) || timeout > LONGEST) {
            return wrong("absolute_timeout", "from 1 millisecond to 100 years");
        }
        if self.max_session_bytes == 0 {
            return wrong("max_session_bytes", "at least 1");
        }
        if self.retry_timeout > Duration::from_secs(5 * 60) {
            return wrong("retry_timeout", "at most 5 minutes, for which a repeated write is recognised");
        }
        if self.keep_for > LONGEST {
            return wrong("keep_for", "at most 100 years");
        }
        if self.check_interval.is_zero() {
            return wrong("check_interval", "longer than 0");
        }
        if self.shards == 0 || self.shards > 1 << 16 {
            return wrong("shards", "from 1 to 65,536");
        }
        if self.figures_interval > LONGEST {
            return wrong("figures_interval", "at most 100 years");
        }
        Ok(())
    }

    /// The expiry to set on a session with this idle timeout: with the slack, so that most reads need not renew it.
    pub(crate) fn time_to_live(&self, idle_timeout: Duration) -> Duration {
        idle_timeout + idle_timeout * u32::from(self.expiry_slack) / 100
    }

    /// Above this a session is not loaded at all.
    pub(crate) fn unloadable_bytes(&self) -> usize {
        self.max_session_bytes.saturating_mul(10)
    }
}

pub(crate) fn check_idle_timeout(timeout: Duration) -> Result<()> {
    if timeout < Duration::from_millis(1) || timeout > LONGEST {
        let text = "`idle_timeout`: from 1 millisecond to 100 years";
        return Err(Error::new(ErrorKind::Config, Operation::Configure, text));
    }
    Ok(())
}
