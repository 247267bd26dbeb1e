//! Keeps what is logged, for tests that ask what it was.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

static RECORDINGS: Mutex<Vec<Arc<Mutex<String>>>> = Mutex::new(Vec::new());

/// How many recordings there are: most programs have none, and should not wait for a lock to learn that.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// All that the whole program logs while this exists.
pub struct Recording(Arc<Mutex<String>>);

/// Starts to keep what is logged, on every thread.
pub fn record() -> Recording {
    let text = Arc::<Mutex<String>>::default();
    RECORDINGS.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&text));
    COUNT.fetch_add(1, Ordering::SeqCst);
    Recording(text)
}

impl Recording {
    /// What was logged so far, a line for each record.
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recording({} bytes)", self.text().len())
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::SeqCst);
        RECORDINGS.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, &self.0));
    }
}

pub(crate) fn note(line: &str) {
    if COUNT.load(Ordering::SeqCst) == 0 {
        return;
    }
    for text in &*RECORDINGS.lock().unwrap_or_else(PoisonError::into_inner) {
        let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        text.push('\n');
    }
}
