//! Templates of batches as they are stored: what a client wrote, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    batch::{FailurePolicy, Watermarks},
    draft::{BatchDraft, JobDraft},
    job::{JobType, RequiredObjects},
};

/// A template. Its shape is stored, so what stands in it must be readable for ever.
#[derive(Serialize, Deserialize)]
struct Template {
    source_connection_id: String,
    destination_connection_id: String,
    since: Option<String>,
    updated_since: Option<String>,
    priority: i32,
    failure_policy: String,
    jobs: Vec<Job>,
}

#[derive(Serialize, Deserialize)]
struct Job {
    r#type: String,
    object: String,
    grain: Option<String>,
    connection_id: Option<String>,
    since: Option<String>,
    updated_since: Option<String>,
    allow_delete: bool,
    max_attempts: i32,
    extract: Vec<String>,
    load: Vec<String>,
    load_result: Vec<String>,
}

/// What is stored of a template.
pub fn to_json(draft: &BatchDraft) -> Value {
    let template = Template {
        source_connection_id: draft.source_connection_id.clone(),
        destination_connection_id: draft.destination_connection_id.clone(),
        since: draft.since.clone(),
        updated_since: draft.updated_since.clone(),
        priority: draft.priority,
        failure_policy: draft.failure_policy.name().to_owned(),
        jobs: draft.jobs.iter().map(Job::of).collect(),
    };
    serde_json::to_value(template).unwrap_or_default()
}

/// The template that was stored, if it is one.
pub fn from_json(stored: Value) -> Option<BatchDraft> {
    let template: Template = serde_json::from_value(stored).ok()?;
    Some(BatchDraft {
        tenant_id: None,
        source_connection_id: template.source_connection_id,
        destination_connection_id: template.destination_connection_id,
        since: template.since,
        until: None,
        updated_since: template.updated_since,
        priority: template.priority,
        failure_policy: FailurePolicy::named(&template.failure_policy)?,
        watermarks: Watermarks::Stay,
        idempotency_key: None,
        jobs: template.jobs.into_iter().map(Job::into_draft).collect::<Option<_>>()?,
    })
}

impl Job {
    fn of(draft: &JobDraft) -> Self {
        let RequiredObjects { extract, load, load_result } = draft.required_objects.clone();
        Self {
            r#type: draft.job_type.name().to_owned(),
            object: draft.object.clone(),
            grain: draft.grain.clone(),
            connection_id: draft.connection_id.clone(),
            since: draft.since.clone(),
            updated_since: draft.updated_since.clone(),
            allow_delete: draft.allow_delete,
            max_attempts: draft.max_attempts,
            extract,
            load,
            load_result,
        }
    }

    fn into_draft(self) -> Option<JobDraft> {
        let Self { extract, load, load_result, .. } = self;
        Some(JobDraft {
            job_type: JobType::named(&self.r#type)?,
            object: self.object,
            grain: self.grain,
            connection_id: self.connection_id,
            since: self.since,
            updated_since: self.updated_since,
            allow_delete: self.allow_delete,
            max_attempts: self.max_attempts,
            required_objects: RequiredObjects { extract, load, load_result },
        })
    }
}
