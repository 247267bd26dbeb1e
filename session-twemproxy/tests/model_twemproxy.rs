//! Random requests through a real nutcracker before three redis-servers, compared with a model.

use secret_watch as _;

mod common;

use common::Twemproxy;
use session_core::conformance::sessions;
use session_serde::Json;

#[tokio::test]
async fn requests_one_after_the_other_are_answered_exactly() {
    sessions::exactly(&Twemproxy::start(), &Json, 120).await;
}

#[tokio::test]
async fn requests_under_faults_keep_every_promise() {
    sessions::under_faults(&Twemproxy::start(), &Json, 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_on_several_threads_lose_nothing() {
    sessions::at_once(&Twemproxy::start(), &Json, 5).await;
}
