//! Batches on their way into the store.

use std::sync::Arc;

use super::{
    super::{BatchGraph, ConnectionMap},
    Prepared,
};
use crate::{
    domain::{
        batch::{Batch, NewBatch},
        id::JobId,
        job::{Job, JobState},
    },
    store::{
        Db, Error, Written, batches,
        dependencies::{self, StoredEdge},
        jobs::{self, NewRow},
    },
};

/// What a batch looks like when none of its jobs has started.
pub fn unstarted(batch: Batch, new: NewBatch, connections: Arc<ConnectionMap>) -> BatchGraph {
    let NewBatch { jobs, graph, waves, .. } = new;
    let jobs = jobs.into_iter().zip(waves).enumerate().map(|(position, (job, wave))| {
        Arc::new(Job {
            id: JobId::new(batch.updated_at),
            batch_id: batch.id,
            tenant_id: batch.tenant_id,
            position: position as u32,
            revision: batch.revision,
            job_type: job.job_type,
            object: job.object,
            grain: job.grain,
            connection_id: job.connection_id,
            window: job.window,
            from_watermark: job.from_watermark,
            allow_delete: job.allow_delete,
            priority: batch.priority,
            max_attempts: job.max_attempts,
            attempt: 0,
            last_attempt: 0,
            required_objects: Some(Box::new(job.required_objects)),
            wave,
            state: if wave == 0 { JobState::Ready { not_before: None } } else { JobState::Blocked },
            entered_at: batch.updated_at,
            published_at: None,
            created_at: batch.updated_at,
        })
    });
    BatchGraph { jobs: Some(jobs.collect()), edges: Some(graph), counted: None, connections, batch }
}

/// Writes batches with their jobs and edges.
pub(super) async fn insert(db: &impl Db, new: &[&Prepared]) -> Result<Written, Error> {
    if new.is_empty() {
        return Ok(Written::Done);
    }
    let rows: Vec<_> = new.iter().map(|new| (&new.graph.batch, new.idempotency.as_ref())).collect();
    match batches::insert(db, &rows).await? {
        Written::Done => {}
        refused @ (Written::Duplicate | Written::Reference) => return Ok(refused),
    }
    let graphs: Vec<&BatchGraph> = new.iter().map(|new| &*new.graph).collect();
    insert_parts(db, &graphs).await
}

/// Writes the jobs and the edges of batches whose rows are there.
pub async fn insert_parts(db: &impl Db, graphs: &[&BatchGraph]) -> Result<Written, Error> {
    let mut rows = Vec::new();
    let mut edges = Vec::new();
    for BatchGraph { batch, jobs, edges: graph, .. } in graphs {
        let (Some(jobs), Some(graph)) = (jobs, graph) else { continue };
        rows.extend(jobs.iter().map(|job| NewRow { job, requires: graph.required(job.position) }));
        let (batch_id, revision) = (batch.id, batch.revision);
        edges.extend(graph.edges().map(|edge| StoredEdge { batch_id, revision, edge }));
    }
    match jobs::insert(db, &rows).await? {
        Written::Done => {}
        refused @ (Written::Duplicate | Written::Reference) => return Ok(refused),
    }
    dependencies::insert(db, &edges).await?;
    Ok(Written::Done)
}
