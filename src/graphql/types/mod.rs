//! The objects, enums and inputs of the schema.

pub mod batch;
pub mod connection;
pub mod filter;
pub mod job;
pub mod node;
pub mod plan;
pub mod tenant;
