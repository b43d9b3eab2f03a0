//! Servers and workers that die, freeze and come back, as real processes.

mod backfills;
#[path = "../common/mod.rs"]
mod common;
mod kills;
mod outages;
mod schedules;
mod servers;
mod support;
