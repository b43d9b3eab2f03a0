//! The API as its users see it, over HTTP, on both databases. A file a feature.

mod support;

mod access;
mod answers;
mod backfills;
mod bad_input;
mod batches;
mod browsers;
mod connections;
mod consistency;
mod credentials;
mod documents;
mod graph_cache;
mod history;
mod incremental;
mod invariants;
mod issuer;
mod lanes;
mod metrics;
mod one_round;
mod operations;
mod pages;
mod protocol;
mod requests;
mod rest;
mod retention;
mod round_trip;
mod running;
mod schedules;
mod spoilt_batches;
mod sse;
mod subscriptions;
mod tenants;
mod wall;
mod ways_to_resolve;
mod websocket;
