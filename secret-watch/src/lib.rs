//! Searches all that a test program logs, at every level, for secrets, and ends the program at the first one.
//!
//! Every test program of the workspace has the line
//!
//! ```
//! use secret_watch as _;
//! ```
//!
//! which is all it takes: from before `main` on, whatever is given to `tracing` (events, and the fields of spans) or to
//! `log`, by our crates or by those they use, is formatted and searched for
//!
//! - the shape of a session id, as text and as a list of bytes; a key hashed from an id has that shape, too;
//! - the secrets that tests have named to [`watch`], in several encodings.
//!
//! What is shown elsewhere, for instance an error, tests hand to [`assert_clean`]; what was logged, they get from
//! [`record`].
//!
//! `cargo xtask test` sees to it that no test program is without that line, and sums up what was searched.

mod encodings;
mod log_records;
mod others;
mod output;
mod recording;
mod report;
mod search;
mod subscriber;

pub use output::search_output;
pub use recording::{Recording, record};
pub use report::REPORTS;
pub use search::{assert_clean, watch};

// Before `main`, since in a program of tests nothing else runs before the first of them.
ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn install() {
        subscriber::install();
        log_records::install();
    }
}

dtor::declarative::dtor! {
    #[dtor(unsafe)]
    fn at_exit() {
        report::write();
    }
}
