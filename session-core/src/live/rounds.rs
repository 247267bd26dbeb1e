//! One attempt at a time, shared by all who asked for it before it began.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::{Error, ErrorKind, Operation, Result};

/// Runs attempts one after the other. Whoever joins gets the answer of an attempt that began after he joined; all who
/// wait for the same attempt share its answer, also a failure. If the future that runs an attempt is dropped, the next
/// who waits runs another.
pub(crate) struct Rounds<T> {
    last: Mutex<Last<T>>,
    started: AtomicU64,
}

struct Last<T> {
    number: u64,
    answer: Option<Result<T>>,
}

impl<T: Clone> Rounds<T> {
    pub(crate) fn new() -> Self {
        Self { last: Mutex::new(Last { number: 0, answer: None }), started: AtomicU64::new(0) }
    }

    /// Waits for an attempt that begins from now on, or makes it. Waits for the attempt before it at most `limit`.
    ///
    /// # Errors
    ///
    /// That of the attempt, or `Unavailable` if the one before it takes too long.
    pub(crate) async fn join(
        &self,
        operation: Operation,
        limit: Duration,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let wanted = self.started.load(Ordering::SeqCst) + 1;
        let Ok(mut last) = timeout(limit, self.last.lock()).await else {
            let text = "an earlier request of the same session still waits for the store";
            return Err(Error::new(ErrorKind::Unavailable, operation, text));
        };
        if last.number >= wanted
            && let Some(answer) = &last.answer
        {
            return answer.clone();
        }
        let number = self.started.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = run.await;
        *last = Last { number, answer: Some(answer.clone()) };
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_share_one_attempt() {
        let rounds = Arc::new(Rounds::new());
        let runs = Arc::new(AtomicU64::new(0));
        let gate = Arc::new(Notify::new());
        let join = |_: usize| {
            let (rounds, runs, gate) = (rounds.clone(), runs.clone(), gate.clone());
            tokio::spawn(async move {
                let run = async {
                    let number = runs.fetch_add(1, Ordering::SeqCst);
                    if number == 0 {
                        gate.notified().await;
                    }
                    Ok(number)
                };
                rounds.join(Operation::Load, LIMIT, run).await.unwrap()
            })
        };
        let first = join(0);
        tokio::task::yield_now().await;
        let others: Vec<_> = (1..100).map(join).collect();
        tokio::task::yield_now().await;
        gate.notify_one();
        assert_eq!(first.await.unwrap(), 0);
        for other in others {
            assert_eq!(other.await.unwrap(), 1, "the attempt under way began before they asked");
        }
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_attempt_is_taken_over() {
        let rounds = Arc::new(Rounds::new());
        let hanging = {
            let rounds = rounds.clone();
            tokio::spawn(async move { rounds.join(Operation::Load, LIMIT, std::future::pending::<Result<u8>>()).await })
        };
        tokio::task::yield_now().await;
        let waiting = {
            let rounds = rounds.clone();
            tokio::spawn(async move { rounds.join(Operation::Load, LIMIT, async { Ok(7) }).await })
        };
        tokio::task::yield_now().await;
        hanging.abort();
        assert_eq!(waiting.await.unwrap().unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_no_longer_than_the_limit() {
        let rounds = Arc::new(Rounds::new());
        let hanging = rounds.clone();
        tokio::spawn(async move { hanging.join(Operation::Load, LIMIT, std::future::pending::<Result<u8>>()).await });
        tokio::task::yield_now().await;
        let error = rounds.join(Operation::Load, Duration::from_secs(1), async { Ok(7) }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
