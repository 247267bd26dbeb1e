//! The program in memory and with a real Redis, and its serializer on bytes of others.

use secret_watch as _;

use std::process::Command;

use own_serializer::Compressed;
use serde_json::{Value, json};
use session_core::SessionSerializer as _;
use test_support::RedisServer;

const OUTPUT: &str = "\
read: 830 bytes
theme: 6 bytes
as JSON, read would have 1678 bytes
";

fn run(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_own-serializer")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn in_memory() {
    assert_eq!(run(&[]), OUTPUT);
}

#[test]
fn in_redis() {
    let redis = RedisServer::spawn().unwrap();
    assert_eq!(run(&[&redis.url()]), OUTPUT);
    let key = redis.cli(&["KEYS", "*"]);
    assert_eq!(redis.cli(&["HGET", &key, "theme"]), r#""dark""#);
    assert!(redis.cli(&["--no-raw", "HGET", &key, "read"]).starts_with(r#""\x80"#));
}

#[test]
fn what_it_writes_it_reads() {
    for length in [0, 200, 254, 255, 10_000] {
        for value in [json!("x".repeat(length)), json!((0..length).collect::<Vec<_>>())] {
            let mut bytes = b"before".to_vec();
            Compressed.encode(&value, &mut bytes).unwrap();
            assert_eq!(Compressed.decode::<Value>(&bytes[6..]).unwrap(), value);
        }
    }
}

#[test]
fn bytes_of_others_are_errors() {
    let mut valid = Vec::new();
    Compressed.encode(&"x".repeat(1_000), &mut valid).unwrap();
    for cut in 0..valid.len() {
        assert!(Compressed.decode::<String>(&valid[..cut]).is_err(), "cut at {cut}");
    }
    for bytes in [&b""[..], b"\x80", b"\x80\xFF\xFF\xFF\xFF", b"\x80\x04\0\0\0\x40\"x\"", b"\x01\xA1x"] {
        assert!(Compressed.decode::<Option<String>>(bytes).is_err(), "{bytes:?}");
    }
    assert!(Compressed.decode::<u8>(&valid).is_err());
    // 4 GiB, and a byte more than there may be.
    for length in [u32::MAX, (16 << 20) + 1] {
        let bytes = [&[0x80][..], &length.to_le_bytes(), &[0; 100]].concat();
        assert_eq!(Compressed.decode::<String>(&bytes).unwrap_err().to_string(), "longer than 16 MiB");
    }
    let packed = [&[0x80][..], &lz4_flex::compress_prepend_size(br#""x" "y""#)].concat();
    assert_eq!(Compressed.decode::<String>(&packed).unwrap_err().to_string(), "something follows the JSON");
}
