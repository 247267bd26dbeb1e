//! Random requests on the embedded store, compared with a model.

use secret_watch as _;

#[path = "common/memory.rs"]
mod memory;

use memory::Memory;
use session_core::conformance::sessions;
use session_serde::Json;

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
