//! The embedded store keeps every promise of a provider.

use secret_watch as _;

#[path = "common/memory.rs"]
mod memory;

use std::sync::Arc;

use async_trait::async_trait;
use session_core::conformance::{CASES, Foreign, Life, NotPossible, Subject, check, run_all, unused_key};
use session_core::{
    Capabilities, Checked, Commit, Committed, Destroyed, Destruction, Error, ErrorKind, Loaded, Operation, Renewal,
    Renewed, Result, Retired, Retirement, SessionKey, SessionProvider, WriterId,
};

use memory::Memory;

async fn memory() -> Memory {
    Memory::new()
}

session_core::conformance_tests!(memory, not_possible: [data_of_another_type, data_without_a_header]);

#[tokio::test]
async fn all_on_one_store_in_one_thread() {
    let report = run_all(memory().await).await;
    assert!(report.failed.is_empty(), "{report}");
    assert_eq!(report.not_possible.len(), 2, "{report}");
    assert_eq!(report.passed.len() + 2, CASES.len(), "{report}");
}

#[tokio::test]
#[should_panic(expected = "data_of_another_type is not possible, and not listed as such")]
async fn what_is_not_possible_must_be_listed() {
    check("data_of_another_type", memory().await, &[]).await;
}

#[tokio::test]
#[should_panic(expected = "absent_key is listed as not possible, but it is possible")]
async fn what_is_listed_must_not_be_possible() {
    check("absent_key", memory().await, &["absent_key"]).await;
}

#[tokio::test]
#[should_panic(expected = "there is no case")]
async fn what_is_listed_must_be_a_case() {
    check("absent_key", memory().await, &["absent_kye"]).await;
}

/// A store that cannot be reached.
struct Nowhere;

fn unavailable<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unavailable, Operation::Connect, ""))
}

#[async_trait]
impl SessionProvider for Nowhere {
    fn capabilities(&self) -> Capabilities {
        Capabilities::unlimited()
    }

    async fn load(&self, _: &SessionKey, _: WriterId) -> Result<Loaded> {
        unavailable()
    }

    async fn check(&self, _: &SessionKey) -> Result<Checked> {
        unavailable()
    }

    async fn commit(&self, _: &SessionKey, _: &Commit) -> Result<Committed> {
        unavailable()
    }

    async fn renew(&self, _: &SessionKey, _: &Renewal) -> Result<Renewed> {
        unavailable()
    }

    async fn destroy(&self, _: &SessionKey, _: &Destruction) -> Result<Destroyed> {
        unavailable()
    }

    async fn retire(&self, _: &SessionKey, _: &Retirement) -> Result<Retired> {
        unavailable()
    }
}

#[async_trait]
impl Subject for Nowhere {
    fn provider(&self) -> Arc<dyn SessionProvider> {
        Arc::new(Self)
    }

    fn unused_key(&self) -> SessionKey {
        unused_key("conformance:")
    }

    async fn put_foreign(&self, _: &SessionKey, _: Foreign) -> Result<(), NotPossible> {
        Ok(())
    }

    async fn foreign_is_intact(&self, _: &SessionKey, _: Foreign) -> bool {
        true
    }

    async fn life(&self, _: &SessionKey) -> Result<Life, NotPossible> {
        Ok(Life::Nothing)
    }
}

#[tokio::test]
async fn no_case_passes_without_a_store() {
    let report = run_all(Nowhere).await;
    assert!(report.passed.is_empty() && report.not_possible.is_empty(), "{report}");
    assert_eq!(report.failed.len(), CASES.len());
    assert!(report.to_string().contains("failed: absent_key: the provider failed: Error { kind: Unavailable"));
}
