//! What other programs print.

use std::io::{BufRead as _, BufReader, Read};
use std::thread;

use crate::search::search;

/// Searches what a program prints, on a thread of its own, until it closes the stream. `show` gets every line, and may
/// pass on those that are worth it.
pub fn search_output(what: &'static str, stream: impl Read + Send + 'static, show: impl Fn(&str) + Send + 'static) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line);
            search(&line, format_args!("{what}"));
            show(&line);
        }
    });
}
