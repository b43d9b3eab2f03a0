//! Which parts of a batch a selection needs, so that a page's batches are fetched with all of them
//! in one round. What is overlooked here is no error: the resolver then asks a loader.

use async_graphql::Lookahead;

use crate::services::{Parts, WantedConnections};

/// The parts of the batches whose selection this is.
pub fn parts_of_batch(batch: &Lookahead<'_>) -> Parts {
    let jobs = batch.field("jobs");
    let plan = batch.field("plan");
    let ends = [jobs.field("dependencies"), jobs.field("dependents")];
    let everywhere = [
        ends[0].field("job"),
        ends[1].field("job"),
        plan.field("waves"),
        plan.field("criticalPath"),
        plan.field("waves").field("job"),
        plan.field("criticalPath").field("job"),
    ];
    let of_some_job =
        |field| jobs.field(field).exists() || everywhere.iter().any(|jobs| jobs.field(field).exists());
    let connections = if of_some_job("connection") {
        WantedConnections::OfJobs
    } else if batch.field("sourceConnection").exists() || batch.field("destinationConnection").exists() {
        WantedConnections::OfBatch
    } else {
        WantedConnections::None
    };
    Parts {
        jobs: jobs.exists() || plan.exists(),
        edges: plan.exists() || ends.iter().any(Lookahead::exists),
        required_objects: of_some_job("requiredObjects"),
        counts: batch.field("jobCounts").exists(),
        connections,
    }
}

/// The parts of the batches on a page whose selection this is.
pub fn parts_of_page(page: &Lookahead<'_>) -> Parts {
    parts_of_batch(&page.field("nodes")).and(parts_of_batch(&page.field("edges").field("node")))
}

/// Whether a selection of jobs needs their batches, and which parts of them.
pub fn parts_of_jobs_batch(job: &Lookahead<'_>) -> Option<Parts> {
    let wanted = ["batch", "effectiveSince", "effectiveUntil", "effectiveUpdatedSince"];
    let parts = parts_of_batch(&job.field("batch"));
    wanted.iter().any(|field| job.field(field).exists()).then_some(parts)
}
