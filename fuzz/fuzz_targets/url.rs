#![no_main]

use libfuzzer_sys::fuzz_target;

// A URL or a connection string; a `$` is a secret.
fuzz_target!(|bytes: &[u8]| session_fuzz::url(bytes));
