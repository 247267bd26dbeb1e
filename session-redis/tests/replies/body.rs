//! What is done with bytes of unknown origin in the place of a server's replies. Nothing may panic, hang or believe them.
//! Used by the fuzz targets, and by ordinary tests.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use session_core::{
    Action, AttributeName, Change, Commit, Committed, Destruction, Error, Generation, Loaded, Renewal, Retirement,
    SessionKey, SessionProvider, WriterId,
};
use session_redis::transport::{Reply, ServerError};
use session_redis::{RedisConfig, RedisProvider, layout, scripts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

/// One commit with a change of each sort.
fn commit() -> Commit {
    let change = |name: &str, action| Change { name: AttributeName::new(name).expect("a short name"), action };
    let value = || Bytes::from_static(b"value");
    Commit {
        generation: Generation::parse(&[b'A'; 22]).expect("zeros"),
        writer: writer(),
        sequence: 7,
        repeated: false,
        creation: None,
        changes: vec![
            change("a", Action::Set(value())),
            change("b", Action::Remove),
            change("c", Action::Increment(1)),
            change("d", Action::Increment(-1)),
            change("e", Action::Replace { seen: Some(value()), value: None }),
        ],
        idle_timeout: None,
        time_to_live: Duration::from_secs(60),
    }
}

fn writer() -> WriterId {
    WriterId::parse(b"AAAAAAAAAAA").expect("zeros")
}

/// Hands the bytes as replies to everything that reads replies. What is read from them is in order.
pub fn read_replies(bytes: &[u8]) {
    let mut bytes = bytes;
    let (fields, time_to_live) = (reply(&mut bytes, 0), reply(&mut bytes, 0));
    let count = if let Reply::Array(fields) = &fields { fields.len() } else { 0 };
    let _ = layout::checked(&fields, &time_to_live);
    if let Ok(Loaded::Session(session)) = layout::loaded(fields.clone(), &time_to_live, writer()) {
        assert!(session.attributes.len() <= count / 2);
        for (name, _) in &session.attributes {
            AttributeName::new(name.as_str()).expect("a name that could be given");
        }
    }
    let commit = commit();
    match scripts::committed(fields.clone(), &commit) {
        Ok(Committed::Done { counters, .. }) => assert_eq!(counters.len(), 2),
        Ok(Committed::Already { counters, .. }) => assert_eq!(counters.len(), 2),
        // Nothing needs to be in the way of a repeated batch that was refused before.
        Ok(Committed::Conflict(which)) => assert!(which.iter().all(|(index, _)| *index < commit.changes.len())),
        Ok(Committed::NotACounter(which)) => {
            assert!(!which.is_empty() && which.iter().all(|(index, _)| *index < commit.changes.len()));
        }
        Ok(Committed::Gone) | Err(_) => {}
    }
    let _ = scripts::destroyed(fields.clone());
    let _ = scripts::renewed(fields.clone());
    let _ = scripts::retired(fields);
}

/// Takes a reply from the front: a byte for its kind, then what that needs. Nothing is left of it beyond a certain depth.
fn reply(bytes: &mut &[u8], depth: usize) -> Reply {
    let mut next = || {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(*first)
    };
    let (Some(kind), Some(length)) = (next(), next()) else { return Reply::Nil };
    let mut text = |most: usize| {
        let (text, rest) = bytes.split_at(bytes.len().min(usize::from(length) % most));
        *bytes = rest;
        Bytes::copy_from_slice(text)
    };
    match kind % 12 {
        0 => Reply::Nil,
        1 => Reply::Integer(i64::from(length) - 3),
        2 => {
            let mut number = [0; 8];
            let text = text(9);
            number[..text.len()].copy_from_slice(&text);
            Reply::Integer(i64::from_le_bytes(number))
        }
        3 => Reply::Status(text(32)),
        4 => Reply::Bulk(text(64)),
        // What a header is made of.
        5 => Reply::Bulk(Bytes::from_static(match length % 12 {
            0 => b"@g",
            1 => b"@v",
            2 => b"@f",
            3 => b"@c",
            4 => b"@d",
            5 => b"@i",
            6 => b"@w",
            7 => b"@t",
            8 => b"@m",
            9 => b"AAAAAAAAAAAAAAAAAAAAAA",
            10 => b"1700000000000",
            _ => b" AAAAAAAAAAA:9:1700000000 BBBBBBBBBBA:",
        })),
        6 => Reply::Error(ServerError::new(
            String::from_utf8_lossy(&text(16)).into_owned(),
            String::from_utf8_lossy(&text(64)).into_owned(),
        )),
        _ if depth < 4 => Reply::Array((0..length % 32).map(|_| reply(bytes, depth + 1)).collect()),
        _ => Reply::Array(Vec::new()),
    }
}

/// What a server does that sends whatever it likes.
#[derive(Clone, Copy)]
struct Manners {
    /// It does not even answer the first words on a connection properly.
    from_the_start: bool,
    /// It says nothing more and waits, instead of closing the connection.
    waits: bool,
    /// Which step it is asked for.
    step: u8,
}

/// Asks a server for a step whose replies are these bytes; the first of them tells what else it does. The answer is the
/// error, if it was not believed.
///
/// Time is virtual, so that waiting for a server that says nothing more takes none.
pub fn through_the_transport(bytes: &[u8], folder: &Path) -> Option<Error> {
    let (first, bytes) = bytes.split_first()?;
    let manners = Manners { from_the_start: first & 1 != 0, waits: first & 2 != 0, step: (first >> 2) % 6 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime can be built").block_on(ask(manners, bytes, folder))
}

/// As by default.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(1);

async fn ask(manners: Manners, bytes: &[u8], folder: &Path) -> Option<Error> {
    static SOCKETS: AtomicUsize = AtomicUsize::new(0);
    let path = folder.join(format!("{}.sock", SOCKETS.fetch_add(1, Ordering::Relaxed)));
    let listener = UnixListener::bind(&path).expect("a socket can be made");
    let replies = Bytes::copy_from_slice(bytes);
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, manners, replies.clone()));
        }
    });
    let config = RedisConfig::new().unix_socket(&path).operation_timeout(OPERATION_TIMEOUT);
    let provider = RedisProvider::new(&config).expect("right settings");
    let start = Instant::now();
    let error = step(manners.step, &provider).await;
    assert!(start.elapsed() <= OPERATION_TIMEOUT + Duration::from_millis(100), "{:?}", start.elapsed());
    server.abort();
    std::fs::remove_file(&path).expect("it was made above");
    error
}

async fn serve(mut stream: UnixStream, manners: Manners, replies: Bytes) {
    let mut asked = [0; 4096];
    if !manners.from_the_start {
        // The first words are a ping.
        let answered = stream.read(&mut asked).await.is_ok() && stream.write_all(b"+PONG\r\n").await.is_ok();
        if !answered || !matches!(stream.read(&mut asked).await, Ok(1..)) {
            return;
        }
    }
    let _ = stream.write_all(&replies).await;
    if manners.waits {
        while matches!(stream.read(&mut asked).await, Ok(1..)) {}
    }
}

async fn step(step: u8, provider: &RedisProvider) -> Option<Error> {
    let key = SessionKey::new("session").expect("a short key");
    let commit = commit();
    let generation = commit.generation;
    match step {
        0 => provider.load(&key, writer()).await.err(),
        1 => provider.check(&key).await.err(),
        2 => provider.commit(&key, &commit).await.err(),
        3 => provider.renew(&key, &Renewal { generation, time_to_live: Duration::from_secs(1) }).await.err(),
        4 => provider.destroy(&key, &Destruction { generation, leave_tombstone: true }).await.err(),
        _ => provider.retire(&key, &Retirement { generation, version: 1, successor: generation }).await.err(),
    }
}
