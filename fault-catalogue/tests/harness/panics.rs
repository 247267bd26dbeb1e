//! That no fault makes the libraries panic.

use std::panic;
use std::sync::{Mutex, Once, PoisonError};

/// What a test's own panics say.
pub const ON_PURPOSE: &str = "on purpose";

static OURS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes panics of the libraries from now on; also those that somebody catches, or that end a task unseen.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            if place.starts_with("session-") {
                OURS.lock().unwrap_or_else(PoisonError::into_inner).push(place);
            }
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
            if text != Some(ON_PURPOSE) {
                before(info);
            }
        }));
    });
}

/// Fails if any library has panicked in this process since the first application was made.
pub fn assert_none_of_ours() {
    let ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(ours.is_empty(), "panicked at {ours:?}");
}
