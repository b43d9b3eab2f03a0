//! Why a job does not run.

use async_graphql::{SimpleObject, Union};

use super::{
    connection::ConnectionNode,
    job::{JobNode, JobStatus, JobType, RequirementKind},
    tenant::TenantNode,
};
use crate::{
    domain::blocked::{self, WaitsFor},
    graphql::scalar::DateTime,
};

/// One thing that keeps a job from running.
#[derive(Union)]
pub enum BlockReason {
    /// Another job.
    Requirement(WaitsForRequirement),
    /// A slot of its connection.
    ConnectionSlot(WaitsForConnectionSlot),
    /// A slot of its tenant.
    TenantSlot(WaitsForTenantSlot),
    /// The end of a backoff.
    Retry(WaitsForRetry),
    /// A worker.
    Worker(WaitsForWorker),
    /// Its worker to stop.
    Cancel(WaitsForCancel),
}

/// A required object is not there yet. It comes when the other job has got so far.
#[derive(SimpleObject)]
pub struct WaitsForRequirement {
    /// Since when the job waits.
    since: DateTime,
    /// What must come of the other job.
    kind: RequirementKind,
    /// The job that is waited for.
    job: JobNode,
    /// Where that job stands.
    status: JobStatus,
}

/// As many jobs use its connection as may. It goes on when one of them ends, or when `updateConnection`
/// raises the limit.
#[derive(SimpleObject)]
pub struct WaitsForConnectionSlot {
    /// Since when the job waits.
    since: DateTime,
    /// The connection.
    connection: ConnectionNode,
    /// How many jobs use it.
    running: u32,
    /// How many may.
    limit: i32,
}

/// As many jobs of its tenant run as may. It goes on when one of them ends, or when `updateTenant`
/// raises the limit.
#[derive(SimpleObject)]
pub struct WaitsForTenantSlot {
    /// Since when the job waits.
    since: DateTime,
    /// The tenant.
    tenant: TenantNode,
    /// How many of its jobs run.
    running: u32,
    /// How many may.
    limit: i32,
}

/// Its last attempt failed, and the next one is not to start before some time has passed.
#[derive(SimpleObject)]
pub struct WaitsForRetry {
    /// Since when the job waits.
    since: DateTime,
    /// When it may start.
    not_before: DateTime,
}

/// No worker has asked for jobs of this provider and type for a minute. It goes on when whoever runs the
/// workers starts one that does.
#[derive(SimpleObject)]
pub struct WaitsForWorker {
    /// Since when the job waits.
    since: DateTime,
    /// The provider that the worker must be able to serve.
    provider: String,
    /// The type that it must ask for.
    r#type: JobType,
}

/// Its batch was canceled; it ends when its worker has heard of it and stopped, or when its lease
/// expires.
#[derive(SimpleObject)]
pub struct WaitsForCancel {
    /// Since when the batch is being canceled.
    since: DateTime,
}

impl From<blocked::BlockReason> for BlockReason {
    fn from(reason: blocked::BlockReason) -> Self {
        let since = DateTime(reason.since);
        let count = |running| u32::try_from(running).unwrap_or(u32::MAX);
        match reason.waits_for {
            WaitsFor::Requirement { kind, job } => {
                let status = job.state.status().into();
                let (kind, job) = (kind.into(), JobNode::alone(job));
                Self::Requirement(WaitsForRequirement { since, kind, job, status })
            }
            WaitsFor::ConnectionSlot { connection, running, limit } => {
                let (connection, running, limit) = (ConnectionNode(connection), count(running), limit.jobs());
                Self::ConnectionSlot(WaitsForConnectionSlot { since, connection, running, limit })
            }
            WaitsFor::TenantSlot { tenant, running, limit } => {
                let (tenant, running, limit) = (TenantNode(tenant), count(running), limit.jobs());
                Self::TenantSlot(WaitsForTenantSlot { since, tenant, running, limit })
            }
            WaitsFor::Retry { not_before } => {
                Self::Retry(WaitsForRetry { since, not_before: DateTime(not_before) })
            }
            WaitsFor::Worker { provider, job_type } => {
                Self::Worker(WaitsForWorker { since, provider, r#type: job_type.into() })
            }
            WaitsFor::Cancel => Self::Cancel(WaitsForCancel { since }),
        }
    }
}
