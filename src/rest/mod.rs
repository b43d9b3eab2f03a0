//! The documented REST interface, `/batch`: snake case, the fields of the documentation, nothing that
//! it does not know unless somebody asked for it. The same services stand behind it as behind
//! GraphQL.

pub mod auth;
mod body;
pub mod crowd;
mod error;
mod handlers;
pub mod payload;
mod precondition;
pub mod problem;
mod view;

pub use handlers::routes;
