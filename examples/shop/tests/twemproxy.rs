//! The shop's sessions behind a real TwemProxy.

use secret_watch as _;

mod common;
mod flow;

flow_tests!(flow::Store::twemproxy);
