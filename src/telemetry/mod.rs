//! What Sluice says while it runs: log lines and metrics.

mod denials;
mod labels;
mod metrics;

use tracing_subscriber::EnvFilter;

pub use self::{
    denials::{DenialLog, Line},
    labels::{Live, Lookup, ReportOutcome, StatusClass, Surface},
    metrics::{CONTENT_TYPE, Metrics, Open},
};

/// What is logged where `RUST_LOG` says nothing else: warnings, and what Sluice itself finds worth saying. A request
/// that is no HTTP is answered and counted; a line for each would let anybody fill the log.
const FILTER: &str = "warn,sluice=info,actix_http::h1::dispatcher=off";

/// Writes events to standard error.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
