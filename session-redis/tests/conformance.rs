//! A real redis-server keeps every promise of a provider.

use secret_watch as _;

mod common;

use common::Served;

async fn redis() -> Served {
    common::served()
}

session_core::conformance_tests!(redis);
