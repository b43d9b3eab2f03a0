//! Sluice, the control plane for extract/load work.
//!
//! # The map
//!
//! | room | what is in it |
//! |---|---|
//! | [`domain`] | what Sluice is about: ids, windows, batches, jobs, their graph, pages; pure |
//! | `entity` | SeaORM entities, one table a file |
//! | [`store`] | all SQL; rows become domain values here |
//! | [`services`] | the use cases, one transaction each |
//! | `background` | what goes on without being asked for, one loop a file |
//! | `demo` | a demonstration: simulated workers and what they work on |
//! | [`graphql`] | the GraphQL schema: translation only |
//! | `rest` | the documented `/batch` interface: translation only |
//! | `http` | the web server: routes, content negotiation, live streams, GraphiQL |
//! | [`app`] | the composition root: everything is put together there |
//! | [`cli`] | the command line: thin |
//! | [`config`], [`clock`], [`telemetry`] | flags and environment, the time, what is logged and counted |
//! | `cache` | things that are kept in a bounded amount of memory |
//! | [`issuer`] | an issuer of tokens outside of Sluice that is trusted |
//! | `keyfile` | where the keys are that seal credentials |
//!
//! The schema of the database is a crate of its own, `migration`.
//!
//! # The law
//!
//! **http → graphql | rest | background → services → store → entity.** What stands further right knows nothing of
//! what stands further left. `domain` is pure, and everyone above `entity` may use it; it uses none of
//! ours. Only `store` and `entity` know SeaORM, only `store` the drivers beneath it, only `graphql` knows
//! async-graphql and apollo-compiler, only `http`, `rest` and `app` know actix. `tests/architecture.rs` reads
//! the `use` lines and fails when this is broken.
//!
//! # How data flows
//!
//! A **nested read**: the operation is read, validated and its cost worked out, or its document is known
//! (`graphql`, `documents`); `Query.batches` asks the services for a page and,
//! by look-ahead, for the parts that the selection wants; one round of statements fetches the jobs, the
//! dependencies and the connections of all batches of the page, but for those that were read before and whose
//! rows are still the same (`services`, `graph_cache`); dependencies are then followed in memory
//! ([`domain::graph::JobGraph`]). A **write**: the input becomes a draft, the domain says
//! everything that is wrong with it, the service writes rows in one transaction. A **subscription**: the
//! service waits for a change, the batch is read as a query would read it, and the next response is
//! worked out once the connection (a WebSocket or server-sent events) has taken the one before.
//!
//! **Who asks** is known before anything else is done (`rest`, `auth`; `services`, `admission`): a
//! [`domain::access::Caller`], of whom alone a [`domain::access::Scope`] is to be had. No function of the store that
//! reads or locks goes without one.
//!
//! # How batches run
//!
//! Workers **claim** jobs and **report** how they ended ([`services`], `runs`). Requests that come at the
//! same time gather into one transaction. Claims are made one after the other in the whole cluster, so
//! that what [`domain::claim`] counts is true; whoever changes a job holds the lock of its batch, so that all
//! that happens in a batch happens in order. What a report makes of an attempt and its job is said by
//! [`domain::settle`] and [`domain::transition`]. Each transaction appends what it has changed to the
//! history, and wakes who waits: workers for work, followers for events. A wake-up carries no data, also
//! between servers: whoever wakes reads the table, and whoever missed it polls.
//!
//! **Schedules** make batches when they are due. [`domain::timetable`] says when that is, [`domain::firing`] what is to be
//! done about it; the service that does it holds the lock of the schedule's row and moves it on in the same
//! transaction, so that every instant leaves exactly one record, on however many servers.
//! How far the jobs of an incremental schedule have got is written when a batch of it ends, by the rules of
//! [`domain::watermark`].
//! A backfill runs a schedule's template window by window: [`domain::windows`] cuts them, and what begins one holds the lock
//! of the backfill's row and writes the window with its batch, so that each has exactly one.
//!
//! **What has been kept long enough** ([`domain::retention`]) goes in steps of one transaction each. A batch is taken out of sight as a
//! whole; then its rows go, a bounded number at a time. Events go from the oldest on, and the history says where it begins.

#![forbid(unsafe_code)]
#![warn(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::todo,
    clippy::dbg_macro
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod app;
mod background;
mod cache;
pub mod cli;
pub mod clock;
pub mod config;
mod demo;
pub mod domain;
mod entity;
pub mod graphql;
mod http;
pub mod issuer;
mod keyfile;
mod rest;
pub mod services;
pub mod store;
pub mod telemetry;
