//! What is known of an episode's session, and what must hold of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::gates::{Gates, MARK};
use super::{Ending, Ground, Tally};
use crate::context::RequestContext;
use crate::id::{SessionId, WriterId};
use crate::key::{KeyDerivation, SessionKey};
use crate::manager::SessionManager;
use crate::provider::Loaded;
use crate::serializer::SessionSerializer;
use crate::session::Session;

pub(super) struct World {
    keys: KeyDerivation,
    gates: Arc<Gates>,
    /// What the session's mark holds.
    mark: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The ids that clients were given.
    issued: Vec<SessionId>,
    /// Those that must not show anything any more.
    dead_ids: HashSet<SessionId>,
    /// The session has ended, under whatever id.
    is_dead: bool,
    tally: Tally,
    story: Vec<String>,
}

impl World {
    pub(super) fn new(keys: KeyDerivation, gates: Arc<Gates>, seed: u64) -> Self {
        Self { keys, gates, mark: format!("session of episode {seed}"), known: Mutex::default() }
    }

    /// Remembers what a request does, to be told if the episode fails.
    pub(super) fn note(&self, request: usize, what: impl FnOnce() -> String) {
        let what = what();
        self.known().story.push(format!("request {request} {what}"));
    }

    pub(super) fn gates(&self) -> &Gates {
        &self.gates
    }

    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    pub(super) fn key(&self, id: &SessionId) -> SessionKey {
        self.keys.derive(&RequestContext::default(), id).expect("a key")
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id that a client may come with, by a number.
    pub(super) fn any_id(&self, number: u64) -> SessionId {
        let known = self.known();
        // More often one of the newer.
        let count = known.issued.len() as u64;
        known.issued[(count - 1 - (number % count).min(number / 7 % count)) as usize]
    }

    pub(super) fn is_dead(&self) -> bool {
        self.known().is_dead
    }

    /// Whether this id must not show anything any more.
    pub(super) fn is_dead_id(&self, id: &SessionId) -> bool {
        let known = self.known();
        known.is_dead || known.dead_ids.contains(id)
    }

    pub(super) fn created(&self, id: SessionId) {
        self.known().issued.push(id);
    }

    pub(super) fn acknowledged(&self) {
        self.known().tally.acknowledged += 1;
    }

    pub(super) fn answered_gone(&self) {
        self.known().tally.gone += 1;
    }

    /// A rotation from one id to the other was acknowledged.
    pub(super) fn rotated(&self, from: SessionId, to: SessionId) {
        let mut known = self.known();
        known.dead_ids.insert(from);
        if !known.issued.contains(&to) {
            known.issued.push(to);
        }
        known.tally.rotated += 1;
    }

    /// A destruction of the session of this id was acknowledged. `found`: the store had it until then.
    pub(super) fn destroyed(&self, id: SessionId, found: bool) {
        let mut known = self.known();
        known.dead_ids.insert(id);
        // Otherwise it may live on under an id that it was given before.
        known.is_dead |= found;
        known.tally.destroyed += usize::from(found);
    }

    /// Ends the session past the provider, where it is as far as anybody was told.
    pub(super) async fn end(&self, ground: &dyn Ground, ending: Ending) {
        let Some(id) = self.known().issued.last().copied() else { return };
        if ground.end(&self.key(&id), ending).await {
            let mut known = self.known();
            known.story.push(format!("{ending:?} of {}", id.fingerprint()));
            known.is_dead = true;
            known.tally.ended += 1;
        }
    }

    pub(super) async fn check_expiries(&self, ground: &dyn Ground) {
        assert_eq!(ground.endless(&self.gates.keys()).await, 0, "sessions without an expiry");
    }

    /// A session opened by an id that was dead before.
    pub(super) fn assert_shows_nothing<S: SessionSerializer>(&self, session: &Session<S>, when: &str) {
        assert_eq!(session.names().expect("names"), [""; 0], "visible {when}");
        assert_eq!(session.get::<String>(MARK).expect("a read"), None, "visible {when}");
    }

    /// Everything has come to rest, in the background too.
    pub(super) async fn check_at_rest<S: SessionSerializer>(&self, ground: &dyn Ground, codec: &S) {
        self.check_expiries(ground).await;
        let store = ground.provider();
        let writer = WriterId::generate().expect("randomness");
        let mark = self.gates.mark().expect("it was created");
        let mut found = 0;
        for key in self.gates.keys() {
            if let Loaded::Session(session) = store.load(&key, writer).await.expect("a load") {
                found += usize::from(session.attributes.iter().any(|(_, value)| *value == mark));
            }
        }
        let builder = SessionManager::builder(store, codec.clone()).key_derivation(self.keys.clone());
        let reader = builder.shards(1).build().expect("settings");
        let issued = self.known().issued.clone();
        for id in issued.iter().filter(|id| self.is_dead_id(id)) {
            let session = reader.open(&RequestContext::default(), Some(id)).await.expect("an open");
            self.assert_shows_nothing(&session, "at rest");
        }
        if self.is_dead() {
            assert_eq!(found, 0, "of a dead session, copies are left");
        } else {
            assert!(found <= 1, "the session is there {found} times");
        }
    }

    pub(super) fn tell(&self) {
        for line in &self.known().story {
            eprintln!("{line}");
        }
    }

    pub(super) fn add_to(&self, tally: &mut Tally) {
        let own = self.known().tally;
        tally.acknowledged += own.acknowledged;
        tally.gone += own.gone;
        tally.destroyed += own.destroyed;
        tally.ended += own.ended;
        tally.rotated += own.rotated;
    }
}
