//! When a job is tried again after an attempt that failed.

use chrono::TimeDelta;

/// The shortest wait.
const SHORTEST: TimeDelta = TimeDelta::seconds(10);
/// The longest wait.
const LONGEST: TimeDelta = TimeDelta::minutes(10);

/// A random number from 0 up to 1, by which jobs that failed together don't come back together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// Of 32 random bits.
    pub fn new(random: u32) -> Self {
        Self(f64::from(random) / (f64::from(u32::MAX) + 1.0))
    }
}

/// How long to wait after `failed` attempts: twice as long each time, and up to as much again by
/// chance; never less than 10 seconds nor more than 10 minutes.
pub fn backoff(failed: i32, jitter: Jitter) -> TimeDelta {
    let doublings = failed.saturating_sub(1).clamp(0, 10).unsigned_abs();
    let base = SHORTEST * 2_i32.pow(doublings);
    let by_chance = TimeDelta::microseconds((base.as_seconds_f64() * jitter.0 * 1e6) as i64);
    (base + by_chance).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_wait_doubles_up_to_ten_minutes() {
        let waits: Vec<i64> = (1..9).map(|n| backoff(n, Jitter::new(0)).num_seconds()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600]);
    }

    proptest! {
        #[test]
        fn the_wait_is_always_between_its_bounds(failed in any::<i32>(), random in any::<u32>()) {
            let wait = backoff(failed, Jitter::new(random));
            prop_assert!((SHORTEST..=LONGEST).contains(&wait));
        }
    }
}
