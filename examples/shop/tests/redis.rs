//! The shop's sessions in a real Redis.

mod common;
mod flow;

flow_tests!(flow::Store::redis);
