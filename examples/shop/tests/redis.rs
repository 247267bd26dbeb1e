//! The shop's sessions in a real Redis.

use secret_watch as _;

mod common;
mod flow;

flow_tests!(flow::Store::redis);
