//! How long the serializers take for values as people keep them.

use std::hint::black_box;
use std::time::Duration;

use benches::values::{self, ForEach, Sample, decode_all, decode_two, encoded};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use serde_json::json;
use session_core::SessionSerializer;
use session_serde::{Json, MessagePack, Postcard};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(1_500))
        .without_plots()
        .configure_from_args();
    for operation in [Operation::EncodeReused, Operation::EncodeFresh, Operation::Decode, Operation::DecodeBorrowed] {
        let mut group = criterion.benchmark_group(operation.name());
        each(&mut group, operation, Json);
        each(&mut group, operation, MessagePack);
        each(&mut group, operation, Postcard);
        group.finish();
    }
    let mut group = criterion.benchmark_group("session of twenty");
    session(&mut group, Json);
    session(&mut group, MessagePack);
    session(&mut group, Postcard);
    group.finish();
    criterion.final_summary();
    sizes();
}

#[derive(Clone, Copy)]
enum Operation {
    EncodeReused,
    EncodeFresh,
    Decode,
    DecodeBorrowed,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::EncodeReused => "encode into a reused buffer",
            Self::EncodeFresh => "encode fresh",
            Self::Decode => "decode",
            Self::DecodeBorrowed => "decode borrowed",
        }
    }
}

struct Bench<'g, 'c, S> {
    group: &'g mut BenchmarkGroup<'c, WallTime>,
    operation: Operation,
    codec: S,
}

fn each<S: SessionSerializer>(group: &mut BenchmarkGroup<'_, WallTime>, operation: Operation, codec: S) {
    values::for_each(&mut Bench { group, operation, codec });
}

impl<S: SessionSerializer> ForEach for Bench<'_, '_, S> {
    fn value<T: Sample>(&mut self, name: &'static str, value: &T) {
        let codec = &self.codec;
        let bytes = encoded(codec, value);
        // What does not come back is not worth measuring.
        assert_eq!(&codec.decode::<T>(&bytes).expect("it can be decoded"), value);
        assert!(codec.decode::<T::Borrowed<'_>>(&bytes).is_ok());
        let id = BenchmarkId::new(codec.name(), name);
        self.group.bench_function(id, |bencher| match self.operation {
            Operation::EncodeReused => {
                let mut buffer = Vec::new();
                bencher.iter(|| {
                    buffer.clear();
                    codec.encode(black_box(value), &mut buffer).is_ok() && !black_box(&buffer).is_empty()
                });
            }
            Operation::EncodeFresh => bencher.iter(|| encoded(codec, black_box(value))),
            Operation::Decode => bencher.iter(|| codec.decode::<T>(black_box(&bytes)).is_ok()),
            Operation::DecodeBorrowed => bencher.iter(|| codec.decode::<T::Borrowed<'_>>(black_box(&bytes)).is_ok()),
        });
    }
}

fn session<S: SessionSerializer>(group: &mut BenchmarkGroup<'_, WallTime>, codec: S) {
    let attributes = values::session(&codec);
    assert_eq!(attributes.len(), 20);
    assert_eq!(decode_all(&codec, &attributes), decode_all(&Json, &values::session(&Json)));
    group.bench_function(BenchmarkId::new(codec.name(), "all, eagerly"), |bencher| {
        bencher.iter(|| decode_all(&codec, black_box(&attributes)));
    });
    group.bench_function(BenchmarkId::new(codec.name(), "two, lazily"), |bencher| {
        bencher.iter(|| decode_two(&codec, black_box(&attributes)));
    });
}

/// Writes how large everything is, beside criterion's own figures.
fn sizes() {
    #[derive(Default)]
    struct Sizes(serde_json::Map<String, serde_json::Value>);
    impl ForEach for Sizes {
        fn value<T: Sample>(&mut self, name: &'static str, value: &T) {
            let sizes = json!({
                Json.name(): encoded(&Json, value).len(),
                MessagePack.name(): encoded(&MessagePack, value).len(),
                Postcard.name(): encoded(&Postcard, value).len(),
            });
            self.0.insert(name.to_owned(), sizes);
        }
    }
    fn whole<S: SessionSerializer>(codec: &S) -> usize {
        values::session(codec).iter().map(|(name, bytes)| name.len() + bytes.len()).sum()
    }
    let mut sizes = Sizes::default();
    values::for_each(&mut sizes);
    let session = json!({
        Json.name(): whole(&Json), MessagePack.name(): whole(&MessagePack), Postcard.name(): whole(&Postcard),
    });
    sizes.0.insert("session of twenty".to_owned(), session);
    let text = serde_json::to_string_pretty(&sizes.0).expect("it is JSON");
    std::fs::create_dir_all(benches::figures()).expect("a folder for figures");
    std::fs::write(benches::figures().join("sizes.json"), text).expect("the sizes are written");
}
