//! Whether a batch is on its way, for those who have to know what became of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// The batch of a live session that is on its way, of which there is one at a time.
#[derive(Default)]
pub(super) struct Flight {
    under_way: AtomicBool,
    over: Notify,
}

/// A batch on its way, until dropped: when its answer was taken, or nobody waits for that any more.
pub(super) struct UnderWay<'a>(&'a Flight);

impl Flight {
    pub(super) fn start(&self) -> UnderWay<'_> {
        self.under_way.store(true, Ordering::SeqCst);
        UnderWay(self)
    }

    /// Waits until the batch that is on its way now is over, at most `limit`; not at all if there is none.
    pub(super) async fn is_over(&self, limit: Duration) {
        // It hears of everything that ends from here on.
        let over = self.over.notified();
        if self.under_way.load(Ordering::SeqCst) {
            // In time or not: who waited looks for himself.
            let _ = timeout(limit, over).await;
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.store(false, Ordering::SeqCst);
        self.0.over.notify_waiters();
    }
}
