//! What a worker gets.

use std::sync::Arc;

use async_graphql::{Context, Enum, Json, Object, Result, SimpleObject};
use futures_util::future::try_join_all;
use serde_json::Value;

use super::job::{JobNode, RequirementKind};
use crate::{
    domain::{credentials::Credentials, graph::Side, lease::LeaseToken},
    graphql::{
        context::ContextExt,
        loaders::{CredentialsKey, LinksKey, OutputKey},
        scalar::DateTime,
    },
    services::{Heard, Started},
};

/// The GraphQL type `JobClaim`.
pub struct ClaimNode(pub Started);

/// A job that is yours to run, as long as you hold its lease.
#[Object(name = "JobClaim")]
impl ClaimNode {
    /// The secret with which you report about this attempt. It is shown here and nowhere else.
    async fn lease(&self) -> &str {
        self.0.lease.reveal()
    }

    /// When the lease ends, unless a heartbeat of yours comes before. After that you can change nothing.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.0.expires_at)
    }

    /// The number of this attempt at the job.
    async fn attempt(&self) -> i32 {
        self.0.attempt
    }

    /// The job, with its connection and the window that you must use: `effectiveSince`, `effectiveUntil` and
    /// `effectiveUpdatedSince`.
    async fn job(&self) -> JobNode {
        JobNode::alone(self.0.job.clone())
    }

    /// What opens the system of the job's connection, as it was given; null where it has none. Nowhere else.
    async fn credentials(&self, ctx: &Context<'_>) -> Result<Option<Json<Value>>> {
        let opened = ctx.load(CredentialsKey(self.0.job.connection_id)).await?;
        let value = |credentials: Arc<Credentials>| serde_json::from_str(credentials.reveal());
        Ok(opened.map(value).transpose()?.map(Json))
    }

    /// What the jobs that it requires have put out, in the order of the batch.
    async fn inputs(&self, ctx: &Context<'_>) -> Result<Vec<JobOutput>> {
        let links = ctx.load(LinksKey(self.0.job.id, Side::Required)).await?.unwrap_or_default();
        let input = async |link: &crate::domain::job::LinkedJob| -> Result<JobOutput> {
            let output = ctx.load(OutputKey(link.job.id)).await?;
            let job = JobNode::alone(link.job.clone());
            Ok(JobOutput {
                kind: link.kind.into(),
                job,
                output: output.map(|output| Json((*output).clone())),
            })
        };
        try_join_all(links.iter().map(input)).await
    }
}

/// What a required job has put out.
#[derive(SimpleObject)]
pub struct JobOutput {
    /// What the claimed job requires of it.
    kind: RequirementKind,
    /// The required job.
    job: JobNode,
    /// What it has put out; null when that was nothing.
    output: Option<Json<Value>>,
}

/// Why a worker shall stop.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The batch was canceled. Stop, and give the job back with `releaseJob` or report how it ended.
    Canceled,
    /// The lease is not, or no longer, that of a running attempt. Stop; you can change nothing.
    LeaseLost,
}

/// What has become of a lease.
#[derive(SimpleObject)]
#[graphql(serial)]
pub struct LeaseStatus {
    /// The lease, as you have sent it.
    lease: String,
    /// When it ends now; null when it is lost.
    expires_at: Option<DateTime>,
    /// Why you shall stop; null: go on.
    stop: Option<StopReason>,
}

impl LeaseStatus {
    /// What is answered about this lease.
    pub fn new(lease: &LeaseToken, heard: Heard) -> Self {
        let lease = lease.reveal().to_owned();
        match heard {
            Heard::GoesOn(at) => Self { lease, expires_at: Some(DateTime(at)), stop: None },
            Heard::Canceled(at) => {
                Self { lease, expires_at: Some(DateTime(at)), stop: Some(StopReason::Canceled) }
            }
            Heard::Lost => Self { lease, expires_at: None, stop: Some(StopReason::LeaseLost) },
        }
    }
}
