//! The web server: routes, bodies, status codes.

mod graphiql;
mod graphql;
mod health;
pub mod server;
