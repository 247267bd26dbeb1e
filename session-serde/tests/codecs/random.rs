//! Random numbers that can be had again.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

/// A stream of random numbers; the seed is printed, so that a test which fails can be repeated.
pub(crate) struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// Seeded by `SESSION_TEST_SEED`, or the clock.
    pub(crate) fn new() -> Self {
        let seed = match env::var("SESSION_TEST_SEED") {
            Ok(seed) => seed.parse().expect("SESSION_TEST_SEED is a number"),
            Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64),
        };
        // Shown if the test fails.
        println!("SESSION_TEST_SEED={seed}");
        Self { seed, state: seed }
    }

    pub(crate) fn seed(&self) -> String {
        format!("SESSION_TEST_SEED={}", self.seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to one less than `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}

/// How many times as long the long tests shall be.
pub(crate) fn factor() -> usize {
    env::var("SESSION_SOAK_FACTOR").map_or(1, |factor| factor.parse().expect("SESSION_SOAK_FACTOR is a number"))
}
