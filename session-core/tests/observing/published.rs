//! The metrics that `MetricsObserver` publishes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit, set_global_recorder,
    with_local_recorder,
};
use session_core::{ErrorKind, MetricsObserver, Observer, RequestContext, SessionManager, Traffic};
use session_serde::Json;

use crate::common::{Call, Path, Side, open, process};

/// Keeps everything, by name and labels.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

/// Adds up what it is told.
struct Sum(Arc<AtomicU64>);

impl HistogramFn for Sum {
    fn record(&self, value: f64) {
        self.0.fetch_add(value as u64, Ordering::SeqCst);
    }
}

impl Kept {
    fn entry(&self, key: &Key) -> Arc<AtomicU64> {
        let mut labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        labels.sort();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        self.0.lock().unwrap().entry(name).or_default().clone()
    }

    /// Everything on this connection, without it.
    fn of(&self, connection: &str) -> BTreeMap<String, u64> {
        let label = format!("connection={connection}");
        let all = self.0.lock().unwrap();
        let own = all.iter().filter(|(name, _)| name.contains(&label));
        own.map(|(name, value)| (name.replace(&label, "…"), value.load(Ordering::SeqCst))).collect()
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        assert!(name.as_str().ends_with("_total") && unit.is_some() && !text.is_empty());
        self.entry(&Key::from_name("described")).fetch_add(1, Ordering::SeqCst);
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        assert!(name.as_str().ends_with("_bytes") && unit == Some(Unit::Bytes) && !text.is_empty());
        self.entry(&Key::from_name("described")).fetch_add(1, Ordering::SeqCst);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.entry(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Sum(self.entry(key))))
    }
}

/// The recorder of this process.
fn kept() -> Kept {
    static KEPT: OnceLock<Kept> = OnceLock::new();
    let installed = KEPT.get_or_init(|| {
        let kept = Kept::default();
        assert!(set_global_recorder(kept.clone()).is_ok(), "there is one already");
        kept
    });
    installed.clone()
}

#[tokio::test]
async fn counters_and_sizes_per_connection() {
    let kept = kept();
    let path = Path::new();
    let here = SessionManager::builder(Path::new(), Json)
        .connection("measured", path.clone())
        .connection_callback(|_, _| Ok("measured".into()))
        .keep_for(Duration::ZERO)
        .observer(Arc::new(MetricsObserver::new()))
        .build()
        .unwrap();
    let session = here.open(&RequestContext::default(), None).await.unwrap();
    session.insert("theme", "light").unwrap();
    session.increment("visits", 1).unwrap();
    session.commit().await.unwrap();
    let id = session.id().unwrap();
    let there = open(&process(&path.memory).0, &id).await;
    there.insert("theme", "dark").unwrap();
    there.commit().await.unwrap();
    session.update("theme", |theme: &mut String| theme.push('!')).unwrap();
    session.remove("visits").unwrap();
    session.commit().await.unwrap();
    session.get::<u8>("theme").unwrap_err();
    session.insert("@", "").unwrap_err();
    path.fail(Call::Retire, Side::Before, ErrorKind::Unavailable);
    session.rotate_id().unwrap();
    session.commit().await.unwrap_err();
    path.heal();
    session.commit().await.unwrap();
    session.destroy().unwrap();
    session.close().await.result.unwrap();
    here.shutdown().await;
    let expected = [
        ("session_attribute_bytes_written_total{…}", 8 + 7),
        ("session_attributes_removed_total{…}", 1),
        ("session_attributes_written_total{…}", 3),
        ("session_bytes_received_total{…}", 0),
        ("session_bytes_sent_total{…}", 0),
        ("session_commands_sent_total{…}", 0),
        ("session_conflicts_total{…}", 1),
        ("session_created_total{…}", 1),
        ("session_destroyed_total{…}", 1),
        ("session_errors_total{…,kind=Corrupt,source=serializer}", 1),
        ("session_errors_total{…,kind=InvalidName,source=accessor}", 1),
        ("session_errors_total{…,kind=Unavailable,source=provider}", 1),
        ("session_replies_received_total{…}", 0),
        ("session_rotated_total{…}", 1),
        ("session_size_bytes{at=commit,…}", 19 + 12 + 12),
        ("session_size_bytes{at=load,…}", 12),
    ];
    assert_eq!(kept.of("measured"), expected.map(|(name, value)| (name.to_owned(), value)).into());
    let all = format!("{:?}", kept.0.lock().unwrap());
    assert!(!all.contains(&id.expose()) && !all.contains(&id.fingerprint().to_string()), "{all}");
}

#[test]
fn figures_and_what_was_missed() {
    let kept = kept();
    let observer = MetricsObserver::new();
    let traffic = Traffic { commands_sent: 4, replies_received: 3, bytes_sent: 200, bytes_received: 100 };
    for _ in 0..2 {
        observer.traffic("figures", &traffic, Duration::from_secs(30));
    }
    let expected = [
        ("session_bytes_received_total{…}", 200),
        ("session_bytes_sent_total{…}", 400),
        ("session_commands_sent_total{…}", 8),
        ("session_replies_received_total{…}", 6),
    ];
    assert_eq!(kept.of("figures"), expected.map(|(name, value)| (name.to_owned(), value)).into());
    observer.missed(7);
    assert_eq!(kept.0.lock().unwrap()["session_events_missed_total{}"].load(Ordering::SeqCst), 7);
}

#[test]
fn described_however_it_is_made() {
    for make in [MetricsObserver::new, MetricsObserver::default] {
        let kept = Kept::default();
        with_local_recorder(&kept, make);
        assert_eq!(kept.entry(&Key::from_name("described")).load(Ordering::SeqCst), 14);
    }
}
