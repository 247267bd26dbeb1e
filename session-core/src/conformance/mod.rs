//! The suite that checks any [`SessionProvider`](crate::SessionProvider) against the contract.
//!
//! Each case is one promise. A provider passes when all its cases pass; where a case cannot be put to it at all, that
//! is declared by name and with the reason, and the suite holds the declaration against what it finds.
//!
//! Implement [`Subject`] for the store under test and expand [`conformance_tests!`](crate::conformance_tests) in an
//! integration test: every case becomes a test of its own name. [`run_all`] runs the same cases where there is no test
//! harness.
//!
//! The cases take keys nobody used, so they can share one store, also at the same time. They leave little behind:
//! sessions that expire within the hour. All of them together take a few seconds.
//!
//! One case takes random steps. Its failure names the seed; with the environment variable `SESSION_TEST_SEED` set to
//! that, it takes the same steps again.

mod committing;
mod concurrency;
mod conflicts;
mod counters;
mod creating;
mod destroying;
mod expiring;
mod foreign;
pub mod interleavings;
mod life;
mod model;
mod random;
mod reading;
mod refusing;
mod renewing;
mod repeating;
mod report;
mod retiring;
mod scene;
pub mod sessions;
mod subject;

use std::pin::Pin;
use std::sync::Arc;

pub use self::random::{Random, seed, soaked};
pub use self::report::Report;
pub use self::subject::{Foreign, Life, NotPossible, Subject, unused_key};

/// Expands to one `#[tokio::test]` per case of the [conformance suite](crate::conformance).
///
/// The argument is the path of an `async fn` without parameters that makes a [`Subject`](crate::conformance::Subject);
/// it is called once per test. Cases for which the subject answers [`NotPossible`](crate::conformance::NotPossible)
/// must be listed; a listed case that is possible fails. The test crate needs tokio with the features `macros`,
/// `rt-multi-thread` and `time`.
///
/// ```
/// # use std::sync::Arc;
/// # use async_trait::async_trait;
/// use session_core::conformance::{Foreign, Life, NotPossible, Subject, unused_key};
/// use session_core::{MemoryProvider, SessionKey, SessionProvider};
///
/// struct Memory(Arc<MemoryProvider>);
///
/// #[async_trait]
/// impl Subject for Memory {
///     fn provider(&self) -> Arc<dyn SessionProvider> {
///         self.0.clone()
///     }
///
///     fn unused_key(&self) -> SessionKey {
///         unused_key("conformance:")
///     }
///
///     async fn put_foreign(&self, _: &SessionKey, _: Foreign) -> Result<(), NotPossible> {
///         Err(NotPossible("nobody but the provider can write to its memory"))
///     }
///
///     async fn foreign_is_intact(&self, _: &SessionKey, _: Foreign) -> bool {
///         false
///     }
///
///     async fn life(&self, key: &SessionKey) -> Result<Life, NotPossible> {
///         Ok(self.0.time_to_live(key).map_or(Life::Nothing, Life::Ends))
///     }
/// }
///
/// async fn memory() -> Memory {
///     Memory(Arc::new(MemoryProvider::new()))
/// }
///
/// session_core::conformance_tests!(memory, not_possible: [data_of_another_type, data_without_a_header]);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($make:path) => {
        $crate::conformance_tests!($make, not_possible: []);
    };
    ($make:path, not_possible: [$($name:ident),* $(,)?]) => {
        $crate::__conformance_cases!(__conformance_test ($make, [$(stringify!($name)),*]));
    };
}

/// One test per case.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_test {
    (($make:path, $not_possible:tt) $($group:ident: $($name:ident)*;)*) => {
        $($(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let not_possible: &[&str] = &$not_possible;
                $crate::conformance::check(stringify!($name), $make().await, not_possible).await;
            }
        )*)*
    };
}

/// The list of all cases, by the module that holds them; given to the macro named first.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ($callback:ident $arguments:tt) => {
        $crate::$callback! { $arguments
            reading:
                absent_key
                session_reads_back_as_written
                reading_changes_nothing
                values_are_kept_byte_for_byte
                names_are_kept_byte_for_byte
                thousand_attributes
                large_value
                keys_are_compared_byte_for_byte
                longest_key;
            creating:
                created_now_by_the_stores_clock
                created_at_a_given_time
                deadline_never
                deadline_after
                deadline_at
                idle_timeout_is_kept_changed_and_removed
                creation_without_changes
                creation_applies_all_actions
                creation_that_is_refused_creates_nothing
                creation_past_its_deadline_leaves_nothing
                creation_in_place_of_another_session
                creation_in_place_of_a_tombstone
                creation_of_a_session_that_is_there_changes_it;
            committing:
                version_counts_effective_commits
                batch_applies_all_actions
                batch_without_changes_is_effective
                attributes_not_named_stay
                session_outlives_its_last_attribute
                removing_what_is_not_there
                commit_to_nothing
                commit_to_a_tombstone
                commit_to_another_generation
                gone_comes_before_already
                already_comes_before_conflict
                already_comes_before_not_a_counter
                conflict_comes_before_not_a_counter;
            conflicts:
                replace_of_what_was_seen
                conflict_with_a_changed_attribute
                conflict_with_a_removed_attribute
                conflict_with_an_appeared_attribute
                empty_is_not_absent
                every_byte_is_compared
                conflict_writes_nothing
                conflict_tells_all_and_only_those_concerned
                number_of_a_refused_batch_stays_new;
            counters:
                increment_adds
                increment_of_an_absent_attribute
                counters_are_answered_in_order
                counters_are_exact_beyond_two_to_the_53
                counters_reach_their_limits
                counters_stay_within_their_limits
                increments_beyond_the_limit
                texts_that_are_no_counters
                not_a_counter_writes_nothing;
            repeating:
                repeated_batch_is_applied_once
                repeated_batch_overwrites_nothing_newer
                repeated_batch_tells_present_counters
                repeated_batch_leaves_the_expiry
                older_batch_is_already_applied
                sequences_may_have_gaps
                sequences_are_compared_as_numbers
                writers_are_independent
                many_writers_are_remembered
                written_is_told_to_each_writer
                repeated_creation_is_applied_once
                repeated_creation_leaves_a_tombstone
                creation_whose_repetition_came_first_leaves_a_tombstone
                mark_outlasts_later_writes
                unrepeated_creation_leaves_nothing
                repeated_change_does_not_mark
                late_copy_of_a_creation_stays_dead;
            refusing:
                late_copy_of_a_conflict_is_not_written
                late_copy_of_a_refused_increment_is_not_written
                used_up_number_tells_what_is_in_the_way
                using_up_a_number_changes_nothing_else
                number_stays_used_up
                refused_repeated_creation_creates_nothing;
            destroying:
                destroy_ends_the_session
                destroy_repeated
                destroy_of_nothing
                destroy_of_a_tombstone
                destroy_of_another_generation
                destroy_of_nothing_can_leave_a_tombstone
                destroy_of_a_session_can_leave_a_tombstone
                nothing_revives_a_destroyed_session;
            renewing:
                renew_sets_the_expiry
                renew_changes_nothing_else
                renew_of_nothing
                renew_of_a_tombstone
                renew_of_another_generation;
            expiring:
                every_write_carries_the_expiry
                time_to_live_is_capped_by_the_deadline
                refused_commits_leave_the_expiry
                session_expires
                commit_prolongs
                renew_prolongs
                session_ends_at_its_deadline
                nothing_revives_an_expired_session;
            retiring:
                retire_leaves_a_tombstone
                retire_of_a_changed_session
                retire_of_nothing
                retire_of_a_destroyed_session
                retire_of_another_generation
                retire_repeated
                retire_for_another_successor
                nothing_revives_a_retired_session;
            life:
                every_write_leaves_an_expiry
                reading_and_refused_steps_leave_no_trace
                destroyed_session_leaves_no_trace
                expired_session_leaves_no_trace
                tombstone_of_a_rotation_ends
                tombstone_of_a_rotation_can_be_prolonged
                tombstone_of_a_rotation_outlasts_a_repeated_creation
                tombstone_of_a_repeated_creation_ends
                tombstone_for_a_creation_under_way_ends;
            foreign:
                data_of_another_type
                data_without_a_header;
            concurrency:
                concurrent_increments_are_counted_once
                concurrent_replaces_lose_nothing
                concurrent_creations_have_one_winner
                concurrent_copies_of_a_batch_are_applied_once
                concurrent_loads_see_whole_commits
                concurrent_writes_do_not_survive_a_destroy
                concurrent_sessions_do_not_cross
                cancelled_steps_can_be_sent_again;
            model:
                random_steps_agree_with_the_model;
        }
    };
}

/// The names of all cases, in the order of [`run_all`].
pub const CASES: &[&str] = &__conformance_cases!(__conformance_names());

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_names {
    (() $($group:ident: $($name:ident)*;)*) => {
        [$($(stringify!($name),)*)*]
    };
}

/// What a case answers: nothing, if its promise was kept. It panics if not.
type Outcome = Result<(), NotPossible>;

type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// The case of this name.
fn start<'a>(name: &str, subject: &'a dyn Subject) -> Running<'a> {
    __conformance_cases!(__conformance_start(name, subject))
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_start {
    (($chosen:ident, $subject:ident) $($group:ident: $($name:ident)*;)*) => {
        match $chosen {
            $($(stringify!($name) => Box::pin($group::$name($subject)),)*)*
            _ => panic!("there is no case {:?}", $chosen),
        }
    };
}

/// Runs one case.
///
/// `not_possible` are the names of the cases that cannot be put to this subject.
///
/// # Panics
///
/// If the provider breaks the case's promise; if the case is not possible and not listed, or listed and possible; if
/// a name is none of [`CASES`].
pub async fn check(name: &str, subject: impl Subject, not_possible: &[&str]) {
    for name in not_possible {
        assert!(CASES.contains(name), "there is no case {name:?}");
    }
    match (start(name, &subject).await, not_possible.contains(&name)) {
        (Ok(()), false) => {}
        (Ok(()), true) => panic!("{name} is listed as not possible, but it is possible"),
        (Err(NotPossible(why)), true) => eprintln!("{name} is not possible: {why}"),
        (Err(NotPossible(why)), false) => panic!("{name} is not possible, and not listed as such: {why}"),
    }
}

/// Runs all cases, one after the other, and goes on after a failure.
pub async fn run_all(subject: impl Subject) -> Report {
    let subject = Arc::new(subject);
    let mut report = Report::default();
    for name in CASES {
        let subject = subject.clone();
        // A task of its own, so that a panic ends the case and not the run.
        let outcome = tokio::spawn(async move { start(name, &*subject).await }).await;
        report.add(name, outcome);
    }
    report
}
