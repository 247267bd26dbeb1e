//! Requests of several processes on one session, interleaved at random with its end: dead stays dead.
//!
//! An episode is a handful of requests on one session, through several managers over one store, each of which stands
//! for a process. They read, change, touch, rotate, destroy and commit, are cancelled, and somebody ends the session
//! past the provider, as an expiry or an eviction does. What must hold whatever happens is checked as it happens, and
//! when everything has come to rest:
//!
//! - An id that was destroyed, or whose rotation was acknowledged, never shows anything of the session again; nor does
//!   any other id, once the session itself was found and destroyed, or has expired.
//! - What is changed after that is never acknowledged, but answered *gone*.
//! - Whatever is kept expires, at any time.
//! - At rest nobody holds the session, and no copy of a rotation is left over.
//!
//! A failure names the seed of its episode; with `SESSION_TEST_SEED` that one is the first to run.

mod gates;
mod request;
mod stepwise;
mod world;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::gates::{Faults, Gates};
use self::world::World;
use super::random::Random;
use crate::key::{KeyDerivation, SessionKey};
use crate::manager::SessionManager;
use crate::provider::SessionProvider;
use crate::serializer::SessionSerializer;

/// A store, and what must be possible past its provider.
#[async_trait]
pub trait Ground: Send + Sync + 'static {
    /// The provider of one more process.
    fn provider(&self) -> Arc<dyn SessionProvider>;

    /// Ends what is kept at this key, at once; `true` if that was a session, and no tombstone.
    async fn end(&self, key: &SessionKey, ending: Ending) -> bool;

    /// At how many of these keys something is kept that never expires.
    async fn endless(&self, keys: &[SessionKey]) -> usize;
}

/// How a session ends without anybody's asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its time is over.
    Expiry,
    /// The store needed the memory.
    Eviction,
}

/// How the requests of an episode are interleaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By the seed: one request goes on at a time, from one step of the store to the next.
    Stepwise,
    /// The same, in a store of which so many percent of the steps fail, before or after they were done. Takes the
    /// timed retry, and so a paused clock.
    Faulty(usize),
    /// As the scheduler of the runtime has it, each request on a task of its own.
    Concurrent,
}

/// What happened in a run, to see that it was not in vain.
#[must_use]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Episodes that were run.
    pub episodes: usize,
    /// Requests made in them.
    pub requests: usize,
    /// Of these, dropped before their end.
    pub cancelled: usize,
    /// Commits acknowledged.
    pub acknowledged: usize,
    /// Commits and changes that were answered *gone*.
    pub gone: usize,
    /// Sessions destroyed by a request, found and acknowledged.
    pub destroyed: usize,
    /// Sessions ended past the provider.
    pub ended: usize,
    /// Rotations acknowledged.
    pub rotated: usize,
}

/// Runs so many episodes.
///
/// # Panics
///
/// If one of the promises is broken.
pub async fn run<S: SessionSerializer>(
    ground: Arc<impl Ground>,
    codec: S,
    order: Order,
    seed: u64,
    episodes: usize,
) -> Tally {
    let mut tally = Tally::default();
    for number in 0..episodes as u64 {
        episode(&*ground, &codec, order, seed.wrapping_add(number), &mut tally).await;
    }
    tally
}

/// Names the episode and tells its story if it fails.
struct Named {
    seed: u64,
    order: Order,
    world: Arc<World>,
}

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.world.tell();
            eprintln!("SESSION_TEST_SEED={} ({:?})", self.seed, self.order);
        }
    }
}

async fn episode<S: SessionSerializer>(ground: &dyn Ground, codec: &S, order: Order, seed: u64, tally: &mut Tally) {
    const PROCESSES: usize = 3;
    let mut random = Random::new(seed);
    let faults = match order {
        Order::Faulty(percent) => Faults::new(percent, random.number()),
        _ => Faults::none(),
    };
    let gates = Arc::new(Gates::new(faults));
    let keys = KeyDerivation::hashed("interleaved:");
    let managers: Vec<SessionManager<S>> = (0..PROCESSES)
        .map(|_| {
            let builder = SessionManager::builder(gates.over(ground.provider()), codec.clone());
            let builder = builder.key_derivation(keys.clone()).keep_for(Duration::ZERO).shards(1);
            let slack = random.pick(&[0, 10]);
            let retry = if order == Order::Stepwise { Duration::ZERO } else { Duration::from_secs(3) };
            builder.expiry_slack(slack).retry_timeout(retry).build().expect("settings")
        })
        .collect();
    let world = Arc::new(World::new(keys, gates.clone(), seed));
    let _named = Named { seed, order, world: world.clone() };
    gates.open();
    request::create(&world, &managers[0]).await;
    if !matches!(order, Order::Concurrent) {
        gates.close();
    }
    let requests: Vec<stepwise::Request> = (0..3 + random.below(4))
        .map(|number| {
            let manager = random.pick(&managers);
            let random = Random::new(seed ^ (number as u64 + 1).wrapping_mul(0xD1B5_4A32_D192_ED03));
            Box::pin(request::run(number, world.clone(), manager, random)) as stepwise::Request
        })
        .collect();
    tally.episodes += 1;
    tally.requests += requests.len();
    let end = random.percent(35).then(|| random.below(14));
    match order {
        Order::Concurrent => concurrent(ground, &world, requests, end).await,
        Order::Stepwise | Order::Faulty(_) => {
            let driven = stepwise::drive(ground, &world, requests, end, &mut random);
            tally.cancelled += tokio::task::unconstrained(driven).await;
        }
    }
    gates.open();
    for manager in &managers {
        manager.shutdown().await;
        assert_eq!(manager.live_sessions(), 0, "a session is held by nobody");
    }
    world.check_at_rest(ground, codec).await;
    world.add_to(tally);
}

/// Each request on a task of its own.
async fn concurrent(ground: &dyn Ground, world: &World, requests: Vec<stepwise::Request>, end: Option<usize>) {
    let mut tasks = tokio::task::JoinSet::new();
    for request in requests {
        tasks.spawn(request);
    }
    let mut round = 0;
    while !tasks.is_empty() {
        if end == Some(round) {
            world.end(ground, Ending::Eviction).await;
        }
        round += 1;
        world.check_expiries(ground).await;
        while let Some(done) = tasks.try_join_next() {
            if let Err(error) = done {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        tokio::task::yield_now().await;
    }
}
