//! When a failed attempt is made again.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::error::Error;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_secs(1);

/// The schedule of Microsoft's session state provider: again 20 ms after the end of the first attempt, then one second
/// after the end of each, and one last time at the timeout. An attempt that still runs at the timeout is the last.
pub(crate) struct Schedule {
    start: Instant,
    timeout: Duration,
    first: bool,
}

impl Schedule {
    /// Starts now. A timeout of zero means that nothing is tried again.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { start: Instant::now(), timeout, first: true }
    }

    /// Waits until the next attempt is due after one that failed now.
    ///
    /// # Errors
    ///
    /// The same error, if there is no next attempt.
    pub(crate) async fn pause(&mut self, error: Error) -> Result<(), Error> {
        if !error.kind().is_retryable() {
            return Err(error);
        }
        match self.next(self.start.elapsed()) {
            None => Err(error),
            Some(at) => {
                sleep_until(self.start + at).await;
                Ok(())
            }
        }
    }

    /// When the attempt after one that ended at `end` starts; both counted from the start of the first.
    fn next(&mut self, end: Duration) -> Option<Duration> {
        if end >= self.timeout {
            return None;
        }
        let pause = if std::mem::take(&mut self.first) { FIRST_PAUSE } else { PAUSE };
        Some(self.timeout.min(end + pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, Operation};

    /// The times at which attempts start that all fail after `attempt` milliseconds.
    async fn starts(timeout: u64, attempt: u64) -> Vec<u128> {
        let mut schedule = Schedule::new(Duration::from_millis(timeout));
        let start = Instant::now();
        let mut starts = Vec::new();
        loop {
            starts.push(start.elapsed().as_millis());
            tokio::time::sleep(Duration::from_millis(attempt)).await;
            let error = Error::new(ErrorKind::Unavailable, Operation::Load, "");
            if schedule.pause(error).await.is_err() {
                return starts;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_start_when_they_should() {
        let vectors: &[(u64, u64, &[u128])] = &[
            (0, 0, &[0]),
            (0, 400, &[0]),
            (0, 1500, &[0]),
            (1, 0, &[0, 1]),
            (1, 400, &[0]),
            (1, 1500, &[0]),
            (19, 0, &[0, 19]),
            (19, 400, &[0]),
            (19, 1500, &[0]),
            (20, 0, &[0, 20]),
            (20, 400, &[0]),
            (20, 1500, &[0]),
            (21, 0, &[0, 20, 21]),
            (21, 400, &[0]),
            (21, 1500, &[0]),
            (500, 0, &[0, 20, 500]),
            (500, 400, &[0, 420]),
            (500, 1500, &[0]),
            (1019, 0, &[0, 20, 1019]),
            (1019, 400, &[0, 420, 1019]),
            (1019, 1500, &[0]),
            (1020, 0, &[0, 20, 1020]),
            (1020, 400, &[0, 420, 1020]),
            (1020, 1500, &[0]),
            (1021, 0, &[0, 20, 1020, 1021]),
            (1021, 400, &[0, 420, 1021]),
            (1021, 1500, &[0]),
            (2500, 0, &[0, 20, 1020, 2020, 2500]),
            (2500, 400, &[0, 420, 1820, 2500]),
            (2500, 1500, &[0, 1520]),
            (5000, 0, &[0, 20, 1020, 2020, 3020, 4020, 5000]),
            (5000, 400, &[0, 420, 1820, 3220, 4620]),
            (5000, 1500, &[0, 1520, 4020]),
        ];
        for (timeout, attempt, expected) in vectors {
            assert_eq!(&starts(*timeout, *attempt).await, expected, "T = {timeout} ms, attempts of {attempt} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_repetition_helps_is_not_tried_again() {
        let mut schedule = Schedule::new(Duration::from_secs(5));
        for kind in [ErrorKind::Auth, ErrorKind::Gone, ErrorKind::ForeignKey, ErrorKind::Conflict] {
            assert!(schedule.pause(Error::new(kind, Operation::Load, "")).await.is_err());
        }
    }
}
