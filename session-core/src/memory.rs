//! The embedded store.
use crate::*;
use async_trait::async_trait;

/// Keeps sessions in this process's memory.
#[derive(Debug, Default)]
pub struct MemoryProvider {}

impl MemoryProvider {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl SessionProvider for MemoryProvider {
    fn capabilities(&self) -> Capabilities {
        Capabilities::unlimited()
    }
    async fn load(&self, _: &SessionKey, _: WriterId) -> Result<Loaded> {
        unimplemented!()
    }
    async fn check(&self, _: &SessionKey) -> Result<Checked> {
        unimplemented!()
    }
    async fn commit(&self, _: &SessionKey, _: &Commit) -> Result<Committed> {
        unimplemented!()
    }
    async fn renew(&self, _: &SessionKey, _: &Renewal) -> Result<Renewed> {
        unimplemented!()
    }
    async fn destroy(&self, _: &SessionKey, _: &Destruction) -> Result<Destroyed> {
        unimplemented!()
    }
    async fn retire(&self, _: &SessionKey, _: &Retirement) -> Result<Retired> {
        unimplemented!()
    }
}
