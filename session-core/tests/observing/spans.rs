//! What is logged: spans around what the store is asked, and never a secret.

use std::io::Write;
use std::sync::{Arc, Mutex};

use session_core::{ErrorKind, KeyDerivation, RequestContext, SessionManagerBuilder, SizeHandler};
use session_serde::Json;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::common::{Call, Manager, Path, Side, builder, create, open};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_step_has_a_span_that_tells_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let path = Path::new();
    let here = keys_shown(&path)
        .max_session_bytes(100)
        .size_handler(SizeHandler::custom(|_| panic!("in the size handler")))
        .build()
        .unwrap();
    let (session, old) = create(&here).await;
    let held = open(&here, &old).await;
    session.insert("theme", "secret value").unwrap();
    session.insert("theme", &"secret value".repeat(20)).unwrap_err();
    session.commit().await.unwrap();
    session.touch().unwrap();
    session.commit().await.unwrap();
    drop(held);
    session.rotate_id().unwrap();
    session.commit().await.unwrap();
    let new = session.id().unwrap();
    path.fail(Call::Destroy, Side::Before, ErrorKind::Unavailable);
    session.destroy().unwrap();
    session.close().await.result.unwrap_err();
    path.heal();
    open(&here, &new).await;
    let elsewhere = Path::to(&path.memory);
    let there = keys_shown(&elsewhere).build().unwrap();
    change_elsewhere_during_rotation(&path, &here, &there).await;
    end_elsewhere_during_rotation(&path, &here, &there).await;
    destroy_what_was_given_up(&path, &here).await;
    here.shutdown().await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for secret in [old.expose(), new.expose(), "secret value".to_owned(), "light".to_owned()] {
        assert!(!log.contains(&secret), "{log}");
    }
    let calls = [path.take_calls(), elsewhere.take_calls()].concat();
    for (call, span) in [
        (Call::Check, "TRACE check{"),
        (Call::Load, "DEBUG load{"),
        (Call::Commit, "DEBUG commit{"),
        (Call::Renew, "DEBUG renew{"),
        (Call::Destroy, "DEBUG destroy{"),
        (Call::Retire, "DEBUG rotate{"),
    ] {
        let spans = log.lines().filter(|line| line.contains(span) && line.contains("close time.busy")).count();
        assert_eq!(spans, calls.iter().filter(|it| **it == call).count(), "{call:?} in\n{log}");
    }
    let (before, after) = (old.fingerprint(), new.fingerprint());
    for expected in [
        format!("DEBUG commit{{session={before} connection=\"default\" creates=true repeated=false changes=2 bytes=19"),
        format!("DEBUG load{{session={before} connection=\"default\" bytes=26 attributes=2}}"),
        format!("TRACE check{{session={before} connection=\"default\"}}"),
        format!("DEBUG renew{{session={before} connection=\"default\"}}"),
        format!("DEBUG rotate{{session={before} connection=\"default\"}}"),
        format!("DEBUG destroy{{session={after} connection=\"default\"}}"),
        format!("session error session={after} error=the session store cannot be reached while destroying"),
        "outcome=Done { found: 0".to_owned(),
        "the size handler panicked".to_owned(),
    ] {
        assert!(log.contains(&expected), "{expected} is not in\n{log}");
    }
}

/// Settings of a process whose keys hold the ids.
fn keys_shown(path: &Arc<Path>) -> SessionManagerBuilder<Json> {
    builder(path).key_derivation(KeyDerivation::plain("plain:"))
}

/// Makes another process write what is to be carried to the new id.
async fn change_elsewhere_during_rotation(path: &Arc<Path>, here: &Manager, there: &Manager) {
    let (session, id) = create(here).await;
    session.rotate_id().unwrap();
    let other = open(there, &id).await;
    let stop = path.stop(Call::Retire, Side::Before);
    let (rotated, ()) = tokio::join!(session.commit(), async {
        stop.reached().await;
        other.increment("visits", 1).unwrap();
        other.commit().await.unwrap();
        stop.go_on();
    });
    rotated.unwrap();
    assert_eq!(session.get::<i64>("visits").unwrap(), Some(2));
}

/// Makes another process end the session when its copy is stored already.
async fn end_elsewhere_during_rotation(path: &Arc<Path>, here: &Manager, there: &Manager) {
    let (session, id) = create(here).await;
    session.rotate_id().unwrap();
    let other = open(there, &id).await;
    let stop = path.stop(Call::Retire, Side::Before);
    let (rotated, ()) = tokio::join!(session.commit(), async {
        stop.reached().await;
        other.destroy().unwrap();
        other.commit().await.unwrap();
        stop.go_on();
    });
    assert_eq!(rotated.unwrap_err().kind(), ErrorKind::Gone);
}

/// Destroys a session whose creation is in doubt.
async fn destroy_what_was_given_up(path: &Arc<Path>, here: &Manager) {
    let session = here.open(&RequestContext::default(), None).await.unwrap();
    session.insert("theme", "light").unwrap();
    for kind in [ErrorKind::OutcomeUnknown, ErrorKind::Auth] {
        path.fail(Call::Commit, Side::After, kind);
        assert_eq!(session.commit().await.unwrap_err().kind(), kind);
    }
    path.heal();
    session.destroy().unwrap();
    session.commit().await.unwrap();
}
