//! The embedded store, as the suites see it.

use std::sync::Arc;

use async_trait::async_trait;
use session_core::conformance::{Foreign, Life, NotPossible, Subject, unused_key};
use session_core::{MemoryProvider, SessionKey, SessionProvider};

pub(crate) struct Memory(Arc<MemoryProvider>);

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Arc::new(MemoryProvider::new()))
    }
}

#[async_trait]
impl Subject for Memory {
    fn provider(&self) -> Arc<dyn SessionProvider> {
        self.0.clone()
    }

    fn unused_key(&self) -> SessionKey {
        unused_key("conformance:")
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
