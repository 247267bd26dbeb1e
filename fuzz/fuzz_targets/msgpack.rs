#![no_main]

use libfuzzer_sys::fuzz_target;
use session_serde::MessagePack;

fuzz_target!(|bytes: &[u8]| session_fuzz::decode_tagged(MessagePack, MessagePack::TAG, bytes));
