//! What is given to `tracing`.

use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Dispatch, Event, LevelFilter, Metadata, Subscriber, dispatcher};

use crate::others::is_of_others;
use crate::search::search;

/// Takes everything, of all levels, and keeps nothing of it.
struct Searching {
    spans: AtomicU64,
}

/// # Panics
///
/// If there is another subscriber for the whole program.
pub(crate) fn install() {
    let searching = Searching { spans: AtomicU64::new(0) };
    dispatcher::set_global_default(Dispatch::new(searching)).expect("nothing runs earlier");
}

impl Subscriber for Searching {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !is_of_others(metadata.target())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        search_fields(span.metadata(), |fields| span.record(fields));
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        // Of which span does not matter.
        Fields::with(|fields| {
            values.record(fields);
            search(&fields.0, format_args!("a field that was recorded later"));
        });
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        search_fields(event.metadata(), |fields| event.record(fields));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn search_fields(metadata: &Metadata<'_>, visit: impl FnOnce(&mut Fields)) {
    Fields::with(|fields| {
        let _ = write!(fields.0, "{} {} {}", metadata.level(), metadata.target(), metadata.name());
        visit(fields);
        let (file, line) = (metadata.file().unwrap_or("unknown file"), metadata.line().unwrap_or(0));
        search(&fields.0, format_args!("{file}:{line}"));
    });
}

/// The text of one record.
struct Fields(String);

impl Fields {
    /// Uses the same memory again and again: there are millions of records.
    fn with(work: impl FnOnce(&mut Self)) {
        thread_local! {
            static MEMORY: Cell<String> = const { Cell::new(String::new()) };
        }
        // A value's `Debug` may log, too, and then finds an empty string here; as does who logs when a thread ends.
        let mut fields = Self(MEMORY.try_with(Cell::take).unwrap_or_default());
        work(&mut fields);
        fields.0.clear();
        let _ = MEMORY.try_with(|memory| memory.set(fields.0));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }

    /// Every form that another subscriber could choose.
    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            let _ = write!(self.0, " {field}={error} {error:?}");
            next = error.source();
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // As it is: `Debug` would hide what it escapes.
        let _ = write!(self.0, " {field}={value}");
    }
}
