//! Waits for servers to agree.

use std::io::{Error, Result};
use std::thread;
use std::time::{Duration, Instant};

/// Asks again until it holds; an error after 20 seconds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        if Instant::now() > deadline {
            return Err(Error::other(format!("not within 20 seconds: {what}")));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
