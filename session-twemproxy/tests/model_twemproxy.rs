//! Random requests through a real nutcracker before three redis-servers, compared with a model.

use secret_watch as _;

mod common;

use common::served;
use session_core::conformance::sessions;
use session_serde::Json;

#[tokio::test]
async fn requests_one_after_the_other_are_answered_exactly() {
    sessions::exactly(&served(), &Json, 120).await;
}

#[tokio::test]
async fn requests_under_faults_keep_every_promise() {
    sessions::under_faults(&served(), &Json, 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_on_several_threads_lose_nothing() {
    sessions::at_once(&served(), &Json, 5).await;
}
