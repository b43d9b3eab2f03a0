//! What is counted, for Prometheus. Labels are of bounded sets: nothing that a client sends is among them, and no
//! tenant.

use prometheus_client::{
    encoding::prometheus_text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::{Registry, Unit},
};

use super::labels::{Live, Lookup, ReportOutcome, StatusClass, Surface};
use crate::domain::{denial::Denial, refusal::Refusal, retention::Pruned};

/// The media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Names and values of `N` labels.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// All that a server counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels<2>, Counter>,
    refusals: Family<Labels<1>, Counter>,
    denials: Family<Labels<1>, Counter>,
    live: Family<Labels<1>, Gauge>,
    attempts: Counter,
    reports: Family<Labels<1>, Counter>,
    lookups: Family<Labels<1>, Counter>,
    graph_lookups: Family<Labels<1>, Counter>,
    graph_bytes: Gauge,
    pruned_batches: Counter,
    pruned_jobs: Counter,
    pruned_events: Counter,
}

/// A live connection, which is counted until this is dropped.
#[derive(Debug)]
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    /// Nothing has been counted yet.
    fn default() -> Self {
        let requests =
            Surface::ALL.into_iter().flat_map(|surface| StatusClass::ALL.map(|status| (surface, status)));
        let metrics = Self {
            registry: Registry::with_prefix("sluice"),
            requests: family(requests.map(|(surface, status)| Self::request(surface, status))),
            refusals: family(Refusal::ALL.map(Self::refusal)),
            denials: family(Denial::ALL.map(Self::denial)),
            live: family(Live::ALL.map(Self::live)),
            attempts: Counter::default(),
            reports: family(ReportOutcome::ALL.map(Self::report)),
            lookups: family(Lookup::ALL.map(Self::lookup)),
            graph_lookups: family(Lookup::ALL.map(Self::lookup)),
            graph_bytes: Gauge::default(),
            pruned_batches: Counter::default(),
            pruned_jobs: Counter::default(),
            pruned_events: Counter::default(),
        };
        metrics.registered()
    }
}

/// Metrics with these labels. They are there before the first is counted: a rate needs something to start from.
fn family<const N: usize, M: Default>(labels: impl IntoIterator<Item = Labels<N>>) -> Family<Labels<N>, M> {
    let family = Family::default();
    labels.into_iter().for_each(|labels| drop(family.get_or_create(&labels)));
    family
}

impl Metrics {
    /// The same, with names and explanations.
    fn registered(mut self) -> Self {
        let Self {
            registry,
            requests,
            refusals,
            denials,
            live,
            attempts,
            reports,
            lookups,
            graph_lookups,
            graph_bytes,
            pruned_batches,
            pruned_jobs,
            pruned_events,
        } = &mut self;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Which version this is", version);
        registry.register("requests", "Requests that were answered", requests.clone());
        let help = "Operations of GraphQL that were not run, or given up, by the code of the error";
        registry.register("graphql_operations_refused", help, refusals.clone());
        let help =
            "Requests and operations that were turned away: failed logins, and what a caller may not do";
        registry.register("denials", help, denials.clone());
        registry.register("live_connections", "WebSockets and streams of events that are open", live.clone());
        registry.register("attempts_started", "Attempts at jobs that were started here", attempts.clone());
        let help = "Reports about attempts that were made here, and expired leases that were ended here";
        registry.register("reports", help, reports.clone());
        let help = "Documents of GraphQL that were looked for among those that are known";
        registry.register("document_cache_lookups", help, lookups.clone());
        let help = "Batches whose parts were looked for among those that were read before";
        registry.register("graph_cache_lookups", help, graph_lookups.clone());
        let help = "About how much memory the batches take that were read before";
        registry.register_with_unit("graph_cache", help, Unit::Bytes, graph_bytes.clone());
        for (name, help, pruned) in [
            (
                "pruned_batches",
                "Batches that were deleted here, having been kept long enough",
                pruned_batches,
            ),
            ("pruned_jobs", "Jobs of such batches that were deleted here", pruned_jobs),
            ("pruned_events", "Events that were deleted here, having been kept long enough", pruned_events),
        ] {
            registry.register(name, help, pruned.clone());
        }
        self
    }

    fn request(surface: Surface, status: StatusClass) -> Labels<2> {
        [("surface", surface.name()), ("status", status.name())]
    }

    fn refusal(refusal: Refusal) -> Labels<1> {
        [("code", refusal.code())]
    }

    fn denial(denial: Denial) -> Labels<1> {
        [("reason", denial.name())]
    }

    fn live(live: Live) -> Labels<1> {
        [("kind", live.name())]
    }

    fn report(outcome: ReportOutcome) -> Labels<1> {
        [("outcome", outcome.name())]
    }

    fn lookup(lookup: Lookup) -> Labels<1> {
        [("result", lookup.name())]
    }

    /// A request was answered.
    pub fn answered(&self, surface: Surface, status: StatusClass) {
        self.requests.get_or_create(&Self::request(surface, status)).inc();
    }

    /// An operation was not run, or given up.
    pub fn refused(&self, refusal: Refusal) {
        self.refusals.get_or_create(&Self::refusal(refusal)).inc();
    }

    /// Somebody was turned away.
    pub fn denied(&self, denial: Denial) {
        self.denials.get_or_create(&Self::denial(denial)).inc();
    }

    /// A live connection is open until the answer is dropped.
    pub fn opened(&self, live: Live) -> Open {
        let gauge = self.live.get_or_create(&Self::live(live)).clone();
        gauge.inc();
        Open(gauge)
    }

    /// So many attempts were started.
    pub fn started(&self, attempts: usize) {
        self.attempts.inc_by(attempts as u64);
    }

    /// A report was made.
    pub fn reported(&self, outcome: ReportOutcome) {
        self.reports.get_or_create(&Self::report(outcome)).inc();
    }

    /// A document was looked up.
    pub fn looked_up(&self, lookup: Lookup) {
        self.lookups.get_or_create(&Self::lookup(lookup)).inc();
    }

    /// A batch with its parts was looked up.
    pub fn graph_looked_up(&self, lookup: Lookup) {
        self.graph_lookups.get_or_create(&Self::lookup(lookup)).inc();
    }

    /// The batches that are kept take about so much memory, in bytes.
    pub fn graphs_kept(&self, bytes: usize) {
        self.graph_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// So much was deleted.
    pub fn pruned(&self, pruned: Pruned) {
        let Pruned { batches, jobs, events } = pruned;
        self.pruned_batches.inc_by(batches);
        self.pruned_jobs.inc_by(jobs);
        self.pruned_events.inc_by(events);
    }

    /// Everything, in the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string can't fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}
