//! Random steps, compared one by one with a model of the contract that is as simple as can be.
//!
//! A failure names the seed. `SESSION_TEST_SEED` runs the same steps again.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::random::{Random, seed};
use super::scene::{Attributes, LIFE, SLACK, Scene, attributes, generation, name, writer};
use super::{Outcome, Subject};
use crate::error::{ErrorKind, Result};
use crate::id::{Fingerprint, Generation, WriterId};
use crate::provider::{
    Action, COUNTER_LIMIT, Change, Checked, Commit, Committed, Creation, Deadline, Destroyed, Destruction, Loaded,
    Renewal, Renewed, Retired, Retirement,
};

const STEPS: usize = 4_000;

/// A hundred years, in milliseconds.
const LONGEST_IDLE_TIMEOUT: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// The run ends before the tombstones that it leaves would.
const TIME: Duration = Duration::from_secs(40);

/// Thousands of random steps are answered as the contract says, and leave what it says.
pub(super) async fn random_steps_agree_with_the_model(subject: &dyn Subject) -> Outcome {
    let seed = seed();
    let started = Instant::now();
    let mut random = Random::new(seed);
    let writers = [writer(), writer(), writer()];
    let mut places: Vec<Place> = (0..3).map(|_| Place::new(subject, &writers)).collect();
    for number in 0..STEPS {
        if started.elapsed() > TIME {
            break;
        }
        let index = random.below(places.len());
        if places[index].is_worn_out() {
            places[index] = Place::new(subject, &writers);
        }
        let place = &mut places[index];
        let step = place.choose(&mut random);
        let context = format!("SESSION_TEST_SEED={seed}, step {number}, {step:?} on {:?}", place.model.state);
        place.take(step, &context).await;
        place.compare(writers[random.below(3)], &context).await;
    }
    Ok(())
}

enum Step {
    Commit(Box<Commit>),
    Renew(Renewal),
    Destroy(Destruction),
    Retire(Retirement),
}

impl fmt::Debug for Step {
    /// With the values, which the provider's own types hide.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(commit) => {
                write!(f, "{commit:?} with")?;
                for Change { name, action } in &commit.changes {
                    match action {
                        Action::Set(value) => write!(f, " {name} = {value:?};")?,
                        Action::Remove => write!(f, " no {name};")?,
                        Action::Increment(delta) => write!(f, " {name} + {delta};")?,
                        Action::Replace { seen, value } => write!(f, " {name}: {seen:?} -> {value:?};")?,
                    }
                }
                Ok(())
            }
            Self::Renew(renewal) => fmt::Debug::fmt(renewal, f),
            Self::Destroy(destruction) => fmt::Debug::fmt(destruction, f),
            Self::Retire(retirement) => fmt::Debug::fmt(retirement, f),
        }
    }
}

/// A key, who may want it, what was sent to it, and what must be there.
struct Place {
    scene: Scene,
    lives: Vec<(Generation, Fingerprint)>,
    writers: Vec<(WriterId, u64)>,
    commits: Vec<Commit>,
    retirements: Vec<Retirement>,
    steps: usize,
    steps_on_tombstone: usize,
    model: Model,
}

impl Place {
    fn new(subject: &dyn Subject, writers: &[WriterId]) -> Self {
        let scene = Scene::unused(subject);
        let lives = [scene.another_life(), scene.another_life()];
        Self {
            scene,
            lives: lives.map(|life| (life.generation, life.fingerprint)).to_vec(),
            writers: writers.iter().map(|writer| (*writer, 0)).collect(),
            commits: Vec::new(),
            retirements: Vec::new(),
            steps: 0,
            steps_on_tombstone: 0,
            model: Model { state: State::Absent },
        }
    }

    fn is_worn_out(&self) -> bool {
        self.steps > 80 || self.steps_on_tombstone > 8
    }

    fn choose(&mut self, random: &mut Random) -> Step {
        self.steps += 1;
        if matches!(self.model.state, State::Tombstone { .. }) {
            self.steps_on_tombstone += 1;
        }
        match random.below(100) {
            0..65 => Step::Commit(Box::new(self.new_commit(random))),
            65..80 if !self.commits.is_empty() => {
                let back = random.below(self.commits.len().min(6));
                let commit = self.commits[self.commits.len() - 1 - back].clone();
                Step::Commit(Box::new(Commit { repeated: true, ..commit }))
            }
            80..88 => Step::Renew(Renewal {
                generation: self.some_generation(random),
                time_to_live: random.pick(&[LIFE / 3, LIFE / 2, LIFE]),
            }),
            88..94 => Step::Destroy(Destruction {
                generation: self.some_generation(random),
                leave_tombstone: random.percent(20),
            }),
            94..97 if !self.retirements.is_empty() => Step::Retire(random.pick(&self.retirements)),
            _ => {
                let version = match &self.model.state {
                    State::Session(session) if random.percent(60) => session.version,
                    _ => random.below(8) as u64,
                };
                let retirement =
                    Retirement { generation: self.some_generation(random), version, successor: generation() };
                self.retirements.push(retirement.clone());
                Step::Retire(retirement)
            }
        }
    }

    /// Mostly the one that is there.
    fn some_generation(&self, random: &mut Random) -> Generation {
        match &self.model.state {
            State::Session(session) if random.percent(80) => session.generation,
            _ => random.pick(&self.lives).0,
        }
    }

    fn new_commit(&mut self, random: &mut Random) -> Commit {
        let there = matches!(self.model.state, State::Session(_));
        let (mut generation, fingerprint) = random.pick(&self.lives);
        let creation = random.percent(if there { 8 } else { 70 }).then(|| Creation {
            fingerprint,
            created: random.percent(30).then(|| random.number() % (1 << 42)),
            deadline: random.pick(&[Deadline::Never, Deadline::After(LIFE / 2), Deadline::At(1 << 50)]),
        });
        if creation.is_none() {
            generation = self.some_generation(random);
        }
        let (writer, newest) = &mut self.writers[random.below(3)];
        let sequence = if random.percent(8) { random.below(*newest as usize + 1) as u64 } else { *newest + 1 };
        *newest = sequence.max(*newest) + u64::from(random.percent(5)) * 10;
        let writer = *writer;
        let mut names = vec!["a", "b", "c", "d", "e"];
        let mut changes = Vec::new();
        for _ in 0..random.below(5) {
            let name = names.swap_remove(random.below(names.len()));
            changes.push(self.some_change(random, name));
        }
        let commit = Commit {
            generation,
            writer,
            sequence,
            repeated: random.percent(5),
            changes,
            creation,
            idle_timeout: match random.below(10) {
                0 => Some(None),
                1 => Some(Some(Duration::from_millis(1 + random.number() % LONGEST_IDLE_TIMEOUT))),
                _ => None,
            },
            time_to_live: random.pick(&[LIFE / 3, LIFE / 2, LIFE]),
        };
        self.commits.push(commit.clone());
        commit
    }

    fn some_change(&self, random: &mut Random, attribute: &str) -> Change {
        let values = ["", "0", "1", "5", "-7", "01", "x", "1.5", "999999999999999998", "9007199254740993"];
        let value = |random: &mut Random| Bytes::from(random.pick(&values));
        let present = match &self.model.state {
            State::Session(session) => session.attributes.get(attribute).cloned(),
            _ => None,
        };
        let action = match random.below(10) {
            0..3 => Action::Set(value(random)),
            3..4 => Action::Remove,
            4..7 => Action::Increment(random.pick(&[1, 1, 1, 2, -1, -3, 0, COUNTER_LIMIT, COUNTER_LIMIT + 1])),
            _ => Action::Replace {
                seen: if random.percent(85) { present } else { random.percent(60).then(|| value(random)) },
                value: random.percent(80).then(|| value(random)),
            },
        };
        Change { name: name(attribute), action }
    }

    /// Takes the step in the store and in the model.
    async fn take(&mut self, step: Step, context: &str) {
        let (store, key, sent) = (&self.scene.store, &self.scene.key, Instant::now());
        match step {
            Step::Commit(commit) => {
                let found = store.commit(key, &commit).await;
                if let Ok(Committed::Done { remaining, .. } | Committed::Already { remaining, .. }) = &found {
                    let remaining = *remaining;
                    assert_eq!(Answer::of(found), self.model.commit(&commit, sent), "{context}");
                    self.model.assert_life(remaining, context);
                } else {
                    assert_eq!(Answer::of(found), self.model.commit(&commit, sent), "{context}");
                }
            }
            Step::Renew(renewal) => {
                let found = store.renew(key, &renewal).await.unwrap_or_else(|error| panic!("{context}: {error:?}"));
                let expected = self.model.renew(&renewal, sent);
                match found {
                    Renewed::Done { remaining } if expected => self.model.assert_life(remaining, context),
                    Renewed::Gone if !expected => {}
                    other => panic!("{context}: {other:?}"),
                }
            }
            Step::Destroy(destruction) => {
                let found = store.destroy(key, &destruction).await;
                let found = found.unwrap_or_else(|error| panic!("{context}: {error:?}"));
                assert_eq!(found, self.model.destroy(&destruction), "{context}");
            }
            Step::Retire(retirement) => {
                let found = store.retire(key, &retirement).await;
                let found = found.unwrap_or_else(|error| panic!("{context}: {error:?}"));
                assert_eq!(found, self.model.retire(&retirement), "{context}");
            }
        }
    }

    /// What is there must be what the model holds.
    async fn compare(&mut self, asker: WriterId, context: &str) {
        let (store, key) = (&self.scene.store, &self.scene.key);
        let loaded = store.load(key, asker).await.unwrap_or_else(|error| panic!("{context}: {error:?}"));
        let checked = store.check(key).await.unwrap_or_else(|error| panic!("{context}: {error:?}"));
        if let State::AbsentOrTombstone = self.model.state {
            self.model.state = match &loaded {
                Loaded::Tombstone => State::Tombstone { successor: None },
                _ => State::Absent,
            };
        }
        match (&self.model.state, &loaded) {
            (State::Absent, Loaded::Absent) | (State::Tombstone { .. }, Loaded::Tombstone) => {
                assert_eq!(checked, Checked::Missing, "{context}");
            }
            (State::Session(known), Loaded::Session(found)) => {
                let header = &found.header;
                assert_eq!(header.generation, known.generation, "{context}");
                assert_eq!(header.version, known.version, "{context}");
                assert_eq!(header.fingerprint, known.fingerprint, "{context}");
                assert!(known.created.is_none_or(|created| created == header.created), "{context}");
                assert_eq!(header.deadline.is_some(), known.deadline != Deadline::Never, "{context}");
                assert_eq!(header.idle_timeout, known.idle_timeout, "{context}");
                assert_eq!(attributes(found), known.attributes, "{context}");
                assert_eq!(found.written, known.written.get(&asker).copied(), "{context}");
                self.model.assert_life(found.remaining, context);
                let Checked::Present { generation, version, remaining } = checked else {
                    panic!("{context}: missing to a check");
                };
                assert_eq!((generation, version), (known.generation, known.version), "{context}");
                self.model.assert_life(remaining, context);
            }
            (expected, found) => panic!("{context}: expected {expected:?}, found {found:?}"),
        }
    }
}

/// What a commit is answered, without times.
#[derive(Debug, PartialEq)]
enum Answer {
    Done { found: u64, counters: Vec<Bytes> },
    Already { counters: Vec<Option<Bytes>> },
    Gone,
    Conflict(BTreeMap<usize, Option<Bytes>>),
    NotACounter(BTreeMap<usize, Option<Bytes>>),
    Foreign,
    Failed(String),
}

impl Answer {
    fn of(result: Result<Committed>) -> Self {
        match result {
            Ok(Committed::Done { found, counters, .. }) => Self::Done { found, counters },
            Ok(Committed::Already { counters, .. }) => Self::Already { counters },
            Ok(Committed::Gone) => Self::Gone,
            Ok(Committed::Conflict(which)) => Self::Conflict(which.into_iter().collect()),
            Ok(Committed::NotACounter(which)) => Self::NotACounter(which.into_iter().collect()),
            Err(error) if error.kind() == ErrorKind::ForeignKey => Self::Foreign,
            Err(error) => Self::Failed(format!("{error:?}")),
        }
    }
}

struct Model {
    state: State,
}

#[derive(Debug)]
enum State {
    Absent,
    Tombstone {
        successor: Option<Generation>,
    },
    /// Where the contract leaves open whether a session was marked.
    AbsentOrTombstone,
    Session(Box<Known>),
}

#[derive(Debug, Clone)]
struct Known {
    generation: Generation,
    version: u64,
    fingerprint: Fingerprint,
    created: Option<u64>,
    deadline: Deadline,
    idle_timeout: Option<Duration>,
    attributes: Attributes,
    written: HashMap<WriterId, u64>,
    used_up: HashMap<WriterId, u64>,
    marked: Marked,
    /// Before the creation was sent.
    began: Instant,
    /// The life that was given by the write which was sent after `since`.
    time_to_live: Duration,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Marked {
    No,
    Yes,
    /// A repeated creation was refused: nothing is written then, but a mark would do no harm.
    Perhaps,
}

impl Model {
    fn commit(&mut self, commit: &Commit, sent: Instant) -> Answer {
        let mut session = match (&self.state, &commit.creation) {
            (State::Absent, Some(creation)) => Known {
                generation: commit.generation,
                version: 0,
                fingerprint: creation.fingerprint,
                created: creation.created,
                deadline: creation.deadline,
                idle_timeout: None,
                attributes: Attributes::new(),
                written: HashMap::new(),
                used_up: HashMap::new(),
                marked: Marked::No,
                began: sent,
                time_to_live: LIFE,
                since: sent,
            },
            (State::Session(session), _) if session.generation == commit.generation => (**session).clone(),
            (State::Session(_), Some(_)) => return Answer::Foreign,
            _ => return Answer::Gone,
        };
        let marks = commit.repeated && commit.creation.is_some();
        let present = |change: &Change| session.attributes.get(change.name.as_str()).cloned();
        let concerned = |refused: &dyn Fn(&Change) -> bool| -> BTreeMap<usize, Option<Bytes>> {
            let changes = commit.changes.iter().enumerate();
            changes.filter(|(_, change)| refused(change)).map(|(place, change)| (place, present(change))).collect()
        };
        if session.written.get(&commit.writer).is_some_and(|newest| *newest >= commit.sequence) {
            let counters = concerned(&|change| matches!(change.action, Action::Increment(_)));
            if marks {
                session.marked = Marked::Yes;
            }
            self.state = State::Session(Box::new(session));
            return Answer::Already { counters: counters.into_values().collect() };
        }
        let conflicts =
            concerned(&|change| matches!(&change.action, Action::Replace { seen, .. } if *seen != present(change)));
        let wrong = concerned(
            &|change| matches!(change.action, Action::Increment(delta) if sum(present(change), delta).is_none()),
        );
        if !conflicts.is_empty() || !wrong.is_empty() {
            if let State::Session(session) = &mut self.state
                && commit.repeated
            {
                let used_up = session.used_up.entry(commit.writer).or_default();
                *used_up = commit.sequence.max(*used_up);
                if marks && session.marked == Marked::No {
                    session.marked = Marked::Perhaps;
                }
            }
            return if conflicts.is_empty() { Answer::NotACounter(wrong) } else { Answer::Conflict(conflicts) };
        }
        if session.used_up.get(&commit.writer).is_some_and(|number| *number >= commit.sequence) {
            return Answer::Conflict(BTreeMap::new());
        }
        let mut counters = Vec::new();
        for change in &commit.changes {
            let value = match &change.action {
                Action::Set(value) => Some(value.clone()),
                Action::Remove => None,
                Action::Replace { value, .. } => value.clone(),
                Action::Increment(delta) => {
                    let sum = sum(session.attributes.get(change.name.as_str()).cloned(), *delta);
                    counters.extend(sum.clone());
                    sum
                }
            };
            let name = change.name.as_str().to_owned();
            match value {
                Some(value) => session.attributes.insert(name, value),
                None => session.attributes.remove(&name),
            };
        }
        let found = session.version;
        session.version += 1;
        session.written.insert(commit.writer, commit.sequence);
        if marks {
            session.marked = Marked::Yes;
        }
        if let Some(idle_timeout) = commit.idle_timeout {
            session.idle_timeout = idle_timeout;
        }
        session.live(commit.time_to_live, sent);
        self.state = State::Session(Box::new(session));
        Answer::Done { found, counters }
    }

    /// Whether there is something to renew.
    fn renew(&mut self, renewal: &Renewal, sent: Instant) -> bool {
        match &mut self.state {
            State::Session(session) if session.generation == renewal.generation => {
                session.live(renewal.time_to_live, sent);
                true
            }
            _ => false,
        }
    }

    fn destroy(&mut self, destruction: &Destruction) -> Destroyed {
        let leaves = |marked| match (destruction.leave_tombstone, marked) {
            (true, _) | (_, Marked::Yes) => State::Tombstone { successor: None },
            (false, Marked::No) => State::Absent,
            (false, Marked::Perhaps) => State::AbsentOrTombstone,
        };
        match &self.state {
            State::Session(session) if session.generation == destruction.generation => {
                self.state = leaves(session.marked);
                Destroyed::Done
            }
            State::Absent => {
                self.state = leaves(Marked::No);
                Destroyed::NothingFound
            }
            _ => Destroyed::NothingFound,
        }
    }

    fn retire(&mut self, retirement: &Retirement) -> Retired {
        match &self.state {
            State::Session(session) if session.generation == retirement.generation => {
                if session.version != retirement.version {
                    return Retired::Changed;
                }
                self.state = State::Tombstone { successor: Some(retirement.successor) };
                Retired::Done
            }
            State::Tombstone { successor: Some(successor) } if *successor == retirement.successor => Retired::Done,
            _ => Retired::Gone,
        }
    }

    /// The remaining life must be what was given by the newest write.
    #[track_caller]
    fn assert_life(&self, remaining: Duration, context: &str) {
        let State::Session(session) = &self.state else { panic!("{context}: nothing should live") };
        let (time_to_live, passed) = (session.time_to_live, session.since.elapsed());
        assert!(remaining <= time_to_live + Duration::from_millis(1), "{context}: {remaining:?} of {time_to_live:?}");
        assert!(remaining + passed + SLACK >= time_to_live, "{context}: {remaining:?} of {time_to_live:?}");
    }
}

impl Known {
    fn live(&mut self, time_to_live: Duration, sent: Instant) {
        (self.time_to_live, self.since) = match self.deadline {
            Deadline::After(time) if time <= time_to_live => (time, self.began),
            _ => (time_to_live, sent),
        };
    }
}

/// The sum as a counter's text, where there is one.
fn sum(present: Option<Bytes>, delta: i64) -> Option<Bytes> {
    let limit = i128::from(COUNTER_LIMIT);
    let present = match &present {
        None => 0,
        Some(text) => {
            let number: i128 = std::str::from_utf8(text).ok()?.parse().ok()?;
            // Only the form in which numbers are printed is a counter's.
            (number.abs() <= limit && number.to_string().as_bytes() == &text[..]).then_some(number)?
        }
    };
    let (delta, sum) = (i128::from(delta), present + i128::from(delta));
    (delta.abs() <= limit && sum.abs() <= limit).then(|| Bytes::from(sum.to_string()))
}
