//! What the key callback may answer, and what becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use session_core::{
    Error, ErrorKind, KeyDerivation, Operation, RequestContext, Result, SessionId, SessionKey, SessionProvider,
};

use crate::common::{Call, Path, builder, create, open};

/// A context for which the key callback does what it should not.
struct Misled;

fn key_of(id: &SessionId) -> Result<SessionKey> {
    KeyDerivation::default().derive(&RequestContext::default(), id)
}

/// Rules that misbehave towards requests with [`Misled`].
fn rules() -> Vec<KeyDerivation> {
    type Wrong = fn(&SessionId) -> Result<SessionKey>;
    let wrongs: [Wrong; 7] = [
        |_| panic!("with sesame"),
        |_| SessionKey::new(""),
        |id| SessionKey::new(format!("{}{}", id.expose(), "x".repeat(1 << 20))),
        |_| SessionKey::new("x".repeat(1025)),
        |id| SessionKey::new(format!("a\r\nDEL {}", id.expose())),
        |_| SessionKey::new("a\0b"),
        |_| Err(Error::new(ErrorKind::Gone, Operation::Load, "sesame")),
    ];
    let rule = |wrong: Wrong| {
        KeyDerivation::custom(move |context, id| if context.get::<Misled>().is_some() { wrong(id) } else { key_of(id) })
    };
    wrongs.into_iter().map(rule).collect()
}

#[tokio::test]
async fn unusable_keys_are_refused_before_anything_is_sent() {
    for (number, rule) in rules().into_iter().enumerate() {
        for throw_on_error in [true, false] {
            let path = Path::new();
            let manager = builder(&path).key_derivation(rule.clone()).throw_on_error(throw_on_error).build().unwrap();
            let (_, id) = create(&manager).await;
            path.take_calls();
            let check = |error: Option<Error>| {
                let error = error.unwrap_or_else(|| panic!("rule {number}: no error"));
                let mut at_bottom: &dyn std::error::Error = &error;
                while let Some(source) = at_bottom.source() {
                    at_bottom = source;
                }
                let bottom: &Error = at_bottom.downcast_ref().unwrap_or(&error);
                let kinds = [error.kind(), bottom.kind()];
                assert!(kinds.contains(&ErrorKind::KeyCallback), "rule {number}: {error:?}");
                let text = format!("{error} {:?}", error.to_string());
                assert!(!text.contains("sesame") && !text.contains(&id.expose()), "rule {number}: {text}");
                assert!(text.len() < 1000, "rule {number}: {text}");
            };

            let opened = manager.open(&RequestContext::new(Misled), Some(&id)).await;
            match (throw_on_error, opened) {
                (true, opened) => check(opened.err()),
                (false, opened) => {
                    let session = opened.unwrap();
                    assert!(session.is_degraded());
                    assert_eq!(session.get::<String>("theme").unwrap(), None);
                    check(session.last_error());
                }
            }
            check(manager.last_error());

            // No key for the id of a session that is to be created.
            let session = manager.open(&RequestContext::new(Misled), None).await.unwrap();
            session.insert("theme", "dark").unwrap();
            let closed = session.close().await;
            assert_eq!(closed.result.is_err(), throw_on_error);
            check(session.last_error());
            assert_eq!((session.id(), closed.client), (None, session_core::ClientId::Keep));
            assert_eq!(path.take_calls(), [], "rule {number}");

            let session = open(&manager, &id).await;
            assert_eq!(session.get::<String>("theme").unwrap().as_deref(), Some("light"), "the session is as it was");
        }
    }
}

#[tokio::test]
async fn no_key_for_another_id_leaves_the_session_its_own() {
    let path = Path::new();
    let broken = Arc::new(AtomicUsize::new(0));
    let rule = {
        let broken = broken.clone();
        KeyDerivation::custom(move |_, id| {
            assert_eq!(broken.load(Ordering::SeqCst), 0);
            key_of(id)
        })
    };
    let manager = builder(&path).key_derivation(rule).build().unwrap();
    let (session, id) = create(&manager).await;
    broken.store(1, Ordering::SeqCst);
    assert_eq!(session.rotate_id().unwrap_err().kind(), ErrorKind::KeyCallback);
    session.insert("theme", "dark").unwrap();
    session.commit().await.unwrap();
    assert_eq!(session.id(), Some(id));
    broken.store(0, Ordering::SeqCst);
    assert_eq!(open(&manager, &id).await.get::<String>("theme").unwrap().as_deref(), Some("dark"));
}

#[tokio::test]
async fn a_key_longer_than_the_store_takes() {
    struct Short(Arc<Path>);
    #[async_trait::async_trait]
    impl SessionProvider for Short {
        fn capabilities(&self) -> session_core::Capabilities {
            self.0.capabilities().with_max_key_bytes(50)
        }

        async fn load(&self, key: &SessionKey, writer: session_core::WriterId) -> Result<session_core::Loaded> {
            self.0.load(key, writer).await
        }

        async fn check(&self, key: &SessionKey) -> Result<session_core::Checked> {
            self.0.check(key).await
        }

        async fn commit(&self, key: &SessionKey, commit: &session_core::Commit) -> Result<session_core::Committed> {
            self.0.commit(key, commit).await
        }

        async fn renew(&self, key: &SessionKey, renewal: &session_core::Renewal) -> Result<session_core::Renewed> {
            self.0.renew(key, renewal).await
        }

        async fn destroy(
            &self,
            key: &SessionKey,
            destruction: &session_core::Destruction,
        ) -> Result<session_core::Destroyed> {
            self.0.destroy(key, destruction).await
        }

        async fn retire(
            &self,
            key: &SessionKey,
            retirement: &session_core::Retirement,
        ) -> Result<session_core::Retired> {
            self.0.retire(key, retirement).await
        }
    }
    let path = Path::new();
    let builder = || session_core::SessionManager::builder(Short(path.clone()), session_serde::Json);
    let id = SessionId::generate().unwrap();
    let wrong = builder().build().unwrap();
    let error = wrong.open(&RequestContext::default(), Some(&id)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyCallback);
    assert_eq!(path.take_calls(), []);
    let right = builder().key_derivation(KeyDerivation::hashed("s:")).build().unwrap();
    assert!(right.open(&RequestContext::default(), Some(&id)).await.unwrap().is_new());
}

#[tokio::test]
async fn two_ids_on_one_key_share_nothing() {
    for keep in [true, false] {
        let path = Path::new();
        let process = || {
            let builder = session_core::SessionManager::builder(path.clone(), session_serde::Json)
                .key_derivation(KeyDerivation::custom(|_, _| SessionKey::new("the only key")));
            if keep { builder } else { builder.keep_for(std::time::Duration::ZERO) }.build().unwrap()
        };
        let here = process();
        let (first, id) = create(&here).await;
        let stranger = SessionId::generate().unwrap();
        // Live in this process; after the request, perhaps kept; in another process, which has it from the store only.
        let mut held = Some(first);
        for manager in [&here, &here, &process()] {
            let error = manager.open(&RequestContext::default(), Some(&stranger)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ForeignKey);
            assert!(!error.to_string().contains("the only key"), "{error}");
            // Neither does a new one take its place, nor the old one under another id.
            let new = manager.open(&RequestContext::default(), None).await.unwrap();
            new.insert("theme", "dark").unwrap();
            assert_eq!(new.close().await.result.unwrap_err().kind(), ErrorKind::ForeignKey);
            held = None;
        }
        assert!(held.is_none());
        let session = open(&here, &id).await;
        session.insert("theme", "dark").unwrap();
        session.rotate_id().unwrap();
        assert_eq!(session.commit().await.unwrap_err().kind(), ErrorKind::ForeignKey);
        drop(session);
        path.take_calls();
        for manager in [&here, &process()] {
            let session = open(manager, &id).await;
            assert_eq!(session.get::<i64>("visits").unwrap(), Some(1));
        }
        assert!(!path.take_calls().contains(&Call::Commit));
    }
}
