//! Random numbers that a seed repeats (SplitMix64, Steele, Lea and Flood 2014).

use std::time::{SystemTime, UNIX_EPOCH};

/// A source of random numbers.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The numbers of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The numbers of the seed in `WAMIG_TEST_SEED`, else of the time. Says which, so that a
    /// failure can be repeated.
    pub fn seeded() -> Self {
        let given = std::env::var("WAMIG_TEST_SEED").ok().and_then(|s| s.parse().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_micros() as u64);
        let seed = given.unwrap_or(now);
        println!("WAMIG_TEST_SEED={seed}");
        Self::new(seed)
    }

    /// Any number.
    pub const fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number less than `n`.
    pub const fn below(&mut self, n: usize) -> usize {
        (self.any() % n as u64) as usize
    }

    /// True in `percent` of 100 cases.
    pub const fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the list.
    pub fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// A number of repetitions, by `WAMIG_TEST_SCALE` in percent: emulated machines are slow.
pub fn scaled(n: usize) -> usize {
    let percent = std::env::var("WAMIG_TEST_SCALE").ok().and_then(|s| s.parse().ok()).unwrap_or(100);
    (n * percent / 100).max(1)
}
