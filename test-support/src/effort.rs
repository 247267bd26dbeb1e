//! How long the long tests take, and by which seed.

use std::env;
use std::hash::{BuildHasher as _, RandomState};

/// The environment variable with the factor by which long tests do more than usual.
pub const SOAK_FACTOR: &str = "SESSION_SOAK_FACTOR";

/// The environment variable with the seed of tests that choose at random.
pub const TEST_SEED: &str = "SESSION_TEST_SEED";

/// So many times the usual number of operations, as [`SOAK_FACTOR`] says; 1 unless set.
///
/// # Panics
///
/// If it is set to anything but a number from 1 on.
pub fn soak_factor() -> usize {
    let factor = from_environment(SOAK_FACTOR).unwrap_or(1);
    assert!(factor > 0, "{SOAK_FACTOR} must be at least 1");
    usize::try_from(factor).unwrap_or(usize::MAX)
}

/// The seed that [`TEST_SEED`] gives, else one of this run. It is printed, which is seen if the test fails.
///
/// # Panics
///
/// If it is set to anything but a number.
pub fn test_seed() -> u64 {
    let seed = from_environment(TEST_SEED).unwrap_or_else(|| RandomState::new().hash_one("seed"));
    println!("{TEST_SEED}={seed}");
    seed
}

fn from_environment(variable: &str) -> Option<u64> {
    let text = env::var_os(variable)?;
    let number = text.to_str().and_then(|text| text.parse().ok());
    Some(number.unwrap_or_else(|| panic!("{variable} must be a number, not {text:?}")))
}
