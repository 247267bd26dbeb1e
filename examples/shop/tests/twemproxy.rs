//! The shop's sessions behind a real TwemProxy.

mod common;
mod flow;

flow_tests!(flow::Store::twemproxy);
