//! What the cases are written with: a session under test, its batches, and what is expected of the answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Subject;
use crate::error::{ErrorKind, Result};
use crate::id::{Fingerprint, Generation, SessionId, WriterId};
use crate::key::SessionKey;
use crate::name::AttributeName;
use crate::provider::{
    Action, Change, Checked, Commit, Committed, Creation, Deadline, Destroyed, Destruction, Loaded, Renewal, Renewed,
    Retired, Retirement, SessionProvider, StoredSession,
};

/// How long sessions live unless a case says otherwise: longer than any case takes.
pub(super) const LIFE: Duration = Duration::from_secs(600);

/// By how much the clocks of the store and of the suite may differ within one case.
pub(super) const SLACK: Duration = Duration::from_millis(100);

pub(super) type Attributes = BTreeMap<String, Bytes>;

/// One life of a session, and one writer of it.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) store: Arc<dyn SessionProvider>,
    pub(super) key: SessionKey,
    pub(super) generation: Generation,
    pub(super) fingerprint: Fingerprint,
    pub(super) writer: WriterId,
    pub(super) sequence: u64,
}

impl Scene {
    /// A key that holds nothing.
    pub(super) fn unused(subject: &dyn Subject) -> Self {
        Self::at(subject, subject.unused_key())
    }

    pub(super) fn at(subject: &dyn Subject, key: SessionKey) -> Self {
        Self {
            store: subject.provider(),
            key,
            generation: generation(),
            fingerprint: SessionId::generate().expect("randomness").fingerprint(),
            writer: writer(),
            sequence: 0,
        }
    }

    /// A session that was just created with these attributes.
    pub(super) async fn created(subject: &dyn Subject, attributes: &[(&str, &str)]) -> Self {
        let mut scene = Self::unused(subject);
        let creation = scene.creation();
        let creation = attributes.iter().fold(creation, |batch, (name, value)| batch.set(name, value.to_string()));
        let done = done(scene.commit(&creation).await);
        assert_eq!(done.found, 0, "version found by a creation");
        scene
    }

    /// The same session, written to by another process.
    pub(super) fn another_writer(&self) -> Self {
        Self { writer: writer(), sequence: 0, ..self.clone() }
    }

    /// The same key, meant for another session.
    pub(super) fn another_life(&self) -> Self {
        Self { generation: generation(), ..self.another_writer() }
    }

    /// An empty batch that creates the session.
    pub(super) fn creation(&mut self) -> Commit {
        let creation = Creation { fingerprint: self.fingerprint, created: None, deadline: Deadline::Never };
        Commit { creation: Some(creation), ..self.batch() }
    }

    /// An empty batch with the writer's next number.
    pub(super) fn batch(&mut self) -> Commit {
        self.sequence += 1;
        Commit {
            generation: self.generation,
            writer: self.writer,
            sequence: self.sequence,
            repeated: false,
            creation: None,
            changes: Vec::new(),
            idle_timeout: None,
            time_to_live: LIFE,
        }
    }

    pub(super) async fn commit(&self, commit: &Commit) -> Committed {
        answer(self.store.commit(&self.key, commit).await)
    }

    pub(super) async fn load(&self) -> Loaded {
        answer(self.store.load(&self.key, self.writer).await)
    }

    pub(super) async fn check(&self) -> Checked {
        answer(self.store.check(&self.key).await)
    }

    pub(super) async fn renew(&self, time_to_live: Duration) -> Renewed {
        let renewal = Renewal { generation: self.generation, time_to_live };
        answer(self.store.renew(&self.key, &renewal).await)
    }

    pub(super) async fn destroy(&self) -> Destroyed {
        let destruction = Destruction { generation: self.generation, leave_tombstone: false };
        answer(self.store.destroy(&self.key, &destruction).await)
    }

    pub(super) async fn destroy_leaving_a_tombstone(&self) -> Destroyed {
        let destruction = Destruction { generation: self.generation, leave_tombstone: true };
        answer(self.store.destroy(&self.key, &destruction).await)
    }

    pub(super) async fn retire(&self, version: u64, successor: Generation) -> Retired {
        let retirement = Retirement { generation: self.generation, version, successor };
        answer(self.store.retire(&self.key, &retirement).await)
    }

    /// The session, which must be there.
    pub(super) async fn session(&self) -> StoredSession {
        match self.load().await {
            Loaded::Session(session) => session,
            other => panic!("expected a session, found {other:?}"),
        }
    }

    pub(super) async fn attributes(&self) -> Attributes {
        attributes(&self.session().await)
    }

    pub(super) async fn version(&self) -> u64 {
        self.session().await.header.version
    }

    /// Nothing is to be read at this key.
    pub(super) async fn assert_absent(&self) {
        assert_eq!(self.load().await, Loaded::Absent);
        assert_eq!(self.check().await, Checked::Missing);
    }

    /// A tombstone is to be read at this key.
    pub(super) async fn assert_tombstone(&self) {
        assert_eq!(self.load().await, Loaded::Tombstone);
        assert_eq!(self.check().await, Checked::Missing);
    }

    /// Whatever a writer can try on a session that has ended is answered so, and brings nothing back. `ended` is how
    /// the key must read, before and after each try.
    pub(super) async fn assert_stays_dead(&mut self, ended: &Loaded) {
        assert_eq!(self.load().await, *ended);
        let tries = [
            self.batch(),
            self.batch().set("a", "set"),
            self.batch().remove("a"),
            self.batch().increment("n", 1),
            self.batch().replace("a", None, Some("replaced")),
            Commit { idle_timeout: Some(Some(LIFE)), ..self.batch() },
            Commit { repeated: true, ..self.batch() },
        ];
        for commit in &tries {
            assert_eq!(self.commit(commit).await, Committed::Gone, "{:?}", commit.changes);
            assert_eq!(self.load().await, *ended, "after {:?}", commit.changes);
        }
        assert_eq!(self.renew(LIFE).await, Renewed::Gone);
        assert_eq!(self.load().await, *ended, "after a renewal");
        for version in 0..3 {
            assert_eq!(self.retire(version, generation()).await, Retired::Gone);
            assert_eq!(self.load().await, *ended, "after a retirement");
        }
        assert_eq!(self.destroy().await, Destroyed::NothingFound);
        assert_eq!(self.load().await, *ended, "after a destruction");
        assert_eq!(self.check().await, Checked::Missing);
    }

    /// The session as it is now, to be compared with later.
    pub(super) async fn snapshot(&self) -> Snapshot {
        let at = Instant::now();
        Snapshot { session: self.session().await, at }
    }

    /// Nothing of the session changed but perhaps its expiry.
    pub(super) async fn assert_content_unchanged(&self, before: &Snapshot) -> StoredSession {
        let after = self.session().await;
        assert_eq!(after.header, before.session.header);
        assert_eq!(attributes(&after), attributes(&before.session));
        assert_eq!(after.written, before.session.written, "newest number of the writer");
        after
    }

    /// Nothing of the session changed, its expiry included.
    pub(super) async fn assert_unchanged(&self, before: &Snapshot) {
        let after = self.assert_content_unchanged(before).await;
        assert_life(after.remaining, before.session.remaining, before.at);
    }
}

pub(super) struct Snapshot {
    session: StoredSession,
    at: Instant,
}

pub(super) fn generation() -> Generation {
    Generation::generate().expect("randomness")
}

pub(super) fn writer() -> WriterId {
    WriterId::generate().expect("randomness")
}

pub(super) fn name(name: &str) -> AttributeName {
    AttributeName::new(name).expect("an attribute name")
}

pub(super) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// How changes are added to a batch.
pub(super) trait Build: Sized {
    fn change(self, name: &str, action: Action) -> Self;

    fn set(self, name: &str, value: impl Into<Bytes>) -> Self {
        self.change(name, Action::Set(value.into()))
    }

    fn remove(self, name: &str) -> Self {
        self.change(name, Action::Remove)
    }

    fn increment(self, name: &str, delta: i64) -> Self {
        self.change(name, Action::Increment(delta))
    }

    fn replace(self, name: &str, seen: Option<&str>, value: Option<&str>) -> Self {
        self.change(name, Action::Replace { seen: seen.map(bytes), value: value.map(bytes) })
    }
}

impl Build for Commit {
    fn change(mut self, attribute: &str, action: Action) -> Self {
        self.changes.push(Change { name: name(attribute), action });
        self
    }
}

/// A creation with another latest end.
pub(super) fn ending(mut creation: Commit, deadline: Deadline) -> Commit {
    if let Some(creation) = &mut creation.creation {
        creation.deadline = deadline;
    }
    creation
}

/// The same batch, sent again.
pub(super) fn again(commit: &Commit) -> Commit {
    Commit { repeated: true, ..commit.clone() }
}

pub(super) fn attributes(session: &StoredSession) -> Attributes {
    let named = session.attributes.iter().map(|(name, value)| (name.as_str().to_owned(), value.clone()));
    let attributes: Attributes = named.collect();
    assert_eq!(attributes.len(), session.attributes.len(), "an attribute is told twice");
    attributes
}

pub(super) fn expected<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Attributes {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), bytes(value))).collect()
}

/// The answer, which must not be an error.
#[track_caller]
fn answer<T>(result: Result<T>) -> T {
    match result {
        Ok(answer) => answer,
        Err(error) => panic!("the provider failed: {error:?}"),
    }
}

#[track_caller]
pub(super) fn assert_foreign<T: std::fmt::Debug>(result: Result<T>) {
    match result {
        Err(error) if error.kind() == ErrorKind::ForeignKey => {}
        other => panic!("expected an error of kind ForeignKey, found {other:?}"),
    }
}

/// [`Committed::Done`].
pub(super) struct Done {
    pub(super) found: u64,
    pub(super) counters: Vec<Bytes>,
    pub(super) remaining: Duration,
}

#[track_caller]
pub(super) fn done(outcome: Committed) -> Done {
    match outcome {
        Committed::Done { found, counters, remaining } => Done { found, counters, remaining },
        other => panic!("expected Done, found {other:?}"),
    }
}

/// [`Committed::Already`]: the counters, and the remaining life.
#[track_caller]
pub(super) fn already(outcome: Committed) -> (Vec<Option<Bytes>>, Duration) {
    match outcome {
        Committed::Already { counters, remaining } => (counters, remaining),
        other => panic!("expected Already, found {other:?}"),
    }
}

#[track_caller]
pub(super) fn conflict(outcome: Committed) -> Vec<(usize, Option<Bytes>)> {
    match outcome {
        Committed::Conflict(attributes) => attributes,
        other => panic!("expected Conflict, found {other:?}"),
    }
}

#[track_caller]
pub(super) fn not_a_counter(outcome: Committed) -> Vec<(usize, Option<Bytes>)> {
    match outcome {
        Committed::NotACounter(attributes) => attributes,
        other => panic!("expected NotACounter, found {other:?}"),
    }
}

#[track_caller]
pub(super) fn renewed(outcome: Renewed) -> Duration {
    match outcome {
        Renewed::Done { remaining } => remaining,
        other => panic!("expected Done, found {other:?}"),
    }
}

/// What remains of this time to live, which was given after `since`.
#[track_caller]
pub(super) fn assert_life(remaining: Duration, time_to_live: Duration, since: Instant) {
    // A store may count in milliseconds and round up.
    assert!(remaining <= time_to_live + Duration::from_millis(1), "{remaining:?} remain of {time_to_live:?}");
    let passed = since.elapsed();
    assert!(
        remaining + passed + SLACK >= time_to_live,
        "{remaining:?} remain of {time_to_live:?} after {passed:?} at most"
    );
}

/// Waits for the end of a session, and checks that it comes neither early nor late. `since` was taken before the
/// write that gave it this time to live.
pub(super) async fn expire(scene: &Scene, time_to_live: Duration, since: Instant) {
    let written = Instant::now();
    loop {
        let asked = Instant::now();
        let found = scene.load().await;
        if found == Loaded::Absent {
            assert!(since.elapsed() + SLACK >= time_to_live, "gone after {:?} of {time_to_live:?}", since.elapsed());
            break;
        }
        assert!(
            asked.duration_since(written) < time_to_live + SLACK,
            "still there {:?} after a write with {time_to_live:?} to live: {found:?}",
            asked.duration_since(written)
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(scene.check().await, Checked::Missing);
}
