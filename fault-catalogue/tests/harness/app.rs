//! A small application with sessions, and somebody who uses it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::get;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Request};
use session_core::{Error, RequestContext, SessionId, SessionManager, SessionManagerBuilder, SessionProvider};
use session_serde::Codec;
use session_tower::{Session, SessionLayer, SessionRejection};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;

use super::panics::{self, ON_PURPOSE};

/// How long one call of the store may take: as set unless somebody sets it.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(1);

/// An application under a [`SessionLayer`], which is called in memory.
#[derive(Clone)]
pub struct App {
    router: Router,
    /// Its sessions.
    pub manager: SessionManager<Codec>,
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    last: Mutex<Option<session_core::Session<Codec>>>,
    gate: Gate,
}

/// Where handlers that wait stop in their midst until it is opened.
pub struct Gate {
    waiting: Semaphore,
    open: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { waiting: Semaphore::new(0), open: watch::Sender::new(false) }
    }
}

impl Gate {
    async fn pass(&self) {
        let mut open = self.open.subscribe();
        self.waiting.add_permits(1);
        let _ = open.wait_for(|open| *open).await;
    }

    /// Waits until so many handlers stand before it.
    pub async fn wait_for(&self, handlers: usize) {
        let handlers = u32::try_from(handlers).expect("a small number");
        let waiting = tokio::time::timeout(Duration::from_secs(10), self.waiting.acquire_many(handlers)).await;
        waiting.expect("they come within ten seconds").expect("it is never closed").forget();
    }

    /// Lets them and all others pass.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Stops those who come from now on.
    pub fn close(&self) {
        self.open.send_replace(false);
    }
}

type Answer = Result<String, SessionRejection>;

/// A handler's session, which is noted for the test.
fn noted(desk: &Desk, session: Session) -> Session {
    *desk.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.clone().into_inner());
    session
}

async fn start(State(desk): State<Arc<Desk>>, session: Session) -> Answer {
    let session = noted(&desk, session);
    session.insert("theme", "dark")?;
    session.increment("visits", 1)?;
    Ok("started".to_owned())
}

async fn read(State(desk): State<Arc<Desk>>, session: Session) -> Answer {
    let session = noted(&desk, session);
    Ok(session.get("theme")?.unwrap_or_else(|| "none".to_owned()))
}

async fn visits(session: Session) -> Answer {
    Ok(session.get::<i64>("visits")?.unwrap_or_default().to_string())
}

async fn write(State(desk): State<Arc<Desk>>, session: Session) -> Answer {
    let session = noted(&desk, session);
    session.insert("theme", "bright")?;
    Ok("written".to_owned())
}

async fn fill(State(desk): State<Arc<Desk>>, Path(bytes): Path<usize>, session: Session) -> Answer {
    let session = noted(&desk, session);
    session.insert("filling", &"x".repeat(bytes))?;
    Ok("filled".to_owned())
}

async fn count(State(desk): State<Arc<Desk>>, session: Session) -> Answer {
    let session = noted(&desk, session);
    Ok(session.increment("visits", 1)?.to_string())
}

async fn login(State(desk): State<Arc<Desk>>, session: Session) -> Answer {
    let session = noted(&desk, session);
    session.insert("user", "ann")?;
    session.rotate_id()?;
    Ok("welcome".to_owned())
}

async fn user(session: Session) -> Answer {
    Ok(session.get("user")?.unwrap_or_else(|| "nobody".to_owned()))
}

async fn logout(State(desk): State<Arc<Desk>>, session: Session) -> Answer {
    let session = noted(&desk, session);
    session.destroy()?;
    Ok("bye".to_owned())
}

async fn panic(session: Session) -> Answer {
    session.increment("visits", 1)?;
    panic!("{ON_PURPOSE}")
}

/// Reads, waits, then counts.
async fn wait_and_count(State(desk): State<Arc<Desk>>, session: Session) -> Answer {
    let session = noted(&desk, session);
    session.get::<String>("theme")?;
    desk.gate.pass().await;
    Ok(session.increment("visits", 1)?.to_string())
}

/// Reads, waits, then logs in.
async fn wait_and_login(State(desk): State<Arc<Desk>>, session: Session) -> Answer {
    desk.gate.pass().await;
    login(State(desk), session).await
}

/// Counts, then waits.
async fn count_and_wait(State(desk): State<Arc<Desk>>, session: Session) -> Answer {
    let session = noted(&desk, session);
    session.increment("visits", 1)?;
    desk.gate.pass().await;
    Ok("counted".to_owned())
}

async fn read_and_wait(State(desk): State<Arc<Desk>>, session: Session) -> Answer {
    let theme: Option<String> = session.get("theme")?;
    desk.gate.pass().await;
    Ok(theme.unwrap_or_else(|| "none".to_owned()))
}

impl App {
    /// An application that behaves like a process of its own.
    pub fn new(provider: Arc<dyn SessionProvider>, throw: bool, retry_timeout: Duration) -> Self {
        Self::with(provider, |builder| builder.throw_on_error(throw).retry_timeout(retry_timeout))
    }

    /// The same with any settings.
    pub fn with(
        provider: Arc<dyn SessionProvider>,
        set: impl FnOnce(SessionManagerBuilder<Codec>) -> SessionManagerBuilder<Codec>,
    ) -> Self {
        let manager = set(SessionManager::builder(provider, Codec::default())).build().expect("the settings are right");
        Self::below(SessionLayer::new(manager.clone()), manager)
    }

    /// An application below this layer, which uses this manager.
    pub fn below(layer: SessionLayer, manager: SessionManager<Codec>) -> Self {
        panics::watch();
        let desk = Arc::<Desk>::default();
        let router = Router::new()
            .route("/start", get(start))
            .route("/read", get(read))
            .route("/visits", get(visits))
            .route("/write", get(write))
            .route("/fill/{bytes}", get(fill))
            .route("/count", get(count))
            .route("/login", get(login))
            .route("/user", get(user))
            .route("/logout", get(logout))
            .route("/panic", get(panic))
            .route("/wait/count", get(wait_and_count))
            .route("/wait/login", get(wait_and_login))
            .route("/count/wait", get(count_and_wait))
            .route("/read/wait", get(read_and_wait))
            .layer(layer)
            .with_state(Arc::clone(&desk));
        Self { router, manager, desk }
    }

    /// Sends a request with this cookie, if any.
    pub async fn get(&self, path: &str, cookie: Option<&str>) -> Reply {
        self.get_with(path, cookie, &[]).await
    }

    /// The same with further headers.
    pub async fn get_with(&self, path: &str, cookie: Option<&str>, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::get(path);
        let cookie = cookie.map(|cookie| (COOKIE.as_str(), cookie));
        for (name, value) in headers.iter().copied().chain(cookie) {
            request = request.header(name, value);
        }
        let start = Instant::now();
        let request = request.body(Body::empty()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("it cannot fail");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a whole body");
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).expect("text"),
            took: start.elapsed(),
        }
    }

    /// A new session, in which `theme` is dark and `visits` 1; the answer is its cookie.
    pub async fn start(&self) -> String {
        let reply = self.get("/start", None).await;
        reply.assert(200, "started");
        reply.cookie()
    }

    /// The session of the last request whose handler ran; asked for once.
    pub fn last_session(&self) -> Option<session_core::Session<Codec>> {
        self.desk.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The last error of any session.
    pub fn last_error(&self) -> Error {
        self.manager.last_error().expect("there was an error")
    }

    /// Where handlers that wait stop.
    pub fn gate(&self) -> &Gate {
        &self.desk.gate
    }

    /// What this attribute of a session holds, as a job without a request reads it.
    pub async fn stored(&self, cookie: &str, name: &str) -> Option<String> {
        let session = self.manager.open(&RequestContext::default(), Some(&id_of(cookie))).await.expect("it is read");
        match name {
            "visits" => session.get::<i64>(name).expect("a number").map(|visits| visits.to_string()),
            _ => session.get::<String>(name).expect("a text"),
        }
    }
}

fn id_of(cookie: &str) -> SessionId {
    SessionId::parse(cookie.split_once('=').expect("a cookie").1).expect("an id")
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
    /// How long that took.
    pub took: Duration,
}

impl Reply {
    /// The lines of `Set-Cookie`.
    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().expect("text")).collect()
    }

    /// What a browser sends back: the name and value of the only cookie that was set.
    pub fn cookie(&self) -> String {
        let [set] = self.set_cookies()[..] else { panic!("expected one cookie in {self:?}") };
        set.split(';').next().expect("there is a first part").to_owned()
    }

    /// Fails unless this came back.
    #[track_caller]
    pub fn assert(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.body.as_str()), (status, body), "{self:?}");
    }

    /// Fails if it sets or removes a cookie.
    #[track_caller]
    pub fn assert_no_cookie(&self) {
        assert_eq!(self.set_cookies(), [""; 0], "{self:?}");
    }

    /// Fails if it came later than the retry timeout, one call of the store, and a second after the request.
    #[track_caller]
    pub fn assert_in_time(&self, retry_timeout: Duration) {
        let limit = retry_timeout + OPERATION_TIMEOUT + Duration::from_secs(1);
        assert!(self.took < limit, "it took {:?} instead of {limit:?}", self.took);
    }
}
