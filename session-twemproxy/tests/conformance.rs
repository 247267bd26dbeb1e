//! A real nutcracker before three redis-servers keeps every promise of a provider.

use secret_watch as _;

mod common;

use common::Served;

async fn twemproxy() -> Served {
    common::served()
}

session_core::conformance_tests!(twemproxy);
