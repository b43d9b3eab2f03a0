//! What two requests must share to be the same request.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    batch::{NewBatch, NewJob},
    job::RequirementKind,
    since::{Since, Window},
};

/// The SHA-256 of what a batch asks for. Two ways of writing the same, a date and its Unix seconds
/// for instance, have the same fingerprint. It is stored, so its input must never change its shape.
pub fn fingerprint(new: &NewBatch) -> Vec<u8> {
    let mut canonical = json!({
        "tenant": new.tenant_id.to_string(),
        "source": new.source_connection_id.to_string(),
        "destination": new.destination_connection_id.to_string(),
        "window": window(new.window),
        "priority": new.priority,
        "failure_policy": new.failure_policy.name(),
        "jobs": new.jobs.iter().map(job).collect::<Vec<_>>(),
    });
    if let Some(until) = new.until {
        canonical["until"] = micros(until).into();
    }
    Sha256::digest(canonical.to_string()).to_vec()
}

fn job(job: &NewJob) -> Value {
    let required = RequirementKind::ALL.map(|kind| {
        let objects = job.required_objects.of(kind);
        objects.iter().map(|object| object.to_string()).collect::<Vec<_>>()
    });
    json!({
        "type": job.job_type.name(),
        "object": &*job.object,
        "grain": job.grain.as_deref(),
        "connection": job.connection_id.to_string(),
        "window": window(job.window),
        "allow_delete": job.allow_delete,
        "max_attempts": job.max_attempts,
        "required": required,
    })
}

fn window(window: Window) -> Value {
    json!([window.since.map(micros), window.updated_since.map(micros)])
}

fn micros(since: Since) -> i64 {
    since.instant().timestamp_micros()
}
