//! The web server: routes, bodies, status codes, live streams.

mod crowd;
mod graphiql;
mod graphql;
mod health;
mod parameters;
pub mod server;
mod sse;
mod websocket;
