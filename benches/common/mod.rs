//! What both benches need: databases of their own, batches to put in, and ways to measure.
#![allow(dead_code, reason = "each bench uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that can't go on shall say so and end")]

pub mod allocations;
pub mod database;
pub mod drafts;
pub mod load;
pub mod process;
pub mod requests;

use std::time::Duration;

/// A number from the environment, or what holds without it.
pub fn setting(name: &str, default: f64) -> f64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")),
        Err(_) => default,
    }
}

/// The duration that this part of the sorted ones does not exceed, in milliseconds.
pub fn percentile(sorted: &[Duration], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * part).round() as usize;
    sorted.get(index).map_or(0.0, |duration| duration.as_secs_f64() * 1_000.0)
}
