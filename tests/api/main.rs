//! The API as its users see it, over HTTP, on both databases. A file a feature.

mod support;

mod one_round;
mod rest;
