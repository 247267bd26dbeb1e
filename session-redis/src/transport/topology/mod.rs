//! Which of several servers is asked: the master that sentinels name, or the node of a cluster that has the key's slot.
//! A single server needs nothing of this.

mod ask;
mod cluster;
mod map;
mod nodes;
mod redirection;
mod sentinel;
mod slots;

pub use cluster::{Cluster, ClusterCall};
pub use sentinel::Sentinel;
