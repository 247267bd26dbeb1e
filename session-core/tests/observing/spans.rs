//! What is logged: spans around what the store is asked, and never a secret.

use std::io::Write;
use std::sync::{Arc, Mutex};

use session_core::{ErrorKind, KeyDerivation, SizeHandler};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::common::{Call, Path, Side, builder, create, open};

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
    let here = builder(&path)
        .key_derivation(KeyDerivation::plain("plain:"))
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
    here.shutdown().await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for secret in [old.expose(), new.expose(), "secret value".to_owned(), "light".to_owned()] {
        assert!(!log.contains(&secret), "{log}");
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
