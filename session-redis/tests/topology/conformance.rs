//! The topologies keep every promise of a provider.

use session_core::conformance::run_all;
use test_support::{Cluster, Sentinels};

use super::common::Served;
use super::{cluster, sentinel};

async fn passes(served: Served) {
    let report = run_all(served).await;
    assert!(report.failed.is_empty() && report.not_possible.is_empty(), "{report}");
    assert!(!report.passed.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_every_promise() {
    let servers = Cluster::spawn().unwrap();
    passes(Served::new(cluster::provider(&servers), move |arguments| servers.cli(arguments))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_behind_sentinels_keeps_every_promise() {
    let servers = Sentinels::spawn().unwrap();
    passes(Served::new(sentinel::provider(&servers), move |arguments| servers.cli(0, arguments))).await;
}
