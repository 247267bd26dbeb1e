#![no_main]

use libfuzzer_sys::fuzz_target;
use session_serde::{Codec, Json};

// The first byte tells who wrote it.
fuzz_target!(|bytes: &[u8]| session_fuzz::decode(Codec::from(Json), bytes));
