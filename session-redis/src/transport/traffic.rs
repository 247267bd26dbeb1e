//! Counts what goes over connections.

use std::sync::atomic::{AtomicU64, Ordering};

use session_core::Traffic;

/// What went over all connections that share it, those that were lost included.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commands_sent: AtomicU64,
    replies_received: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
}

impl Counters {
    pub(crate) fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            commands_sent: read(&self.commands_sent),
            replies_received: read(&self.replies_received),
            bytes_sent: read(&self.bytes_sent),
            bytes_received: read(&self.bytes_received),
        }
    }

    pub(super) fn commands_sent(&self, commands: usize) {
        add(&self.commands_sent, commands);
    }

    pub(super) fn replies_received(&self, replies: usize) {
        add(&self.replies_received, replies);
    }

    pub(super) fn bytes_sent(&self, bytes: usize) {
        add(&self.bytes_sent, bytes);
    }

    pub(super) fn bytes_received(&self, bytes: usize) {
        add(&self.bytes_received, bytes);
    }
}

fn add(counter: &AtomicU64, what: usize) {
    counter.fetch_add(what as u64, Ordering::Relaxed);
}
