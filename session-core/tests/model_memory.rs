//! Random requests on the embedded store, compared with a model.

use secret_watch as _;

use std::sync::Arc;

use async_trait::async_trait;
use session_core::conformance::{Foreign, Life, NotPossible, Subject, sessions, unused_key};
use session_core::{MemoryProvider, SessionKey, SessionProvider};
use session_serde::Json;

struct Memory(Arc<MemoryProvider>);

impl Memory {
    fn new() -> Self {
        Self(Arc::new(MemoryProvider::new()))
    }
}

#[async_trait]
impl Subject for Memory {
    fn provider(&self) -> Arc<dyn SessionProvider> {
        self.0.clone()
    }

    fn unused_key(&self) -> SessionKey {
        unused_key("model:")
    }

    async fn put_foreign(&self, _: &SessionKey, _: Foreign) -> Result<(), NotPossible> {
        Err(NotPossible("nobody but the provider can write to its memory"))
    }

    async fn foreign_is_intact(&self, _: &SessionKey, _: Foreign) -> bool {
        false
    }

    async fn life(&self, key: &SessionKey) -> Result<Life, NotPossible> {
        Ok(self.0.time_to_live(key).map_or(Life::Nothing, Life::Ends))
    }
}

#[tokio::test(start_paused = true)]
async fn requests_one_after_the_other_are_answered_exactly() {
    sessions::exactly(&Memory::new(), &Json, 800).await;
}

#[tokio::test(start_paused = true)]
async fn requests_under_faults_keep_every_promise() {
    sessions::under_faults(&Memory::new(), &Json, 1_200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_on_several_threads_lose_nothing() {
    sessions::at_once(&Memory::new(), &Json, 10).await;
}
