//! Kept copies of a hundred thousand sessions stay within their bound of memory.

use secret_watch as _;

use std::sync::Arc;

use session_core::{MemoryProvider, RequestContext, SessionManager, SessionProvider};
use session_serde::Json;

const SESSIONS: usize = 100_000;

const BOUND: usize = 16 << 20;

#[tokio::test]
async fn a_hundred_thousand_sessions_are_kept_within_the_bound() {
    let store: Arc<dyn SessionProvider> = Arc::new(MemoryProvider::new());
    // Another process made them, and this one has no copy of any yet.
    let maker = SessionManager::builder(Arc::clone(&store), Json).keep_bytes(0).build().unwrap();
    let mut ids = Vec::with_capacity(SESSIONS);
    for number in 0..SESSIONS {
        let session = maker.open(&RequestContext::default(), None).await.unwrap();
        session.insert("number", &number).unwrap();
        session.insert("text", &"x".repeat(200)).unwrap();
        session.close().await.result.unwrap();
        ids.push(session.id().unwrap());
    }
    assert_eq!(maker.live_sessions(), 0);

    let manager = SessionManager::builder(store, Json).keep_bytes(BOUND).build().unwrap();
    let resident_before = resident();
    let mut most = 0;
    for (number, id) in ids.iter().enumerate() {
        let session = manager.open(&RequestContext::default(), Some(id)).await.unwrap();
        assert_eq!(session.get("number").unwrap(), Some(number));
        assert_eq!(session.get::<String>("text").unwrap().map(|text| text.len()), Some(200));
        drop(session);
        most = most.max(manager.kept_bytes());
        assert!(most <= BOUND, "{most} bytes are kept after session {number}");
    }
    let kept = manager.live_sessions();
    println!("{kept} of {SESSIONS} sessions kept, at most {most} bytes");
    assert!(kept < SESSIONS / 2, "the bound had nothing to do");
    assert!(most > BOUND / 2, "the bound is used");
    if let (Some(before), Some(after)) = (resident_before, resident()) {
        // What is counted is an estimate: the allocator rounds up, the table's own places are not in it, and what it
        // frees is not given back at once. Without the bound it would be some 190 MB.
        let growth = after.saturating_sub(before);
        println!("the process grew by {growth} bytes");
        assert!(growth <= 2 * BOUND, "the process grew by {growth} bytes");
    }
}

/// The memory that the process occupies, where the system tells it.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}
