//! What is given to `log`, which is how some of the crates below ours do it.

use log::{LevelFilter, Log, Metadata, Record};

use crate::others::is_of_others;
use crate::search::search;

struct Searching;

/// # Panics
///
/// If there is another logger.
pub(crate) fn install() {
    log::set_logger(&Searching).expect("nothing runs earlier");
    log::set_max_level(LevelFilter::Trace);
}

impl Log for Searching {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !is_of_others(metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = format!("{} {} {}", record.level(), record.target(), record.args());
        let (file, line) = (record.file().unwrap_or("unknown file"), record.line().unwrap_or(0));
        search(&text, format_args!("{file}:{line}"));
    }

    fn flush(&self) {}
}
