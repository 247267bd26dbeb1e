//! How many instructions our serializers take, and the bare libraries with a reused buffer; counted by callgrind.
//!
//! Instructions do not depend on what else the machine does. This program runs itself under valgrind, which writes the
//! count of each part when the part is left.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};

use benches::bare::{self, Bare};
use benches::values::{self, ForEach, Sample, encoded};
use serde_json::{Map, json};
use session_core::SessionSerializer;
use session_serde::{Json, MessagePack, Postcard};

/// How often everything is done in a part.
const TIMES: u64 = 100;

const UNDER_VALGRIND: &str = "SESSION_BENCH_COUNTED";

fn main() -> Result<(), Box<dyn Error>> {
    let mut parts = Parts::default();
    if std::env::var_os(UNDER_VALGRIND).is_some() {
        parts.run = true;
        all(&mut parts);
        return Ok(());
    }
    all(&mut parts);
    // Without valgrind there are no counts, rather than those of another day.
    let _ = fs::remove_file(benches::figures().join("instructions.json"));
    let folder = benches::figures().join("callgrind");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--collect-atstart=no"])
        .args(["--toggle-collect=instructions::counted_part", "--dump-after=instructions::counted_part"])
        .arg(format!("--callgrind-out-file={}", folder.join("part").display()))
        .arg(std::env::current_exe()?)
        .env(UNDER_VALGRIND, "1")
        .stdout(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("valgrind failed ({status})").into()),
        Err(error) => return Err(format!("instructions are counted by valgrind, which cannot be run: {error}").into()),
    }
    let mut figures = Map::new();
    for (index, part) in parts.names.iter().enumerate() {
        let counted = counted(&folder.join(format!("part.{}", index + 1)))? / TIMES;
        let of_value = figures.entry(part.value).or_insert_with(|| json!({}));
        of_value[part.operation][part.codec][part.who] = json!(counted);
    }
    fs::write(benches::figures().join("instructions.json"), serde_json::to_string_pretty(&figures)?)?;
    println!("{} counts of instructions", parts.names.len());
    Ok(())
}

/// The count in one of callgrind's files.
fn counted(file: &Path) -> Result<u64, Box<dyn Error>> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    Ok(line.ok_or_else(|| format!("{} has no total", file.display()))?.trim().parse()?)
}

/// The parts in the order in which they are counted.
#[derive(Default)]
struct Parts {
    names: Vec<Part>,
    run: bool,
}

struct Part {
    value: &'static str,
    operation: &'static str,
    codec: &'static str,
    who: &'static str,
}

impl Parts {
    fn part(&mut self, part: Part, mut work: impl FnMut()) {
        self.names.push(part);
        if self.run {
            // Buffers grow, caches fill.
            work();
            counted_part(&mut work);
        }
    }
}

/// Callgrind knows it by its name.
#[inline(never)]
fn counted_part(work: &mut dyn FnMut()) {
    for _ in 0..TIMES {
        work();
    }
}

fn all(parts: &mut Parts) {
    each::<_, bare::Json>(parts, Json);
    each::<_, bare::MessagePack>(parts, MessagePack);
    each::<_, bare::Postcard>(parts, Postcard);
}

fn each<S: SessionSerializer, B: Bare>(parts: &mut Parts, codec: S) {
    struct Both<'p, S, B>(&'p mut Parts, S, std::marker::PhantomData<B>);
    impl<S: SessionSerializer, B: Bare> ForEach for Both<'_, S, B> {
        fn value<T: Sample>(&mut self, name: &'static str, value: &T) {
            let Self(parts, codec, _) = self;
            let part = |operation, who| Part { value: name, operation, codec: B::NAME, who };
            let mut buffer = Vec::new();
            parts.part(part("encode", "ours"), || {
                buffer.clear();
                let done = codec.encode(black_box(value), &mut buffer);
                assert!(done.is_ok() && !black_box(&buffer).is_empty());
            });
            parts.part(part("encode", "bare"), || {
                B::encode(black_box(value), &mut buffer);
                assert!(!black_box(&buffer).is_empty());
            });
            B::encode(value, &mut buffer);
            assert_eq!(&B::decode::<T>(&buffer), value);
            let bytes = encoded(codec, value);
            assert_eq!(&codec.decode::<T>(&bytes).expect("it can be decoded"), value);
            parts.part(part("decode", "ours"), || {
                black_box(codec.decode::<T>(black_box(&bytes)).is_ok());
            });
            let bytes = buffer.clone();
            parts.part(part("decode", "bare"), || {
                black_box(B::decode::<T>(black_box(&bytes)));
            });
        }
    }
    values::for_each(&mut Both::<S, B>(parts, codec, std::marker::PhantomData));
}
