//! A crowd of requests while nobody answers.

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{App, OPERATION_TIMEOUT, Reply, Row, Scene, Way, everywhere};
use session_core::{SessionId, SessionProvider};
use session_redis::{RedisConfig, RedisProvider};
use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};
use tokio::task::JoinHandle;

const CROWD: usize = 1000;

const PATIENCE: Duration = Duration::from_secs(1);

/// More memory than the crowds may take, in KiB: those of all cases, which are beside each other. They take about 100 MiB.
const MOST_MEMORY: usize = 256 << 10;

/// Accepts connections and never says a word.
struct Mute {
    address: SocketAddr,
    attempts: Arc<AtomicUsize>,
    /// How many were open at a time.
    most: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl Mute {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mute = Self { address, attempts: Arc::default(), most: Arc::default(), stopped: Arc::default() };
        let (attempts, most, stopped) = (mute.attempts.clone(), mute.most.clone(), mute.stopped.clone());
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                // Whoever connects again has closed his connection before, and that is known here by then.
                open.retain_mut(is_open);
                let stream = stream.unwrap();
                stream.set_nonblocking(true).unwrap();
                open.push(stream);
                attempts.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(open.len(), Ordering::SeqCst);
            }
        });
        mute
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn is_open(stream: &mut TcpStream) -> bool {
    let mut said = [0; 1024];
    loop {
        match stream.read(&mut said) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

/// Half of the crowd is of one session, the others have one each.
fn crowd(app: &App) -> Vec<JoinHandle<Reply>> {
    let shared = SessionId::generate().unwrap();
    let request = |number: usize| {
        let id = if number.is_multiple_of(2) { shared } else { SessionId::generate().unwrap() };
        let app = app.clone();
        tokio::spawn(async move { app.get("/count", Some(&format!("__Host-session={}", id.expose()))).await })
    };
    (0..CROWD).map(request).collect()
}

/// What this process occupies, in KiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends the crowd; checks how each is answered.
async fn all_are_answered(row: &Row, way: Way, throw: bool, app: &App) {
    let before = resident();
    let start = Instant::now();
    let requests = crowd(app);
    tokio::time::sleep(PATIENCE / 2).await;
    let waiting = resident();
    assert!(app.manager.live_sessions() <= 1 + CROWD / 2);
    for request in requests {
        let reply = request.await.unwrap();
        reply.assert_in_time(PATIENCE);
        reply.assert_no_cookie();
        if throw {
            assert!(row.statuses.contains(&reply.status), "{reply:?}");
        } else {
            reply.assert(200, "1");
        }
    }
    row.assert_kind(way, app.last_error().kind());
    assert!(start.elapsed() >= PATIENCE, "they did not try again: {:?}", start.elapsed());
    drop(app.last_session());
    assert_eq!((app.manager.live_sessions(), app.manager.kept_bytes()), (0, 0));
    println!("{before} KiB before, {waiting} KiB while {CROWD} requests waited");
    assert!(waiting.saturating_sub(before) < MOST_MEMORY, "{before} KiB before, {waiting} KiB while they waited");
}

#[test]
fn f42_a_thousand_requests_while_nobody_listens() {
    let row = Row::of("F42");
    everywhere("F42", &Way::ALL, async |way, throw| {
        let mut scene = Scene::plain(way);
        let provider = scene.provider();
        let cookie = App::new(Arc::clone(&provider), throw, Duration::ZERO).start().await;
        let app = App::new(provider, throw, PATIENCE);
        scene.kill();
        all_are_answered(&row, way, throw, &app).await;
        scene.restart();
        let healed = Instant::now();
        while app.get("/read", Some(&cookie)).await.body != "dark" {
            assert!(healed.elapsed() < Duration::from_secs(1));
        }
    });
}

/// And never more than one of them, for all, is trying to connect.
#[test]
fn f42_a_thousand_requests_while_nobody_answers() {
    let row = Row::of("F42");
    everywhere("F42", &[Way::Direct, Way::ToTwemproxy], async |way, throw| {
        let mute = Mute::start();
        let (url, soon) = (format!("redis://{}", mute.address), Duration::from_millis(100));
        let provider: Arc<dyn SessionProvider> = match way {
            Way::Direct => {
                let config = RedisConfig::new().url(url).connect_timeout(soon).operation_timeout(OPERATION_TIMEOUT);
                Arc::new(RedisProvider::new(&config).unwrap())
            }
            _ => {
                let config = TwemproxyConfig::new().url(url).connect_timeout(soon).connections(1);
                Arc::new(TwemproxyProvider::new(&config).unwrap())
            }
        };
        let app = App::new(provider, throw, PATIENCE);
        all_are_answered(&row, way, throw, &app).await;
        let (attempts, most) = (mute.attempts.load(Ordering::SeqCst), mute.most.load(Ordering::SeqCst));
        assert_eq!(most, 1, "{most} of {attempts} attempts at a time");
        assert!((3..=30).contains(&attempts), "{attempts} attempts");
    });
}
