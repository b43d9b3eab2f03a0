//! The objects, enums and inputs of the schema.

pub mod attempt;
pub mod batch;
pub mod blocked;
pub mod claim;
pub mod connection;
pub mod event;
pub mod filter;
pub mod job;
pub mod node;
pub mod plan;
pub mod tenant;
pub mod token;
