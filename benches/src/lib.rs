//! What is measured, and how the figures are kept.

pub mod bare;
pub mod values;

use std::path::PathBuf;

/// Where criterion keeps its figures, and the other measurements put theirs beside.
pub fn figures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    // An absolute folder replaces the root.
    root().join(target).join("criterion")
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
