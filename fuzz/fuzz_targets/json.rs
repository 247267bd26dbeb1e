#![no_main]

use libfuzzer_sys::fuzz_target;
use session_serde::Json;

// A space belongs to JSON.
fuzz_target!(|bytes: &[u8]| session_fuzz::decode_tagged(Json, b' ', bytes));
