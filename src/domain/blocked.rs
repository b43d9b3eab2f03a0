//! Why a job does not run: what it waits for, since when, and who can clear it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    connection::Connection,
    job::{Job, JobState, JobType, LinkedJob, RequirementKind},
    tenant::{Concurrency, Tenant},
};

/// One thing that a job waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockReason {
    /// Since when, UTC.
    pub since: DateTime<Utc>,
    /// For what.
    pub waits_for: WaitsFor,
}

/// What a job waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum WaitsFor {
    /// Another job.
    Requirement {
        /// What must come of it.
        kind: RequirementKind,
        /// The other job.
        job: Arc<Job>,
    },
    /// A slot of its connection: as many jobs use it as may.
    ConnectionSlot {
        /// The connection.
        connection: Arc<Connection>,
        /// How many jobs use it.
        running: usize,
        /// How many may.
        limit: Concurrency,
    },
    /// A slot of its tenant: as many of its jobs run as may.
    TenantSlot {
        /// The tenant.
        tenant: Arc<Tenant>,
        /// How many of its jobs run.
        running: usize,
        /// How many may.
        limit: Concurrency,
    },
    /// The end of a backoff.
    Retry {
        /// When it ends, UTC.
        not_before: DateTime<Utc>,
    },
    /// A worker: none has asked for such jobs for a minute.
    Worker {
        /// The provider that the worker must be able to serve.
        provider: String,
        /// The type that it must ask for.
        job_type: JobType,
    },
    /// Its worker to stop, since the batch was canceled.
    Cancel,
}

/// What stands around a job that is ready.
pub struct Surroundings {
    /// Its connection.
    pub connection: Arc<Connection>,
    /// How many jobs use that.
    pub on_connection: usize,
    /// Its tenant.
    pub tenant: Arc<Tenant>,
    /// How many jobs of that run.
    pub of_tenant: usize,
    /// When a worker has last asked for such jobs, if that was not too long ago, UTC.
    pub last_call: Option<DateTime<Utc>>,
}

/// What a blocked job waits for: those of its requirements that are not satisfied.
pub fn by_requirements(job: &Job, required: &[LinkedJob]) -> Vec<BlockReason> {
    let missing = required.iter().filter(|link| !link.kind.satisfied_by(&link.job));
    missing
        .map(|link| BlockReason {
            since: job.entered_at,
            waits_for: WaitsFor::Requirement { kind: link.kind, job: link.job.clone() },
        })
        .collect()
}

/// What a ready job waits for; nothing, when the next worker that asks will get it.
pub fn by_surroundings(job: &Job, around: &Surroundings, now: DateTime<Utc>) -> Vec<BlockReason> {
    let since = job.entered_at;
    let reason = |waits_for| BlockReason { since, waits_for };
    let mut reasons = Vec::new();
    if let JobState::Ready { not_before: Some(not_before) } = job.state
        && not_before > now
    {
        reasons.push(reason(WaitsFor::Retry { not_before }));
    }
    let full = |limit: Option<Concurrency>, running: usize| {
        limit.filter(|limit| running >= limit.jobs().unsigned_abs() as usize)
    };
    let Surroundings { connection, on_connection, tenant, of_tenant, last_call } = around;
    if let Some(limit) = full(connection.max_concurrent_jobs, *on_connection) {
        let connection = connection.clone();
        reasons.push(reason(WaitsFor::ConnectionSlot { connection, running: *on_connection, limit }));
    }
    if let Some(limit) = full(tenant.max_concurrent_jobs, *of_tenant) {
        let tenant = tenant.clone();
        reasons.push(reason(WaitsFor::TenantSlot { tenant, running: *of_tenant, limit }));
    }
    if last_call.is_none() {
        let provider = connection.provider.to_string();
        reasons.push(reason(WaitsFor::Worker { provider, job_type: job.job_type }));
    }
    reasons
}
