//! A session as a provider sees it, whichever provider that is.

use std::time::{Duration, Instant};

use bytes::Bytes;
use session_core::{
    Action, AttributeName, Change, Commit, Committed, Creation, Deadline, Generation, Loaded, SessionId, SessionKey,
    SessionProvider, StoredSession, WriterId,
};

pub const MINUTE: Duration = Duration::from_secs(60);

pub fn name(name: &str) -> AttributeName {
    AttributeName::new(name).unwrap()
}

pub fn bytes(text: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(text.as_ref())
}

pub fn set(attribute: &str, value: impl AsRef<[u8]>) -> Change {
    Change { name: name(attribute), action: Action::Set(bytes(value)) }
}

pub fn remove(attribute: &str) -> Change {
    Change { name: name(attribute), action: Action::Remove }
}

pub fn increment(attribute: &str, by: i64) -> Change {
    Change { name: name(attribute), action: Action::Increment(by) }
}

pub fn replace(attribute: &str, seen: Option<&str>, value: Option<&str>) -> Change {
    Change { name: name(attribute), action: Action::Replace { seen: seen.map(bytes), value: value.map(bytes) } }
}

/// One session of one writer, who counts his commits.
pub struct Life {
    pub key: SessionKey,
    pub id: SessionId,
    pub generation: Generation,
    pub writer: WriterId,
    pub sequence: u64,
}

impl Life {
    pub fn new() -> Self {
        let id = SessionId::generate().unwrap();
        Self {
            key: SessionKey::new(format!("session:{}", id.expose())).unwrap(),
            id,
            generation: Generation::generate().unwrap(),
            writer: WriterId::generate().unwrap(),
            sequence: 0,
        }
    }

    /// Another process that writes to the same session.
    pub fn other_writer(&self) -> Self {
        Self { key: self.key.clone(), writer: WriterId::generate().unwrap(), sequence: 0, ..*self }
    }

    pub fn key_text(&self) -> &str {
        std::str::from_utf8(self.key.as_bytes()).unwrap()
    }

    /// The next batch.
    pub fn change(&mut self, changes: impl IntoIterator<Item = Change>) -> Commit {
        self.sequence += 1;
        Commit {
            generation: self.generation,
            writer: self.writer,
            sequence: self.sequence,
            repeated: false,
            creation: None,
            changes: changes.into_iter().collect(),
            idle_timeout: None,
            time_to_live: MINUTE,
        }
    }

    pub fn creation(&mut self, changes: impl IntoIterator<Item = Change>) -> Commit {
        let creation = Creation { fingerprint: self.id.fingerprint(), created: None, deadline: Deadline::Never };
        Commit { creation: Some(creation), ..self.change(changes) }
    }

    pub async fn create(&mut self, provider: &impl SessionProvider, changes: impl IntoIterator<Item = Change>) {
        let commit = self.creation(changes);
        let committed = provider.commit(&self.key, &commit).await.unwrap();
        assert!(matches!(committed, Committed::Done { found: 0, .. }), "{committed:?}");
    }

    pub async fn write(
        &mut self,
        provider: &impl SessionProvider,
        changes: impl IntoIterator<Item = Change>,
    ) -> Committed {
        let commit = self.change(changes);
        provider.commit(&self.key, &commit).await.unwrap()
    }

    /// A commit that nothing speaks against.
    pub async fn done(&mut self, provider: &impl SessionProvider, changes: impl IntoIterator<Item = Change>) {
        let committed = self.write(provider, changes).await;
        assert!(matches!(committed, Committed::Done { .. }), "{committed:?}");
    }

    pub async fn load(&self, provider: &impl SessionProvider) -> Loaded {
        provider.load(&self.key, self.writer).await.unwrap()
    }

    pub async fn session(&self, provider: &impl SessionProvider) -> StoredSession {
        match self.load(provider).await {
            Loaded::Session(session) => session,
            other => panic!("{other:?}"),
        }
    }

    pub async fn attribute(&self, provider: &impl SessionProvider, attribute: &str) -> Option<String> {
        let session = self.session(provider).await;
        let found = session.attributes.iter().find(|(name, _)| name.as_str() == attribute);
        found.map(|(_, value)| String::from_utf8(value.to_vec()).unwrap())
    }
}

/// Asks again until it holds, and fails after ten seconds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
