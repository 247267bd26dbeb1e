//! When the store is asked again, seen from the store: for each thing that a manager does there.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capabilities, Checked, Commit, Committed, Destroyed, Destruction, Error, ErrorKind, Loaded, MemoryProvider,
    Operation, Renewal, Renewed, RequestContext, Result, Retired, Retirement, SessionId, SessionKey, SessionManager,
    SessionProvider, WriterId,
};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Json;
use tokio::time::{Instant, sleep};

/// What a manager asks of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Load,
    Check,
    Commit,
    Renew,
    Destroy,
    Retire,
}

/// A store that fails after some time, and notes when it was asked.
struct Failing<P> {
    inner: P,
    failing: Mutex<Option<(Call, ErrorKind, Duration)>>,
    asked: Mutex<Vec<(Call, Instant)>>,
}

impl<P: SessionProvider> Failing<P> {
    fn new(inner: P) -> Arc<Self> {
        Arc::new(Self { inner, failing: Mutex::default(), asked: Mutex::default() })
    }

    fn fail(&self, how: Option<(Call, ErrorKind, Duration)>) {
        *self.failing.lock().unwrap() = how;
        self.asked.lock().unwrap().clear();
    }

    /// When this was asked, in milliseconds after `start`.
    fn asked(&self, call: Call, start: Instant) -> Vec<u128> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(it, _)| *it == call).map(|(_, at)| (*at - start).as_millis()).collect()
    }

    async fn arrive(&self, call: Call) -> Result<()> {
        self.asked.lock().unwrap().push((call, Instant::now()));
        let failing = *self.failing.lock().unwrap();
        match failing {
            Some((which, kind, after)) if which == call => {
                sleep(after).await;
                Err(Error::new(kind, Operation::Connect, "it was told to fail"))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl<P: SessionProvider> SessionProvider for Failing<P> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_operation_timeout(Duration::from_secs(2))
    }

    async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded> {
        self.arrive(Call::Load).await?;
        self.inner.load(key, writer).await
    }

    async fn check(&self, key: &SessionKey) -> Result<Checked> {
        self.arrive(Call::Check).await?;
        self.inner.check(key).await
    }

    async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        self.arrive(Call::Commit).await?;
        self.inner.commit(key, commit).await
    }

    async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed> {
        self.arrive(Call::Renew).await?;
        self.inner.renew(key, renewal).await
    }

    async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        self.arrive(Call::Destroy).await?;
        self.inner.destroy(key, destruction).await
    }

    async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired> {
        self.arrive(Call::Retire).await?;
        self.inner.retire(key, retirement).await
    }
}

type Store = Arc<Failing<MemoryProvider>>;

fn manager(store: &Store, patience: Duration, throw: bool) -> SessionManager<Json> {
    let builder = SessionManager::builder(Arc::clone(store), Json).retry_timeout(patience).throw_on_error(throw);
    builder.build().unwrap()
}

/// A session with something in it.
async fn stored(store: &Store) -> SessionId {
    store.fail(None);
    let session = manager(store, Duration::ZERO, true).open(&RequestContext::default(), None).await.unwrap();
    session.insert("theme", "dark").unwrap();
    session.close().await.result.unwrap();
    session.id().unwrap()
}

/// Does what leads to this call, which fails; the answer is the error and when the call was made.
async fn meets(call: Call, kind: ErrorKind, attempt: Duration, patience: Duration, throw: bool) -> (Error, Vec<u128>) {
    let store = Failing::new(MemoryProvider::new());
    let id = stored(&store).await;
    let here = manager(&store, patience, throw);
    let context = RequestContext::default();
    let how = Some((call, kind, attempt));
    let start;
    let error = match call {
        Call::Load | Call::Check => {
            if call == Call::Check {
                drop(here.open(&context, Some(&id)).await.unwrap());
            }
            store.fail(how);
            start = Instant::now();
            match here.open(&context, Some(&id)).await {
                Err(error) => Some(error),
                Ok(session) => session.last_error(),
            }
        }
        _ => {
            let session = here.open(&context, Some(&id)).await.unwrap();
            match call {
                Call::Commit => session.insert("theme", "bright").unwrap(),
                Call::Renew => session.touch().unwrap(),
                Call::Destroy => session.destroy().unwrap(),
                _ => session.rotate_id().unwrap(),
            }
            store.fail(how);
            start = Instant::now();
            let closed = session.close().await;
            assert_eq!(closed.result.is_err(), throw);
            session.last_error()
        }
    };
    let asked = store.asked(call, start);
    let error = error.expect("it failed");
    assert_eq!(error.kind(), kind);
    let ended = (Instant::now() - start).as_millis();
    assert_eq!(ended, asked.last().unwrap() + attempt.as_millis(), "answered as soon as there is nothing more to try");
    (error, asked)
}

const CALLS: [Call; 6] = [Call::Load, Call::Check, Call::Commit, Call::Renew, Call::Destroy, Call::Retire];

#[tokio::test(start_paused = true)]
async fn every_call_is_made_again_on_schedule() {
    let vectors: &[(u64, u64, &[u128])] = &[
        (0, 0, &[0]),
        (0, 400, &[0]),
        (1, 0, &[0, 1]),
        (19, 0, &[0, 19]),
        (20, 0, &[0, 20]),
        (21, 0, &[0, 20, 21]),
        (500, 0, &[0, 20, 500]),
        (500, 400, &[0, 420]),
        (500, 1500, &[0]),
        (1019, 0, &[0, 20, 1019]),
        (1020, 0, &[0, 20, 1020]),
        (1021, 0, &[0, 20, 1020, 1021]),
        (1021, 400, &[0, 420, 1021]),
        (2500, 0, &[0, 20, 1020, 2020, 2500]),
        (2500, 400, &[0, 420, 1820, 2500]),
        (2500, 1500, &[0, 1520]),
        (5000, 0, &[0, 20, 1020, 2020, 3020, 4020, 5000]),
        (5000, 400, &[0, 420, 1820, 3220, 4620]),
        (5000, 1500, &[0, 1520, 4020]),
    ];
    for call in CALLS {
        for (patience, attempt, expected) in vectors {
            for (throw, kind) in [
                (true, ErrorKind::Unavailable),
                (false, ErrorKind::Unavailable),
                (true, ErrorKind::OutcomeUnknown),
                (true, ErrorKind::Rejected),
            ] {
                let [patience, attempt] = [*patience, *attempt].map(Duration::from_millis);
                let (_, asked) = meets(call, kind, attempt, patience, throw).await;
                assert_eq!(&asked, expected, "{call:?}, {kind:?}, {patience:?}, attempts of {attempt:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_repetition_helps_is_asked_once() {
    for call in CALLS {
        for kind in [
            ErrorKind::Auth,
            ErrorKind::ForeignKey,
            ErrorKind::TooLarge,
            ErrorKind::Unsupported,
            ErrorKind::Config,
            ErrorKind::KeyCallback,
        ] {
            for throw in [true, false] {
                let (_, asked) = meets(call, kind, Duration::ZERO, Duration::from_secs(5), throw).await;
                assert_eq!(asked, [0], "{call:?}, {kind:?}");
            }
        }
    }
}

/// It is accepted by the system of somebody who never says a word: waiting for the connection is the attempt.
#[tokio::test(start_paused = true)]
async fn waiting_for_a_connection_is_an_attempt_of_one_operation_timeout() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    for (patience, expected) in [(0, &[0][..]), (2500, &[0, 1020, 2500]), (5000, &[0, 1020, 3020, 5000])] {
        let config = RedisConfig::new()
            .url(format!("redis://{}", mute.local_addr().unwrap()))
            .connect_timeout(Duration::from_secs(60))
            .operation_timeout(Duration::from_secs(1));
        let store = Failing::new(RedisProvider::new(&config).unwrap());
        let builder = SessionManager::builder(Arc::clone(&store), Json);
        let manager = builder.retry_timeout(Duration::from_millis(patience)).build().unwrap();
        let id = SessionId::generate().unwrap();
        let start = Instant::now();
        let error = manager.open(&RequestContext::default(), Some(&id)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(store.asked(Call::Load, start), expected);
        let took = (Instant::now() - start).as_millis();
        let last = expected.last().unwrap();
        assert!((last + 1000..=last + 1001).contains(&took), "{took} ms");
    }
}
