//! A store that can be watched and disturbed, and a client that speaks to a service in memory.

// Each test program uses another part of it.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use serde::{Deserialize, Serialize};
use session_core::{
    Capabilities, Checked, Commit, Committed, Destroyed, Destruction, Error, ErrorKind, Loaded, MemoryProvider,
    Operation, Renewal, Renewed, RequestContext, Result, Retired, Retirement, SerializerError, SessionId, SessionKey,
    SessionManager, SessionProvider, SessionSerializer, WriterId,
};
use session_serde::Codec;
use tokio::sync::watch;
use tower::ServiceExt;

/// The methods of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Load,
    Check,
    Commit,
    Renew,
    Destroy,
    Retire,
}

/// A [`MemoryProvider`] that counts, fails, dawdles and waits as it is told.
pub struct Store {
    memory: MemoryProvider,
    calls: Mutex<Vec<Call>>,
    failing: Mutex<Option<(Option<Call>, ErrorKind)>>,
    yields: AtomicUsize,
    acknowledging: watch::Sender<bool>,
}

impl Store {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            memory: MemoryProvider::new(),
            calls: Mutex::default(),
            failing: Mutex::default(),
            yields: AtomicUsize::new(0),
            acknowledging: watch::Sender::new(true),
        })
    }

    /// The calls since this was last asked.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    pub fn has_seen(&self, call: Call) -> bool {
        self.calls.lock().unwrap().contains(&call)
    }

    /// Makes this call (or all) fail before it does anything.
    pub fn fail(&self, call: Option<Call>, kind: ErrorKind) {
        *self.failing.lock().unwrap() = Some((call, kind));
    }

    pub fn heal(&self) {
        *self.failing.lock().unwrap() = None;
    }

    /// How often every call gives way before it does anything, and again before it answers.
    pub fn yield_times(&self, times: usize) {
        self.yields.store(times, Ordering::SeqCst);
    }

    /// Whether commits are answered, or done and not answered until they may be.
    pub fn acknowledge(&self, now: bool) {
        self.acknowledging.send_replace(now);
    }

    async fn dawdle(&self) {
        for _ in 0..self.yields.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    }

    async fn arrive(&self, call: Call) -> Result<()> {
        self.calls.lock().unwrap().push(call);
        self.dawdle().await;
        match *self.failing.lock().unwrap() {
            Some((which, kind)) if which.is_none_or(|which| which == call) => {
                Err(Error::new(kind, Operation::Commit, "the store was told to fail"))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl SessionProvider for Store {
    fn capabilities(&self) -> Capabilities {
        // Long enough for a test that holds an answer back to be sure that nobody gave up waiting.
        self.memory.capabilities().with_operation_timeout(Duration::from_secs(60))
    }

    async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded> {
        self.arrive(Call::Load).await?;
        let loaded = self.memory.load(key, writer).await;
        self.dawdle().await;
        loaded
    }

    async fn check(&self, key: &SessionKey) -> Result<Checked> {
        self.arrive(Call::Check).await?;
        let checked = self.memory.check(key).await;
        self.dawdle().await;
        checked
    }

    async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        self.arrive(Call::Commit).await?;
        let committed = self.memory.commit(key, commit).await;
        self.dawdle().await;
        let _ = self.acknowledging.subscribe().wait_for(|now| *now).await;
        committed
    }

    async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed> {
        self.arrive(Call::Renew).await?;
        self.memory.renew(key, renewal).await
    }

    async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        self.arrive(Call::Destroy).await?;
        let destroyed = self.memory.destroy(key, destruction).await;
        self.dawdle().await;
        destroyed
    }

    async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired> {
        self.arrive(Call::Retire).await?;
        let retired = self.memory.retire(key, retirement).await;
        self.dawdle().await;
        retired
    }
}

/// A manager over this store that behaves like a process of its own.
pub fn manager(store: &Arc<Store>) -> SessionManager<Codec> {
    SessionManager::builder(Arc::clone(store), Codec::default()).build().unwrap()
}

/// A serializer that shows how many sessions, and things that hold one, are alive.
#[derive(Clone)]
pub struct Counted {
    codec: Codec,
    alive: Arc<()>,
}

impl Counted {
    pub fn new() -> Self {
        Self { codec: Codec::default(), alive: Arc::default() }
    }

    pub fn count(&self) -> usize {
        Arc::strong_count(&self.alive)
    }
}

impl SessionSerializer for Counted {
    fn encode<T: Serialize + ?Sized>(&self, value: &T, into: &mut Vec<u8>) -> Result<(), SerializerError> {
        self.codec.encode(value, into)
    }

    fn decode<'de, T: Deserialize<'de>>(&self, bytes: &'de [u8]) -> Result<T, SerializerError> {
        self.codec.decode(bytes)
    }

    fn name(&self) -> &'static str {
        self.codec.name()
    }

    fn is_self_describing(&self) -> bool {
        self.codec.is_self_describing()
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// What a browser sends back: the name and value of the only cookie that was set.
    pub fn cookie(&self) -> String {
        let [set] = self.set_cookies()[..] else { panic!("expected one cookie in {self:?}") };
        set.split(';').next().unwrap().to_owned()
    }

    pub fn id(&self) -> SessionId {
        id_of(&self.cookie())
    }

    #[track_caller]
    pub fn assert(&self, status: u16, body: &str) {
        assert_eq!((self.status.as_u16(), self.body.as_str()), (status, body), "{self:?}");
    }

    #[track_caller]
    pub fn assert_no_cookie(&self) {
        assert_eq!(self.set_cookies(), [""; 0]);
    }
}

/// The id in an unsigned cookie pair.
pub fn id_of(cookie: &str) -> SessionId {
    SessionId::parse(cookie.split_once('=').unwrap().1).unwrap()
}

/// Sends a request without a body; `cookies` are lines of the `Cookie` header.
pub async fn send(app: &Router, path: &str, cookies: &[impl AsRef<[u8]>]) -> Reply {
    let mut request = Request::get(path);
    for cookie in cookies {
        request = request.header(COOKIE, cookie.as_ref());
    }
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Reply { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

pub const NO_COOKIES: &[&str] = &[];

/// What another process reads of this session.
pub async fn stored<T>(store: &Arc<Store>, id: &SessionId, name: &str) -> Option<T>
where
    T: serde::de::DeserializeOwned + Clone + Send + Sync + 'static,
{
    manager(store).open(&RequestContext::default(), Some(id)).await.unwrap().get(name).unwrap()
}

/// Waits until it is so; fails after ten seconds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(10), "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
