//! The web server: routes, bodies, status codes, live streams.

mod compress;
mod conditional;
mod detach;
mod graphiql;
mod graphql;
mod head;
mod headers;
mod health;
mod metrics;
mod parameters;
pub mod server;
mod sse;
mod websocket;
