//! GraphQL: translation only. Ids, times and enums are read and written here; every rule is in
//! [`crate::services`] and [`crate::domain`].

mod context;
mod documents;
mod error;
mod fields;
mod inline;
mod json;
mod leaf;
mod lists;
mod loaders;
mod lookahead;
mod mutation;
mod query;
mod response;
mod scalar;
mod schema;
mod subscription;
mod timed;
mod types;

pub use documents::{Asked, DocumentHash, Registered};
pub use response::{Executed, Outcome};
pub use schema::{Allowed, CostShown, Operation, Requester, Schema, sdl};
