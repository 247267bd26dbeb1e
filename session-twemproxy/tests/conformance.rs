//! A real nutcracker before three redis-servers keeps every promise of a provider.

use secret_watch as _;

mod common;

use common::Twemproxy;

async fn twemproxy() -> Twemproxy {
    Twemproxy::start()
}

session_core::conformance_tests!(twemproxy);
