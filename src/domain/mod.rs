//! What Sluice is about, and nothing else: ids, windows, batches, jobs, their graph, pages.
//!
//! Pure: no I/O, no async, no clock, no database, no web framework. Everybody else may import this
//! room; it imports none of ours.

pub mod access;
pub mod attempt;
pub mod backfill;
pub mod batch;
pub mod blocked;
pub mod claim;
pub mod connection;
pub mod credentials;
pub mod cron;
pub mod denial;
pub mod documents;
pub mod draft;
pub mod event;
pub mod fingerprint;
pub mod firing;
pub mod graph;
pub mod id;
pub mod job;
pub mod keyring;
pub mod lease;
pub mod list;
pub mod page;
pub mod plan;
pub mod problem;
pub mod refusal;
pub mod requirements;
pub mod rerun;
pub mod retention;
pub mod retry;
pub mod schedule;
pub mod settle;
pub mod since;
pub mod tenant;
pub mod text;
pub mod timetable;
pub mod token;
pub mod transition;
pub mod veil;
pub mod watermark;
pub mod windows;
pub mod wiped;
#[cfg(test)]
mod world;
pub mod zone;
