//! The steps of a provider, directly at a Redis and through a TwemProxy, in the same run.
//!
//! Each way is measured in turns of a fraction of a second, so that whatever else the machine does concerns all of them
//! alike; what is told is the median of the turns. Times are good as ratios within one run only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use session_core::{
    Action, AttributeName, Change, Checked, Commit, Committed, Creation, Deadline, Generation, Loaded, SessionId,
    SessionKey, SessionProvider, WriterId,
};
use session_redis::{RedisConfig, RedisProvider};
use session_twemproxy::{TwemproxyConfig, TwemproxyProvider};
use test_support::{Nutcracker, RedisServer};

const TURNS: usize = 7;
const TURN: Duration = Duration::from_millis(250);
const TASKS: [usize; 2] = [1, 64];
const ATTRIBUTES: usize = 20;
const BYTES: usize = 64;

/// One task's session.
#[derive(Clone)]
struct Owner {
    key: SessionKey,
    generation: Generation,
    writer: WriterId,
    sequence: u64,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Load,
    Check,
    Set,
    Increment,
}

const STEPS: [Step; 4] = [Step::Load, Step::Check, Step::Set, Step::Increment];

impl Owner {
    async fn create(provider: &dyn SessionProvider) -> Self {
        let id = SessionId::generate().expect("randomness");
        let mut owner = Self {
            key: SessionKey::new(format!("session:{}", id.expose())).expect("a key"),
            generation: Generation::generate().expect("randomness"),
            writer: WriterId::generate().expect("randomness"),
            sequence: 0,
        };
        let creation = Creation { fingerprint: id.fingerprint(), created: None, deadline: Deadline::Never };
        let changes = (0..ATTRIBUTES).map(|number| set(&format!("attribute{number:02}"), 0)).collect();
        let commit = Commit { creation: Some(creation), ..owner.commit(changes) };
        assert!(matches!(provider.commit(&owner.key, &commit).await, Ok(Committed::Done { .. })));
        owner
    }

    fn commit(&mut self, changes: Vec<Change>) -> Commit {
        self.sequence += 1;
        Commit {
            generation: self.generation,
            writer: self.writer,
            sequence: self.sequence,
            repeated: false,
            creation: None,
            changes,
            idle_timeout: None,
            time_to_live: Duration::from_secs(1200),
        }
    }

    async fn take(&mut self, step: Step, provider: &dyn SessionProvider) {
        let done = match step {
            Step::Load => matches!(provider.load(&self.key, self.writer).await, Ok(Loaded::Session(_))),
            Step::Check => matches!(provider.check(&self.key).await, Ok(Checked::Present { .. })),
            Step::Set | Step::Increment => {
                let change = match step {
                    Step::Set => set("attribute07", self.sequence),
                    _ => Change { name: name("visits"), action: Action::Increment(1) },
                };
                let commit = self.commit(vec![change]);
                matches!(provider.commit(&self.key, &commit).await, Ok(Committed::Done { .. }))
            }
        };
        assert!(done, "{step:?} failed");
    }
}

fn name(name: &str) -> AttributeName {
    AttributeName::new(name).expect("a name")
}

fn set(attribute: &str, number: u64) -> Change {
    Change { name: name(attribute), action: Action::Set(format!("{number:0BYTES$}").into()) }
}

/// A way to a store, with sessions in it.
struct Way {
    title: &'static str,
    provider: Arc<dyn SessionProvider>,
    owners: Vec<Owner>,
}

impl Way {
    async fn new(title: &'static str, provider: impl SessionProvider) -> Self {
        let mut owners = Vec::new();
        for _ in 0..TASKS[TASKS.len() - 1] {
            owners.push(Owner::create(&provider).await);
        }
        Self { title, provider: Arc::new(provider), owners }
    }

    /// Steps per second, when so many tasks take them at the same time.
    async fn turn(&mut self, step: Step, tasks: usize) -> f64 {
        let over = Arc::<AtomicBool>::default();
        let start = Instant::now();
        let running: Vec<_> = self.owners[..tasks]
            .iter()
            .cloned()
            .map(|mut owner| {
                let (provider, over) = (self.provider.clone(), over.clone());
                tokio::spawn(async move {
                    let mut count = 0_u32;
                    while !over.load(Ordering::Relaxed) {
                        owner.take(step, &*provider).await;
                        count += 1;
                    }
                    (owner, count)
                })
            })
            .collect();
        tokio::time::sleep(TURN).await;
        over.store(true, Ordering::Relaxed);
        let mut steps = 0;
        for (place, task) in running.into_iter().enumerate() {
            let (owner, count) = task.await.expect("every step succeeds");
            self.owners[place] = owner;
            steps += count;
        }
        f64::from(steps) / start.elapsed().as_secs_f64()
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let redis = RedisServer::spawn().expect("redis-server starts");
    let proxy = Nutcracker::spawn().expect("nutcracker starts");
    let direct = || RedisConfig::new().url(redis.url());
    let proxied = || TwemproxyConfig::new().url(proxy.url());
    let redis_provider = |config| RedisProvider::new(&config).expect("right settings");
    let proxy_provider = |config| TwemproxyProvider::new(&config).expect("right settings");
    let mut ways = [
        Way::new("direct", redis_provider(direct())).await,
        Way::new("direct, 4 connections", redis_provider(direct().connections(4))).await,
        Way::new("proxy, 1 connection", proxy_provider(proxied().connections(1))).await,
        Way::new("proxy (4 connections)", proxy_provider(proxied())).await,
    ];
    println!("{ATTRIBUTES} attributes of {BYTES} bytes; steps per second, and their ratio to `direct`");
    println!("(one redis-server directly; a nutcracker before three)\n");
    println!("| step, tasks | {} |", ways.each_ref().map(|way| way.title).join(" | "));
    println!("|---|---|---|---|---|");
    for step in STEPS {
        for tasks in TASKS {
            let mut rates = vec![Vec::new(); ways.len()];
            for _ in 0..TURNS {
                for (way, rates) in ways.iter_mut().zip(&mut rates) {
                    rates.push(way.turn(step, tasks).await);
                }
            }
            let medians: Vec<_> = rates.into_iter().map(median).collect();
            let cells = medians.iter().map(|rate| format!("{rate:.0} ({:.2})", rate / medians[0]));
            println!("| {step:?}, {tasks} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
