//! Dead stays dead, in the embedded store: requests of several processes interleaved at random with a session's end.

use secret_watch as _;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::conformance::interleavings::{Ending, Ground, Order, Tally, run};
use session_core::conformance::{seed, soaked};
use session_core::{Checked, MemoryProvider, Renewal, Renewed, SessionKey, SessionProvider};
use session_serde::Json;

struct Memory(Arc<MemoryProvider>);

#[async_trait]
impl Ground for Memory {
    fn provider(&self) -> Arc<dyn SessionProvider> {
        self.0.clone()
    }

    async fn end(&self, key: &SessionKey, _: Ending) -> bool {
        let Ok(Checked::Present { generation, .. }) = self.0.check(key).await else { return false };
        // A life of nothing is over at once.
        let renewal = Renewal { generation, time_to_live: Duration::ZERO };
        matches!(self.0.renew(key, &renewal).await, Ok(Renewed::Done { .. }))
    }

    async fn endless(&self, _: &[SessionKey]) -> usize {
        // It has no way to keep anything without an end.
        0
    }
}

fn memory() -> Arc<Memory> {
    Arc::new(Memory(Arc::new(MemoryProvider::new())))
}

#[track_caller]
fn assert_worth_it(tally: Tally) {
    println!("{tally:?}");
    for number in [tally.acknowledged, tally.gone, tally.destroyed, tally.rotated] {
        assert!(number * 20 > tally.episodes, "too little happened: {tally:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn stepwise() {
    assert_worth_it(run(memory(), Json, Order::Stepwise, seed(), soaked(14_000)).await);
}

#[tokio::test(start_paused = true)]
async fn stepwise_in_a_store_that_fails() {
    assert_worth_it(run(memory(), Json, Order::Faulty(7), seed(), soaked(3_000)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_concurrent_tasks() {
    assert_worth_it(run(memory(), Json, Order::Concurrent, seed(), soaked(3_000)).await);
}
