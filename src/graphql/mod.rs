//! GraphQL: translation only. Ids, times and enums are read and written here; every rule is in
//! [`crate::services`] and [`crate::domain`].

mod context;
mod error;
mod inline;
mod json;
mod lists;
mod loaders;
mod lookahead;
mod mutation;
mod query;
mod scalar;
mod schema;
mod types;

pub use schema::{Allowed, Executed, Operation, Outcome, Schema, sdl};
