#![no_main]

use libfuzzer_sys::fuzz_target;

// As a file, and as variables; a `$` is a secret.
fuzz_target!(|bytes: &[u8]| session_fuzz::settings(bytes));
