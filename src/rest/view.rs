//! A batch as REST shows it: the documented fields, and those that GraphQL has beside them only where
//! they differ from what the documentation implies, so that what is read can be written back without
//! a loss.

use serde::Serialize;

use crate::{
    domain::{
        batch::FailurePolicy,
        draft::DEFAULT_MAX_ATTEMPTS,
        job::{Job, RequiredObjects, RequirementKind},
        since::Since,
        tenant::DEFAULT_TENANT,
    },
    services::BatchGraph,
};

/// A batch.
#[derive(Serialize)]
pub struct BatchView {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
    source_connection_id: String,
    destination_connection_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_policy: Option<&'static str>,
    jobs: Vec<JobView>,
}

#[derive(Serialize)]
struct JobView {
    r#type: &'static str,
    object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    grain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_delete: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_objects: Option<RequiredObjectsView>,
}

#[derive(Serialize)]
struct RequiredObjectsView {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extract: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    load: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    load_result: Vec<String>,
}

impl BatchView {
    /// The batch with its jobs.
    pub fn new(graph: &BatchGraph) -> Self {
        let batch = &graph.batch;
        // A client that names no tenant is not told of one; for a schedule's batches the documentation has it.
        let names_tenant = batch.tenant_id != DEFAULT_TENANT || batch.origin.schedule().is_some();
        let own_connection = |job: &Job| job.connection_id != batch.default_connection(job.job_type);
        Self {
            id: batch.id.to_string(),
            tenant_id: names_tenant.then(|| batch.tenant_id.to_string()),
            source_connection_id: batch.source_connection_id.to_string(),
            destination_connection_id: batch.destination_connection_id.to_string(),
            since: batch.window.since.map(Since::date_or_time),
            until: batch.until.map(Since::date_or_time),
            updated_since: batch.window.updated_since.map(Since::date_or_time),
            priority: (batch.priority != 0).then_some(batch.priority),
            failure_policy: (batch.failure_policy != FailurePolicy::default())
                .then_some(batch.failure_policy.name()),
            jobs: graph
                .jobs
                .iter()
                .flatten()
                .map(|job| JobView::new(job, own_connection(job).then(|| job.connection_id.to_string())))
                .collect(),
        }
    }
}

impl JobView {
    fn new(job: &Job, connection_id: Option<String>) -> Self {
        Self {
            r#type: job.job_type.name(),
            object: job.object.to_string(),
            grain: job.grain.as_ref().map(ToString::to_string),
            connection_id,
            since: job.window.since.map(Since::date_or_time),
            updated_since: job.window.updated_since.map(Since::date_or_time),
            allow_delete: job.allow_delete.then_some(true),
            max_attempts: (job.max_attempts != DEFAULT_MAX_ATTEMPTS).then_some(job.max_attempts),
            required_objects: job.required_objects.as_deref().and_then(required_objects),
        }
    }
}

fn required_objects(required: &RequiredObjects) -> Option<RequiredObjectsView> {
    let names = |kind| required.of(kind).iter().map(ToString::to_string).collect();
    (!required.is_empty()).then(|| RequiredObjectsView {
        extract: names(RequirementKind::Extract),
        load: names(RequirementKind::Load),
        load_result: names(RequirementKind::LoadResult),
    })
}
