//! Shops as processes of their own, and visitors who go to several of them.

#![allow(dead_code, unreachable_pub, reason = "each test has this as a module of its own, and none uses all of it")]

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secret_watch::search_output;
use serde::Deserialize;
use tokio::task::JoinSet;

/// Longer than anything here takes.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A running shop, killed when dropped.
pub struct Shop(pub Child);

impl Shop {
    /// Starts it with no settings but these.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let mut command = Self::command(settings);
        command.stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Starts it on this Redis, or on what else the settings say, and waits until it listens; the answer is the address
    /// too. What it logs, at every level, is searched for secrets; what tests do to shops is worth many warnings, so only
    /// errors are shown.
    pub fn open(url: &str, settings: &[(&str, &str)]) -> (Self, String) {
        let mut command = Self::command(&[&[("SESSION_PROVIDER", "redis"), ("SESSION_URL", url)], settings].concat());
        command.env("RUST_LOG", "trace").stderr(Stdio::piped());
        let mut shop = Self(command.spawn().unwrap());
        let all = env::var_os("RUST_LOG").is_some();
        search_output("the log of a shop", shop.0.stderr.take().unwrap(), move |line| {
            if all || line.contains(" ERROR ") {
                eprintln!("{line}");
            }
        });
        let line = shop.first_line();
        let address = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}"));
        (shop, address.to_owned())
    }

    fn command(settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        let of_sessions = |name: &OsString| name.to_str().is_some_and(|name| name.starts_with("SESSION_"));
        for name in env::vars_os().map(|(name, _)| name).filter(of_sessions) {
            command.env_remove(name);
        }
        command.env("PORT", "0").envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    pub fn first_line(&mut self) -> String {
        let output = self.0.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = sender.send(BufReader::new(output).read_line(&mut line).map(|_| line));
        });
        receiver.recv_timeout(DEADLINE).expect("it prints a line").unwrap()
    }

    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < DEADLINE, "it did not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Tells it to end, as an operator does.
    pub fn stop(&mut self) -> ExitStatus {
        let told = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(told.success());
        self.wait()
    }

    /// Ends it as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Several copies of the shop on one Redis.
pub struct Shops {
    pub processes: Vec<Shop>,
    pub addresses: Vec<String>,
}

impl Shops {
    pub fn open(count: usize, url: &str, settings: &[(&str, &str)]) -> Self {
        let (processes, addresses) = (0..count).map(|_| Shop::open(url, settings)).unzip();
        Self { processes, addresses }
    }

    /// All that are still running.
    pub fn assert_running(&mut self) {
        for shop in &mut self.processes {
            assert_eq!(shop.0.try_wait().unwrap(), None, "a shop has ended");
        }
    }
}

/// What `GET /session` answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Contents {
    pub visits: u64,
    pub cart: BTreeMap<String, u32>,
    pub theme: String,
    pub user: Option<String>,
}

/// Somebody with one session, in as many windows as wanted.
#[derive(Clone)]
pub struct Visitor {
    client: Client,
    cookie: String,
}

impl Visitor {
    /// Gets a session by a first visit, which is counted.
    pub async fn new(client: &Client, shop: &str) -> Self {
        let response = client.get(format!("{shop}/visits")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Self { client: client.clone(), cookie: cookie(&response).expect("a cookie") }
    }

    /// Somebody who has this cookie.
    pub fn with_cookie(client: &Client, cookie: impl Into<String>) -> Self {
        Self { client: client.clone(), cookie: cookie.into() }
    }

    /// The secret id.
    pub fn id(&self) -> &str {
        self.cookie.split_once('=').unwrap().1
    }

    pub fn get(&self, shop: &str, path: &str) -> RequestBuilder {
        self.client.get(format!("{shop}{path}")).header(COOKIE, &self.cookie)
    }

    pub fn post(&self, shop: &str, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.client.post(format!("{shop}{path}")).header(COOKIE, &self.cookie).form(form)
    }

    pub async fn contents(&self, shop: &str) -> Contents {
        let response = self.get(shop, "/session").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }
}

/// A client that keeps no cookies, follows nothing, and waits for ever for nothing.
pub fn client() -> Client {
    Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(60)).build().unwrap()
}

/// What a browser sends back: the name and value of the cookie that was set.
pub fn cookie(response: &Response) -> Option<String> {
    let header = response.headers().get(SET_COOKIE)?.to_str().unwrap();
    Some(header.split(';').next().unwrap().to_owned())
}

/// Does all of this work in its order, so many pieces at once.
pub async fn side_by_side<W, F>(at_once: usize, work: impl IntoIterator<Item = W>, run: impl Fn(W) -> F)
where
    W: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let queue = Arc::new(Mutex::new(work.into_iter().map(run).collect::<VecDeque<_>>()));
    let mut workers = JoinSet::new();
    for _ in 0..at_once {
        let queue = Arc::clone(&queue);
        workers.spawn(async move {
            loop {
                let next = queue.lock().unwrap().pop_front();
                match next {
                    Some(piece) => piece.await,
                    None => return,
                }
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
}
