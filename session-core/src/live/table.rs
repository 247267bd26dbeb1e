//! The live sessions of this process: never two copies of one session, none evicted while it is held, and those that
//! nobody holds kept for a while within a bound of memory.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry as Place, HashMap};
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::sync::{Instant, Mutex, MutexGuard, RandomState};
use crate::key::SessionKey;

/// Where a live session stands in the table: sessions of different stores never meet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LiveKey {
    pub(crate) store: u32,
    pub(crate) key: SessionKey,
}

/// What the table keeps.
pub(crate) trait Resident {
    /// Where it stands; changed by the table alone.
    fn home(&self) -> &Mutex<Option<LiveKey>>;

    /// Asked when its last holder leaves: how long it is worth keeping, and the memory that takes.
    fn keep(&self, keep_for: Duration) -> Option<(Duration, usize)>;
}

/// The table. A shard's lock is held for each whole step: acquiring, releasing, evicting and moving never interleave.
pub(crate) struct Table<L> {
    shards: Box<[Mutex<Shard<L>>]>,
    hasher: RandomState,
    keep_for: Duration,
    keep_bytes: usize,
}

struct Shard<L> {
    entries: HashMap<LiveKey, Entry<L>>,
    /// Those nobody holds, by the time until which they are kept.
    kept: BTreeMap<(Instant, u64), LiveKey>,
    kept_bytes: usize,
    stamp: u64,
}

struct Entry<L> {
    resident: Arc<L>,
    holders: usize,
    kept: Option<(Instant, u64, usize)>,
}

impl<L: Resident> Table<L> {
    /// A table of so many shards that keeps at most `keep_bytes` in all.
    pub(crate) fn new(shards: usize, keep_for: Duration, keep_bytes: usize) -> Self {
        let shards = shards.max(1).next_power_of_two();
        let shard = || Mutex::new(Shard { entries: HashMap::new(), kept: BTreeMap::new(), kept_bytes: 0, stamp: 0 });
        Self {
            keep_bytes: keep_bytes / shards,
            shards: std::iter::repeat_with(shard).take(shards).collect(),
            hasher: RandomState::new(),
            keep_for,
        }
    }

    /// Takes hold of the session at this key, made by `make` if there is none.
    pub(crate) fn acquire(&self, key: LiveKey, make: impl FnOnce() -> Arc<L>) -> Arc<L> {
        let mut shard = self.shard(&key);
        let Shard { entries, kept, kept_bytes, .. } = &mut *shard;
        let entry = match entries.entry(key) {
            Place::Occupied(place) => place.into_mut(),
            Place::Vacant(place) => {
                let resident = make();
                *lock(resident.home()) = Some(place.key().clone());
                place.insert(Entry { resident, holders: 0, kept: None })
            }
        };
        entry.holders += 1;
        if let Some((until, stamp, bytes)) = entry.kept.take() {
            kept.remove(&(until, stamp));
            *kept_bytes -= bytes;
        }
        Arc::clone(&entry.resident)
    }

    /// Enters a session that its one holder has just made. `false`: there is another at this key.
    pub(crate) fn enter(&self, key: LiveKey, resident: &Arc<L>) -> bool {
        let mut shard = self.shard(&key);
        match shard.entries.entry(key) {
            Place::Occupied(_) => false,
            Place::Vacant(place) => {
                *lock(resident.home()) = Some(place.key().clone());
                place.insert(Entry { resident: Arc::clone(resident), holders: 1, kept: None });
                true
            }
        }
    }

    /// Another holder of a session that is held already.
    pub(crate) fn hold(&self, resident: &Arc<L>) {
        self.with_entry(resident, |shard, key| {
            if let Some(entry) = shard.entries.get_mut(key) {
                entry.holders += 1;
            }
        });
    }

    /// Whether this very session stands in the table.
    pub(crate) fn contains(&self, resident: &Arc<L>) -> bool {
        lock(resident.home()).is_some()
    }

    /// Whether others hold this session too.
    pub(crate) fn is_shared(&self, resident: &Arc<L>) -> bool {
        let holders = self.with_entry(resident, |shard, key| shard.entries.get(key).map_or(0, |entry| entry.holders));
        holders.is_some_and(|holders| holders > 1)
    }

    /// Lets go of a session. The last holder's leaving keeps or drops it.
    pub(crate) fn release(&self, resident: &Arc<L>) {
        let dropped = self.with_entry(resident, |shard, key| {
            let Some(entry) = shard.entries.get_mut(key) else { return Vec::new() };
            entry.holders -= 1;
            if entry.holders > 0 {
                return Vec::new();
            }
            match resident.keep(self.keep_for) {
                Some((time, bytes)) if bytes <= self.keep_bytes => {
                    let now = Instant::now();
                    shard.stamp += 1;
                    let until = now + time;
                    entry.kept = Some((until, shard.stamp, bytes));
                    shard.kept.insert((until, shard.stamp), key.clone());
                    shard.kept_bytes += bytes;
                    shard.evict(now, self.keep_bytes)
                }
                _ => shard.remove(key).into_iter().collect(),
            }
        });
        // Dropped after the lock is given back: dropping a session may run the application's code.
        drop(dropped);
    }

    /// If the caller is the only holder, takes the session out of the table, so that nobody joins it any more.
    pub(crate) fn detach_if_last(&self, resident: &Arc<L>) -> bool {
        let removed = self.with_entry(resident, |shard, key| match shard.entries.get(key) {
            Some(entry) if entry.holders > 1 => Err(()),
            _ => Ok(shard.remove(key)),
        });
        removed.is_none_or(|removed| removed.is_ok())
    }

    /// Takes a session out of the table at once, whoever holds it.
    pub(crate) fn remove(&self, resident: &Arc<L>) {
        let removed = self.with_entry(resident, |shard, key| shard.remove(key));
        drop(removed);
    }

    /// Gives a session another key. What stands there is not touched: `false`.
    pub(crate) fn move_to(&self, resident: &Arc<L>, new: LiveKey) -> bool {
        let Some(old) = lock(resident.home()).clone() else { return false };
        let (from, to) = (self.index(&old), self.index(&new));
        // Always in the order of their places, so that two moves cannot wait for each other.
        let mut first = lock(&self.shards[from.min(to)]);
        let mut second = (from != to).then(|| lock(&self.shards[from.max(to)]));
        let target_taken = {
            let target = if to <= from { &first } else { second.as_ref().unwrap_or(&first) };
            target.entries.contains_key(&new)
        };
        if target_taken {
            return false;
        }
        let source = if from <= to { &mut first } else { second.as_mut().unwrap_or(&mut first) };
        let entry = match source.entries.entry(old) {
            Place::Occupied(place) if Arc::ptr_eq(&place.get().resident, resident) => place.remove(),
            _ => return false,
        };
        *lock(resident.home()) = Some(new.clone());
        let target = if to <= from { &mut first } else { second.as_mut().unwrap_or(&mut first) };
        target.entries.insert(new, entry);
        true
    }

    /// Drops what has been kept long enough.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        for shard in &self.shards {
            let dropped = lock(shard).evict(now, self.keep_bytes);
            drop(dropped);
        }
    }

    /// Takes hold of every session that nobody else holds and that is as wanted.
    pub(crate) fn hold_kept(&self, wanted: impl Fn(&L) -> bool) -> Vec<Arc<L>> {
        let mut held = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            let Shard { entries, kept, kept_bytes, .. } = &mut *shard;
            for entry in entries.values_mut().filter(|entry| entry.holders == 0 && wanted(&entry.resident)) {
                entry.holders = 1;
                if let Some((until, stamp, bytes)) = entry.kept.take() {
                    kept.remove(&(until, stamp));
                    *kept_bytes -= bytes;
                }
                held.push(Arc::clone(&entry.resident));
            }
        }
        held
    }

    /// How many sessions there are, held or kept, and the bytes of the kept ones.
    pub(crate) fn count(&self) -> (usize, usize) {
        self.shards.iter().fold((0, 0), |(sessions, bytes), shard| {
            let shard = lock(shard);
            (sessions + shard.entries.len(), bytes + shard.kept_bytes)
        })
    }

    /// Calls `with` on the shard in which this very session stands; `None` if it is not in the table.
    fn with_entry<R>(&self, resident: &Arc<L>, with: impl FnOnce(&mut Shard<L>, &LiveKey) -> R) -> Option<R> {
        loop {
            let key = lock(resident.home()).clone()?;
            let mut shard = self.shard(&key);
            // It may have moved between the two locks.
            if lock(resident.home()).as_ref() != Some(&key) {
                continue;
            }
            return Some(with(&mut shard, &key));
        }
    }

    fn shard(&self, key: &LiveKey) -> MutexGuard<'_, Shard<L>> {
        lock(&self.shards[self.index(key)])
    }

    fn index(&self, key: &LiveKey) -> usize {
        // The number of shards is a power of two, and the cast keeps the low bits that the mask selects.
        self.hasher.hash_one(key) as usize & (self.shards.len() - 1)
    }
}

impl<L: Resident> Shard<L> {
    fn remove(&mut self, key: &LiveKey) -> Option<Arc<L>> {
        let entry = self.entries.remove(key)?;
        if let Some((until, stamp, bytes)) = entry.kept {
            self.kept.remove(&(until, stamp));
            self.kept_bytes -= bytes;
        }
        *lock(entry.resident.home()) = None;
        Some(entry.resident)
    }

    fn evict(&mut self, now: Instant, bound: usize) -> Vec<Arc<L>> {
        let mut dropped = Vec::new();
        while let Some((&(until, _), key)) = self.kept.first_key_value() {
            if until > now && self.kept_bytes <= bound {
                break;
            }
            let key = key.clone();
            dropped.extend(self.remove(&key));
        }
        dropped
    }
}

#[cfg(test)]
impl<L: Resident> Table<L> {
    /// Stops the whole table, checks that it agrees with itself, and shows every session in it with its holders.
    pub(crate) fn audit(&self, see: impl FnOnce(&[(Arc<L>, usize)])) {
        let shards: Vec<_> = self.shards.iter().map(lock).collect();
        let mut all: Vec<(Arc<L>, usize)> = Vec::new();
        for (index, shard) in shards.iter().enumerate() {
            let mut kept = BTreeMap::new();
            for (key, entry) in &shard.entries {
                assert_eq!(self.index(key), index, "it stands in the shard of its key");
                assert!(lock(entry.resident.home()).as_ref() == Some(key), "it knows where it stands");
                assert_eq!(entry.holders == 0, entry.kept.is_some(), "it is kept if nobody holds it, and only then");
                assert!(all.iter().all(|(other, _)| !Arc::ptr_eq(other, &entry.resident)), "it stands at one key");
                kept.extend(entry.kept.map(|(until, stamp, bytes)| ((until, stamp), (key.clone(), bytes))));
                all.push((Arc::clone(&entry.resident), entry.holders));
            }
            let listed = shard.kept.iter();
            assert!(listed.eq(kept.iter().map(|(end, (key, _))| (end, key))), "what is kept is listed by its end");
            assert_eq!(shard.kept_bytes, kept.values().map(|(_, bytes)| bytes).sum::<usize>());
            assert!(shard.kept_bytes <= self.keep_bytes, "{} bytes are kept", shard.kept_bytes);
        }
        see(&all);
    }
}

/// None of the locked steps can leave its data half changed, so a poisoned lock is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
