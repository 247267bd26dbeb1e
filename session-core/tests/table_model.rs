//! The table of live sessions under thousands of schedules: shuttle decides at every lock which thread goes on.
//!
//! `table.rs` is compiled here once more, with shuttle's mutex, a clock that only the test moves, and a hasher that
//! puts a key in the same shard each time. A failure names the seed; `SESSION_TEST_SEED` runs the same schedules again.

use secret_watch as _;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use session_core::conformance::{seed, soaked};
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner, thread};

use table::{LiveKey, Resident, Table};

mod key {
    pub(crate) use session_core::SessionKey;
}

mod sync {
    use std::hash::{BuildHasherDefault, DefaultHasher};
    use std::ops::Add;
    use std::time::Duration;

    pub(super) use shuttle::sync::{Mutex, MutexGuard};

    pub(super) type RandomState = BuildHasherDefault<DefaultHasher>;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub(super) struct Instant(Duration);

    impl Instant {
        pub(super) fn now() -> Self {
            Self(super::CLOCK.get())
        }
    }

    impl Add<Duration> for Instant {
        type Output = Self;

        fn add(self, time: Duration) -> Self {
            Self(self.0 + time)
        }
    }
}

#[path = "../src/live/table.rs"]
mod table;

thread_local! {
    // Shuttle's threads all run on the thread of their test.
    static CLOCK: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

const TICK: Duration = Duration::from_secs(1);
const BYTES: usize = 10;

/// A session, with what the test knows of it.
#[derive(Default)]
struct Thing {
    home: sync::Mutex<Option<LiveKey>>,
    /// It has changes that are not stored, so it is not worth keeping.
    dirty: bool,
    truth: std::sync::Mutex<Truth>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Truth {
    /// Holds that were surely taken and surely not given back yet.
    holders: usize,
    /// Somebody is about to take it out, or did.
    leaving: bool,
    /// It was taken out.
    left: bool,
}

impl Thing {
    fn truth(&self) -> Truth {
        *self.truth.lock().unwrap()
    }

    fn learn(&self, change: impl FnOnce(&mut Truth)) {
        change(&mut self.truth.lock().unwrap());
    }
}

impl Resident for Thing {
    fn home(&self) -> &sync::Mutex<Option<LiveKey>> {
        &self.home
    }

    fn keep(&self, keep_for: Duration) -> Option<(Duration, usize)> {
        (!keep_for.is_zero() && !self.dirty).then_some((keep_for, BYTES))
    }
}

fn thing() -> Arc<Thing> {
    Arc::new(Thing { dirty: thread_rng().gen_ratio(1, 4), ..Thing::default() })
}

/// The table and what the test knows of it. None of the test's own locks lets another thread in.
struct World {
    table: Table<Thing>,
    /// Every thing that was ever in the table.
    things: std::sync::Mutex<Vec<Arc<Thing>>>,
    /// Steps that change the number of holders and have not returned yet.
    under_way: std::sync::Mutex<usize>,
}

impl World {
    /// A step that takes or gives back a hold: the test learns of it only after it returned.
    fn counted<R>(&self, step: impl FnOnce() -> R, learn: impl FnOnce(&R)) -> R {
        *self.under_way.lock().unwrap() += 1;
        let result = step();
        learn(&result);
        *self.under_way.lock().unwrap() -= 1;
        result
    }

    fn acquire(&self, key: LiveKey) -> Arc<Thing> {
        let make = || {
            let made = thing();
            self.things.lock().unwrap().push(Arc::clone(&made));
            made
        };
        self.counted(|| self.table.acquire(key, make), |thing| thing.learn(|truth| truth.holders += 1))
    }

    fn enter(&self, key: LiveKey) -> Option<Arc<Thing>> {
        let made = thing();
        let enter = || self.table.enter(key, &made);
        let entered = self.counted(enter, |entered| {
            if *entered {
                made.learn(|truth| truth.holders += 1);
                self.things.lock().unwrap().push(Arc::clone(&made));
            }
        });
        entered.then_some(made)
    }

    fn hold(&self, thing: &Arc<Thing>) -> Arc<Thing> {
        self.counted(|| self.table.hold(thing), |()| thing.learn(|truth| truth.holders += 1));
        Arc::clone(thing)
    }

    fn hold_kept(&self) -> Vec<Arc<Thing>> {
        let kept = || self.table.hold_kept(|thing| !thing.dirty);
        self.counted(kept, |held| held.iter().for_each(|thing| thing.learn(|truth| truth.holders += 1)))
    }

    fn release(&self, thing: &Arc<Thing>) {
        thing.learn(|truth| truth.holders -= 1);
        self.counted(|| self.table.release(thing), |()| {});
    }

    fn remove(&self, thing: &Arc<Thing>) {
        thing.learn(|truth| truth.leaving = true);
        self.table.remove(thing);
        thing.learn(|truth| truth.left = true);
        assert!(!self.table.contains(thing), "it was removed");
    }

    fn detach_if_last(&self, thing: &Arc<Thing>) {
        let before = thing.truth();
        self.counted(
            || self.table.detach_if_last(thing),
            |left| {
                if *left && !before.leaving && !thing.truth().leaving {
                    assert_eq!(thing.truth().holders, 1, "it was detached from under another holder");
                    thing.learn(|truth| (truth.leaving, truth.left) = (true, true));
                }
            },
        );
    }

    fn check(&self) {
        self.table.audit(|all| {
            let under_way = *self.under_way.lock().unwrap();
            for (thing, holders) in all {
                let truth = thing.truth();
                assert!(!truth.left, "what was taken out is back");
                assert!(
                    (truth.holders..=truth.holders + under_way).contains(holders),
                    "{holders} holders are counted, and {truth:?} with {under_way} steps under way"
                );
            }
            for thing in &*self.things.lock().unwrap() {
                let truth = thing.truth();
                let is_here = all.iter().any(|(other, _)| Arc::ptr_eq(other, thing));
                assert!(is_here || truth.holders == 0 || truth.leaving, "it was dropped while it was held: {truth:?}");
            }
        });
    }

    /// A random step of a thread that has these holds.
    fn step(&self, held: &mut Vec<Arc<Thing>>) {
        let mine = (!held.is_empty()).then(|| thread_rng().gen_range(0..held.len()));
        match (thread_rng().gen_range(0..13), mine) {
            (0..=2, _) | (_, None) => held.push(self.acquire(any_key())),
            (3, _) => held.extend(self.enter(any_key())),
            (4, Some(mine)) => {
                let again = self.hold(&held[mine]);
                held.push(again);
            }
            (5 | 6, Some(mine)) => self.release(&held.swap_remove(mine)),
            (7, Some(mine)) => {
                let before = held[mine].truth();
                let moved = self.table.move_to(&held[mine], any_key());
                assert!(!moved || !before.left, "what was taken out cannot move");
            }
            (8, Some(mine)) => self.remove(&held[mine]),
            (9, Some(mine)) => self.detach_if_last(&held[mine]),
            (10, Some(_)) => {
                CLOCK.set(CLOCK.get() + TICK);
                self.table.sweep();
            }
            (11, Some(_)) => held.extend(self.hold_kept()),
            (_, Some(mine)) => {
                let thing = &held[mine];
                assert!(self.table.contains(thing) || thing.truth().leaving, "it was dropped while it was held");
                let others = thing.truth().holders > 1 && held.iter().filter(|it| Arc::ptr_eq(it, thing)).count() > 1;
                assert!(!others || self.table.is_shared(thing) || thing.truth().leaving, "it is held twice here");
            }
        }
    }
}

fn any_key() -> LiveKey {
    let name = ["a", "b", "c"][thread_rng().gen_range(0..3)];
    LiveKey { store: 0, key: key::SessionKey::new(name).unwrap() }
}

fn schedule(shards: usize, keep_for: Duration) {
    const THREADS: usize = 3;
    const STEPS: usize = 7;
    CLOCK.set(Duration::ZERO);
    let world = Arc::new(World {
        table: Table::new(shards, keep_for, shards * BYTES * 3 / 2),
        things: Default::default(),
        under_way: Default::default(),
    });
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let mut held = Vec::new();
                for _ in 0..STEPS {
                    world.step(&mut held);
                    world.check();
                }
                for thing in held {
                    world.release(&thing);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    world.check();
    if keep_for.is_zero() {
        assert_eq!(world.table.count(), (0, 0), "nobody holds anything any more");
    }
    CLOCK.set(CLOCK.get() + keep_for);
    world.table.sweep();
    assert_eq!(world.table.count(), (0, 0), "nothing is kept for longer than it may");
}

fn run(scheduler: impl Scheduler + 'static, shards: usize, keep_for: Duration) {
    Runner::new(scheduler, Config::default()).run(move || schedule(shards, keep_for));
}

/// One shard, where all steps wait for one lock, and two, where moves take both.
const TABLES: [(usize, Duration); 4] =
    [(1, Duration::ZERO), (2, Duration::ZERO), (1, Duration::from_secs(2)), (2, Duration::from_secs(2))];

const SCHEDULES: usize = 1_500;

#[test]
fn random_schedules() {
    let seed = seed();
    println!("SESSION_TEST_SEED={seed}");
    for (shards, keep_for) in TABLES {
        run(RandomScheduler::new_from_seed(seed, soaked(SCHEDULES)), shards, keep_for);
    }
}

/// Schedules with few changes of thread, which find what needs them at one exact place.
#[test]
fn schedules_with_few_changes_of_thread() {
    let seed = seed();
    println!("SESSION_TEST_SEED={seed}");
    for (shards, keep_for) in TABLES {
        run(PctScheduler::new_from_seed(seed, 4, soaked(SCHEDULES)), shards, keep_for);
    }
}

/// Two moves between the same shards in opposite directions take both locks; shuttle reports it if they wait for each
/// other.
#[test]
fn moves_in_opposite_directions() {
    let seed = seed();
    println!("SESSION_TEST_SEED={seed}");
    let run = || {
        let table: Arc<Table<Thing>> = Arc::new(Table::new(2, Duration::ZERO, 0));
        let key = |name: &str| LiveKey { store: 0, key: key::SessionKey::new(name.to_owned()).unwrap() };
        let threads = [["a", "b", "c", "d", "e"], ["e", "d", "c", "b", "a"]].map(|path| {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                let held = table.acquire(key(path[0]), thing);
                for next in &path[1..] {
                    table.move_to(&held, key(next));
                }
                table.audit(|all| assert!(all.iter().any(|(thing, _)| Arc::ptr_eq(thing, &held))));
                table.release(&held);
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(table.count(), (0, 0));
    };
    Runner::new(RandomScheduler::new_from_seed(seed, soaked(SCHEDULES)), Config::default()).run(run);
}
