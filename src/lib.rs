#![doc = "wip"]
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
mod entity;
pub mod graphql;
mod http;
mod rest;
pub mod services;
pub mod store;
mod telemetry;
