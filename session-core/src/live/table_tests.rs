//! The table, one step after the other. All orders of concurrent steps: `tests/table_model.rs`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::table::{LiveKey, Resident, Table};
use crate::key::SessionKey;

#[derive(Default)]
struct Thing {
    home: Mutex<Option<LiveKey>>,
    bytes: usize,
}

impl Resident for Thing {
    fn home(&self) -> &Mutex<Option<LiveKey>> {
        &self.home
    }

    fn keep(&self, keep_for: Duration) -> Option<(Duration, usize)> {
        (!keep_for.is_zero()).then_some((keep_for, self.bytes))
    }
}

fn key(name: &str) -> LiveKey {
    LiveKey { store: 0, key: SessionKey::new(name.to_owned()).unwrap() }
}

fn thing(bytes: usize) -> Arc<Thing> {
    Arc::new(Thing { bytes, ..Thing::default() })
}

#[tokio::test(start_paused = true)]
async fn one_copy_while_held_and_kept_then_dropped() {
    let table = Table::new(4, Duration::from_secs(120), 1 << 20);
    let first = table.acquire(key("a"), || thing(10));
    let second = table.acquire(key("a"), || thing(10));
    assert!(Arc::ptr_eq(&first, &second));
    table.release(&first);
    tokio::time::advance(Duration::from_secs(500)).await;
    table.sweep();
    assert_eq!(table.count(), (1, 0), "held ones are never evicted");
    table.release(&second);
    assert_eq!(table.count(), (1, 10));
    tokio::time::advance(Duration::from_secs(119)).await;
    assert!(Arc::ptr_eq(&first, &table.acquire(key("a"), || thing(10))));
    table.release(&first);
    tokio::time::advance(Duration::from_secs(120)).await;
    table.sweep();
    assert_eq!(table.count(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn kept_within_the_bound() {
    let table = Table::new(1, Duration::from_secs(120), 100);
    for number in 0..50 {
        tokio::time::advance(Duration::from_millis(1)).await;
        let held = table.acquire(key(&number.to_string()), || thing(30));
        table.release(&held);
        assert!(table.count().1 <= 100);
        table.audit(|_| {});
    }
    assert_eq!(table.count(), (3, 90));
    let large = table.acquire(key("large"), || thing(101));
    table.release(&large);
    assert_eq!(table.count(), (3, 90), "what alone passes the bound is not kept");
}

#[tokio::test]
async fn nothing_is_kept_with_a_time_of_zero() {
    let table = Table::new(2, Duration::ZERO, 100);
    let held = table.acquire(key("a"), || thing(1));
    table.release(&held);
    assert_eq!(table.count(), (0, 0));
}

#[tokio::test]
async fn stores_and_keys_never_meet() {
    let table = Table::new(1, Duration::ZERO, 0);
    let one = table.acquire(key("a"), || thing(1));
    let upper = table.acquire(key("A"), || thing(1));
    let other = table.acquire(LiveKey { store: 1, ..key("a") }, || thing(1));
    assert!(!Arc::ptr_eq(&one, &upper) && !Arc::ptr_eq(&one, &other));
}

#[tokio::test]
async fn moves_with_all_its_holders() {
    for shards in [1, 64] {
        let table = Table::new(shards, Duration::ZERO, 0);
        for round in 0..32 {
            let (old, new) = (key(&format!("old{round}")), key(&format!("new{round}")));
            let one = table.acquire(old.clone(), || thing(1));
            let two = table.acquire(old.clone(), || thing(1));
            assert!(table.move_to(&one, new.clone()));
            let three = table.acquire(new, || thing(1));
            assert!(Arc::ptr_eq(&one, &three));
            let stranger = table.acquire(old, || thing(1));
            table.audit(|all| assert_eq!(all.iter().map(|(_, holders)| holders).sum::<usize>(), 4));
            assert!(!Arc::ptr_eq(&one, &stranger));
            for held in [one, two, three, stranger] {
                table.release(&held);
            }
            assert_eq!(table.count(), (0, 0));
        }
    }
}

#[tokio::test]
async fn removed_at_once_and_released_later() {
    let table = Table::new(1, Duration::from_secs(1), 100);
    let one = table.acquire(key("a"), || thing(1));
    table.remove(&one);
    let two = table.acquire(key("a"), || thing(1));
    assert!(!Arc::ptr_eq(&one, &two));
    table.release(&one);
    assert_eq!(table.count().0, 1, "its release must not touch the new one");
    assert!(table.detach_if_last(&two));
    assert_eq!(table.count(), (0, 0));
}

#[tokio::test]
async fn detaches_only_the_last_holder() {
    let table = Table::new(1, Duration::ZERO, 0);
    let one = table.acquire(key("a"), || thing(1));
    table.hold(&one);
    assert!(!table.detach_if_last(&one));
    table.release(&one);
    assert!(table.detach_if_last(&one));
}
