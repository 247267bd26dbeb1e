//! How long the long tests take, and by which seed.

use session_core::conformance::{seed, soaked};

/// The environment variable with the factor by which long tests do more than usual.
pub const SOAK_FACTOR: &str = "SESSION_SOAK_FACTOR";

/// The environment variable with the seed of tests that choose at random.
pub const TEST_SEED: &str = "SESSION_TEST_SEED";

/// So many times the usual number of operations, as [`SOAK_FACTOR`] says; 1 unless set.
///
/// # Panics
///
/// If it is set to anything but a number.
pub fn soak_factor() -> usize {
    soaked(1)
}

/// The seed that [`TEST_SEED`] gives, else one of this run. It is printed, which is seen if the test fails.
///
/// # Panics
///
/// If it is set to anything but a number.
pub fn test_seed() -> u64 {
    let seed = seed();
    println!("{TEST_SEED}={seed}");
    seed
}
