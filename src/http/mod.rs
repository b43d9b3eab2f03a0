//! The web server: routes, bodies, status codes.

mod body;
mod graphiql;
mod graphql;
mod health;
pub mod problem;
pub mod server;

pub use body::read_body;
