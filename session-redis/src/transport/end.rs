//! Tells those who wait for a connection's replies when none will come any more.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::sync::watch;
use tokio::task::unconstrained;

use super::Driver;

/// The end of a connection's driver, whether it was done or dropped.
///
/// What waits for a reply may not learn of it by the driver's own means. redis-rs hands requests to its driver through a
/// channel of tokio's, whose receiver empties it when it is dropped; but a request that is just being put in is
/// overlooked, and so are those behind it. They stay there, with the means to answer them, as long as somebody has the
/// connection: as long as they are waited for.
#[derive(Clone)]
pub(super) struct End(watch::Receiver<()>);

impl End {
    /// The same driver, and its end.
    pub(super) fn of(driver: impl Future<Output = ()> + Send + 'static) -> (Driver, Self) {
        let (running, end) = watch::channel(());
        let driver = async move {
            let _running = running;
            driver.await;
        };
        (Box::pin(driver), Self(end))
    }

    /// What the driver brings about, if it did so before it ended.
    pub(super) async fn or<T>(&self, awaited: impl Future<Output = T>) -> Option<T> {
        let mut end = self.0.clone();
        let mut end = pin!(end.changed());
        let mut awaited = pin!(awaited);
        let either = poll_fn(|cx| {
            // In this order: once the driver has ended, the look at what it has brought about is the last one.
            let ended = end.as_mut().poll(cx).is_ready();
            match awaited.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if ended => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        // Else a task that has used up its turn would be told that nothing is there.
        unconstrained(either).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::sync::oneshot;
    use tokio::task::consume_budget;

    use super::*;

    #[tokio::test]
    async fn nobody_waits_longer_than_the_driver_lives() {
        let (driver, end) = End::of(ready(()));
        let waiting = tokio::spawn({
            let end = end.clone();
            async move { end.or(pending::<()>()).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        driver.await;
        assert_eq!(waiting.await.unwrap(), None);
        assert_eq!(end.or(pending::<()>()).await, None, "nor who comes later");

        let (driver, end) = End::of(pending());
        drop(driver);
        assert_eq!(end.or(pending::<()>()).await, None, "it was never started");

        let (driver, end) = End::of(pending());
        let driver = tokio::spawn(driver);
        tokio::task::yield_now().await;
        driver.abort();
        assert_eq!(end.or(pending::<()>()).await, None, "it was dropped on its way");
    }

    #[tokio::test]
    async fn what_came_before_the_end_is_delivered() {
        // However much of its turn the task has left.
        for used in 0..150 {
            let (answer, awaited) = oneshot::channel();
            let (driver, end) = End::of(async move { answer.send(7).unwrap() });
            driver.await;
            tokio::task::yield_now().await;
            for _ in 0..used {
                consume_budget().await;
            }
            assert_eq!(end.or(awaited).await, Some(Ok(7)), "after {used}");
        }
    }
}
