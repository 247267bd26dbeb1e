//! Values as earlier versions wrote them. This version reads them all, and so must every later one.
//!
//! `tests/samples/<version>/<name>.<serializer>` holds the bytes. They are never changed, and a type in [`types`] that is
//! in them is never changed either: write another one. To add samples (for a new version, serializer or value), add the
//! value below and run
//!
//! ```sh
//! SESSION_WRITE_SAMPLES=1 cargo test --package session-serde --all-features --test codecs samples
//! ```
//!
//! It writes the files that are missing for this version, and only those.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Serialize;
use serde::de::DeserializeOwned;
use session_core::SessionSerializer;
use session_serde::{Codec, Value};

use crate::types;

/// Every value that is stored. A name stays with its value for ever.
fn for_each_sample(mut see: impl SeeSample) {
    see.sample("unit", &());
    see.sample("true", &true);
    see.sample("negative", &-4_711_i64);
    see.sample("float", &-0.1_f64);
    see.sample("text", &"Grüße, \"Ada\" 🦀\n".to_owned());
    see.sample("bytes", &serde_bytes::ByteBuf::from((0..=255).collect::<Vec<u8>>()));
    see.sample("none", &None::<u8>);
    see.sample("some", &Some(7_u8));
    see.sample("map", &BTreeMap::from([(1, "one".to_owned()), (300, "many".to_owned())]));
    see.sample("user", &types::user());
    see.sample("cart", &types::cart());
    see.sample("shapes", &types::shapes());
    see.sample("tree", &types::tree());
    see.sample("chain", &types::chain());
}

trait SeeSample {
    fn sample<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, value: &T);
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

fn versions() -> Vec<PathBuf> {
    let mut versions: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.sort();
    versions
}

/// Reads a sample of every version that has it.
struct Read {
    read: usize,
}

impl SeeSample for &mut Read {
    fn sample<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, value: &T) {
        for version in versions() {
            for codec in Codec::ALL {
                let file = version.join(format!("{name}.{}", codec.name()));
                let Ok(bytes) = fs::read(&file) else { continue };
                self.read += 1;
                for reader in Codec::ALL {
                    let read: T = reader.decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                    assert_eq!(&read, value, "{}", file.display());
                }
                if codec.is_self_describing() {
                    codec.decode::<Value>(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                }
            }
        }
    }
}

#[test]
fn every_value_has_a_sample_and_every_sample_is_read() {
    for_each_sample(Write);
    let mut read = Read { read: 0 };
    for_each_sample(&mut read);
    let files = versions().iter().map(|version| fs::read_dir(version).unwrap().count()).sum::<usize>();
    assert_eq!(read.read, files, "as many samples are read as there are files");
}

/// Has the files of every value in the folder of this version.
struct Write;

impl SeeSample for Write {
    fn sample<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, value: &T) {
        let folder = folder().join(env!("CARGO_PKG_VERSION"));
        for codec in Codec::ALL {
            let file = folder.join(format!("{name}.{}", codec.name()));
            let mut bytes = Vec::new();
            codec.encode(value, &mut bytes).unwrap();
            if !file.exists() {
                let wanted = env::var_os("SESSION_WRITE_SAMPLES").is_some();
                assert!(wanted, "{} is missing; see the beginning of samples.rs", file.display());
                fs::create_dir_all(&folder).unwrap();
                fs::write(&file, &bytes).unwrap();
            }
            // Equal values are written with equal bytes for as long as a version lives: otherwise what did not change
            // would be written again.
            assert!(fs::read(&file).unwrap() == bytes, "{} would be written with other bytes now", file.display());
        }
    }
}
