#![doc = "wip"]
pub mod clock;
pub mod config;
pub mod domain;
mod entity;
pub mod store;
