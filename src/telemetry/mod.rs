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

/// Writes events to standard error: warnings and what Sluice itself finds worth saying, or whatever
/// `RUST_LOG` asks for.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,sluice=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
