//! The embedded store keeps every promise of a provider.

use std::sync::Arc;

use async_trait::async_trait;
use session_core::conformance::{CASES, Foreign, Life, NotPossible, Subject, run_all, unused_key};
use session_core::{MemoryProvider, SessionKey, SessionProvider};

struct Memory(Arc<MemoryProvider>);

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

async fn memory() -> Memory {
    Memory(Arc::new(MemoryProvider::new()))
}

session_core::conformance_tests!(memory, not_possible: [data_of_another_type, data_without_a_header]);

#[tokio::test]
async fn all_on_one_store_in_one_thread() {
    let report = run_all(memory().await).await;
    assert!(report.failed.is_empty(), "{report}");
    assert_eq!(report.not_possible.len(), 2, "{report}");
    assert_eq!(report.passed.len() + 2, CASES.len(), "{report}");
}
