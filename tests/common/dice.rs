//! Chance that can be had again: `SLUICE_TEST_SEED=…` repeats a run.

/// Random enough, and the same again for the same seed.
pub struct Dice(u64);

#[allow(dead_code, reason = "each test binary uses a part of it")]
impl Dice {
    /// Others in every run, unless a seed is given.
    pub fn new() -> Self {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        Self::seeded(now)
    }

    /// The same in every run, unless another seed is given.
    pub fn seeded(seed: u64) -> Self {
        let chosen = std::env::var("SLUICE_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = chosen.unwrap_or(seed);
        eprintln!("SLUICE_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    /// Yes, in one of `of` cases.
    pub fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// One of these.
    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}
