//! The objects, enums and inputs of the schema.

pub mod attempt;
pub mod backfill;
pub mod batch;
pub mod blocked;
pub mod claim;
pub mod connection;
pub mod event;
pub mod filter;
pub mod firing;
pub mod job;
pub mod node;
pub mod page_info;
pub mod plan;
pub mod schedule;
pub mod template;
pub mod tenant;
pub mod timetable;
pub mod token;
pub mod watermark;
pub mod window;
