//! An observer that remembers what it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_core::{AttributeName, Error, ErrorSource, Fingerprint, Observer, SizeAt, Subject, Traffic};

/// What an observer does beside remembering.
type Then = Box<dyn Fn(&str) + Send + Sync>;

/// Remembers what it is told as text, and whom it was about.
#[derive(Default)]
pub(crate) struct Told {
    texts: Mutex<Vec<String>>,
    subjects: Mutex<Vec<Subject>>,
    /// Is called with each text, and may panic or block.
    then: Option<Then>,
}

impl Told {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// One that does this each time it was told something.
    pub(crate) fn then(then: impl Fn(&str) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { then: Some(Box::new(then)), ..Self::default() })
    }

    /// What was told since this was last asked, sizes and figures left out.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut texts = self.take_all();
        texts.retain(|text| !text.starts_with("size") && !text.starts_with("traffic"));
        texts
    }

    pub(crate) fn take_all(&self) -> Vec<String> {
        std::mem::take(&mut self.texts.lock().unwrap())
    }

    /// How much it was told.
    pub(crate) fn len(&self) -> usize {
        self.texts.lock().unwrap().len()
    }

    /// Whom it was about.
    pub(crate) fn take_subjects(&self) -> Vec<Subject> {
        std::mem::take(&mut self.subjects.lock().unwrap())
    }

    fn tell(&self, subject: Option<&Subject>, text: String) {
        self.subjects.lock().unwrap().extend(subject.cloned());
        self.texts.lock().unwrap().push(text.clone());
        if let Some(then) = &self.then {
            then(&text);
        }
    }
}

impl Observer for Told {
    fn error(&self, subject: &Subject, source: ErrorSource, error: &Error) {
        self.tell(Some(subject), format!("error {source:?} {:?}: {error}", error.kind()));
    }

    fn attributes_written(&self, subject: &Subject, attributes: &[(AttributeName, usize)]) {
        let mut names: Vec<_> = attributes.iter().map(|(name, size)| format!("{name}/{size}")).collect();
        names.sort();
        self.tell(Some(subject), format!("written {}", names.join(" ")));
    }

    fn attributes_removed(&self, subject: &Subject, attributes: &[AttributeName]) {
        let mut names: Vec<_> = attributes.iter().map(AttributeName::as_str).collect();
        names.sort_unstable();
        self.tell(Some(subject), format!("removed {}", names.join(" ")));
    }

    fn size(&self, subject: &Subject, at: SizeAt, bytes: usize) {
        self.tell(Some(subject), format!("size {at:?} {bytes}"));
    }

    fn created(&self, subject: &Subject) {
        self.tell(Some(subject), "created".to_owned());
    }

    fn rotated(&self, subject: &Subject, from: Fingerprint) {
        self.tell(Some(subject), format!("rotated from {from}"));
    }

    fn destroyed(&self, subject: &Subject) {
        self.tell(Some(subject), "destroyed".to_owned());
    }

    fn conflict(&self, subject: &Subject, attributes: &[AttributeName]) {
        let names: Vec<_> = attributes.iter().map(AttributeName::as_str).collect();
        self.tell(Some(subject), format!("conflict {}", names.join(" ")));
    }

    fn missed(&self, events: u64) {
        self.tell(None, format!("missed {events}"));
    }

    fn traffic(&self, connection: &str, traffic: &Traffic, over: Duration) {
        let Traffic { commands_sent, replies_received, bytes_sent, bytes_received } = traffic;
        let counts = [commands_sent, replies_received, bytes_sent, bytes_received].map(u64::to_string).join(" ");
        self.tell(None, format!("traffic {connection} {counts} over {} ms", over.as_millis()));
    }
}
