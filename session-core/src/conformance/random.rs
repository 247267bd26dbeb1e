//! Random choices that can be made again, and how many of them: `SESSION_TEST_SEED` and `SESSION_SOAK_FACTOR`.

use std::hash::{BuildHasher, RandomState};

/// The seed of a random test: that of `SESSION_TEST_SEED`, or another one each time. A test that fails names it.
///
/// # Panics
///
/// If `SESSION_TEST_SEED` is no number.
pub fn seed() -> u64 {
    match std::env::var("SESSION_TEST_SEED") {
        Ok(text) => text.parse().expect("SESSION_TEST_SEED is a number"),
        Err(_) => RandomState::new().hash_one(0),
    }
}

/// So many times, multiplied by `SESSION_SOAK_FACTOR` where that is set.
///
/// # Panics
///
/// If `SESSION_SOAK_FACTOR` is no number.
pub fn soaked(times: usize) -> usize {
    match std::env::var("SESSION_SOAK_FACTOR") {
        Ok(text) => times * text.parse::<usize>().expect("SESSION_SOAK_FACTOR is a number"),
        Err(_) => times,
    }
}

/// Xorshift: the same numbers for the same seed, everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts from this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// A number less than this one, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    /// `true` so many times of a hundred.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these, of which there must be one.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}
