//! The store's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A time by the store's clock, since 1970.
pub(super) type Moment = Duration;

/// Reads the system's clock once and goes on by the monotonic one, so that it never jumps.
pub(super) struct Clock {
    started: Instant,
    started_at: Moment,
}

impl Default for Clock {
    fn default() -> Self {
        Self { started: Instant::now(), started_at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }
}

impl Clock {
    pub(super) fn now(&self) -> Moment {
        self.started_at + self.started.elapsed()
    }
}

/// Whole milliseconds, as times cross the provider's border.
pub(super) fn millis(moment: Moment) -> u64 {
    u64::try_from(moment.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn goes_on_by_the_monotonic_clock() {
        let clock = Clock::default();
        let before = clock.now();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now() - before, Duration::from_secs(5));
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(before.abs_diff(system) < Duration::from_secs(60), "starts at the system's time");
    }
}
