//! SeaORM entities: one table a file, plain columns. What they mean is said in
//! [`crate::domain`]; only [`crate::store`] reads and writes them.
#![allow(missing_docs, reason = "a column bears the name of the domain field that documents it")]

pub mod attempt;
pub mod backfill;
pub mod backfill_window;
pub mod batch;
pub mod connection;
pub mod dependency;
pub mod event;
pub mod firing;
pub mod history_start;
pub mod job;
pub mod output;
pub mod ready_job;
pub mod schedule;
pub mod secret_key;
pub mod server_secret;
pub mod tenant;
pub mod token;
pub mod watermark;
pub mod worker_call;
