//! Batches.

use std::sync::Arc;

use async_graphql::{
    Context, Enum, ID, InputObject, Object, Result, ScalarType, SimpleObject, Value,
    resolver_utils::enum_value,
};

use super::{
    connection::{ConnectionNode, load_connection},
    event::EventFilterInput,
    job::{JobNode, JobStatus, JobType},
    plan::PlanNode,
    tenant::TenantNode,
};
use crate::{
    domain::{
        batch,
        id::ConnectionId,
        job::{self, Job},
        page::PageArgs,
        plan::BatchPlan,
    },
    graphql::{
        context::ContextExt,
        error::gone,
        inline::{Asked, AtHand, Inline, InlineList, walk, walk_list},
        lists::EventConnection,
        loaders::GraphKey,
        query::event_list,
        scalar::{DateTime, Since, since, time},
    },
    services::{BatchGraph, Parts},
};

/// The GraphQL type `Batch`.
#[derive(Clone)]
pub struct BatchNode(pub Arc<BatchGraph>);

/// Where a batch stands.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "batch::BatchStatus")]
pub enum BatchStatus {
    /// Nothing of it has started.
    Pending,
    /// Something of it has started.
    Running,
    /// It was canceled, and waits for its running jobs to stop.
    Canceling,
    /// All of its jobs succeeded.
    Succeeded,
    /// Its last job has ended, and not all succeeded.
    Failed,
    /// It was canceled.
    Canceled,
}

/// What becomes of the rest of a batch when one of its jobs fails for good.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "batch::FailurePolicy")]
pub enum FailurePolicy {
    /// What does not require the failed job goes on.
    Continue,
    /// The batch is canceled.
    CancelBatch,
}

/// Which jobs of a batch. What is left out lets everything through; all that is given must hold.
#[derive(InputObject, Default)]
#[graphql(name = "BatchJobFilter")]
pub struct BatchJobFilter {
    /// Those of this type.
    r#type: Option<JobType>,
    /// Those with one of these statuses; an empty list lets everything through.
    statuses: Option<Vec<JobStatus>>,
    /// Those that extract or load this object.
    object: Option<String>,
}

impl BatchJobFilter {
    fn matches(&self, job: &Job) -> bool {
        let Self { r#type, statuses, object } = self;
        r#type.is_none_or(|wanted| wanted == job.job_type.into())
            && statuses
                .as_ref()
                .is_none_or(|wanted| wanted.is_empty() || wanted.contains(&job.state.status().into()))
            && object.as_deref().is_none_or(|wanted| wanted == &*job.object)
    }
}

/// How many jobs of a batch are in each state.
#[derive(SimpleObject)]
#[graphql(serial)]
pub struct JobCounts {
    /// All jobs.
    total: u32,
    /// Those for which a required object is not there yet.
    blocked: u32,
    /// Those that may be claimed.
    ready: u32,
    /// Those that a worker runs.
    running: u32,
    /// Those that succeeded.
    succeeded: u32,
    /// Those that failed for good.
    failed: u32,
    /// Those for which a required object can no longer arrive.
    skipped: u32,
    /// Those that were canceled.
    canceled: u32,
}

impl From<job::JobCounts> for JobCounts {
    fn from(counts: job::JobCounts) -> Self {
        let job::JobCounts { blocked, ready, running, succeeded, failed, skipped, canceled } = counts;
        Self { total: counts.total(), blocked, ready, running, succeeded, failed, skipped, canceled }
    }
}

impl BatchNode {
    /// The batch with these parts: as it was fetched, if they are there, else loaded now.
    async fn with(&self, ctx: &Context<'_>, parts: Parts) -> Result<Arc<BatchGraph>> {
        let graph = &self.0;
        if graph.has(parts) {
            return Ok(graph.clone());
        }
        let loaded = ctx.load(GraphKey(graph.batch.id, parts)).await?;
        // Parts of another definition than the one whose fields are shown beside them won't do.
        loaded.filter(|loaded| loaded.batch.revision == graph.batch.revision).ok_or_else(|| gone("batch"))
    }

    async fn connection(&self, ctx: &Context<'_>, id: ConnectionId) -> Result<Inline<ConnectionNode>> {
        Ok(Inline(match self.0.connections.get(&id) {
            Some(connection) => ConnectionNode(connection.clone()),
            None => load_connection(ctx, id).await?,
        }))
    }
}

/// One run: from which source connection, into which destination connection, since when, and which
/// jobs.
#[Object(name = "Batch")]
impl BatchNode {
    /// Its id.
    pub async fn id(&self) -> ID {
        self.0.batch.id.to_string().into()
    }

    /// The tenant it belongs to.
    async fn tenant(&self, ctx: &Context<'_>) -> Result<TenantNode> {
        ctx.load(self.0.batch.tenant_id).await?.map(TenantNode).ok_or_else(|| gone("tenant"))
    }

    /// Where the data comes from: what its extracts use, unless they name their own.
    async fn source_connection(&self, ctx: &Context<'_>) -> Result<Inline<ConnectionNode>> {
        self.connection(ctx, self.0.batch.source_connection_id).await
    }

    /// Where the data goes: what its loads use, unless they name their own.
    async fn destination_connection(&self, ctx: &Context<'_>) -> Result<Inline<ConnectionNode>> {
        self.connection(ctx, self.0.batch.destination_connection_id).await
    }

    /// The earliest point in the data that is asked for.
    async fn since(&self) -> Option<Since> {
        self.0.batch.window.since.map(Since::from)
    }

    /// Only records changed after this point are asked for, whatever dates they bear.
    async fn updated_since(&self) -> Option<Since> {
        self.0.batch.window.updated_since.map(Since::from)
    }

    /// Where it stands.
    async fn status(&self) -> BatchStatus {
        self.0.batch.state.status().into()
    }

    /// The higher, the earlier its jobs are claimed; from -1000 to 1000.
    async fn priority(&self) -> i32 {
        self.0.batch.priority
    }

    /// What becomes of the rest when one of its jobs fails for good.
    async fn failure_policy(&self) -> FailurePolicy {
        self.0.batch.failure_policy.into()
    }

    /// Its jobs, in the order given at creation.
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<BatchJobFilter>,
    ) -> Result<InlineList<JobNode>> {
        let graph = self.with(ctx, Parts { jobs: true, ..Parts::default() }).await?;
        let jobs = graph.jobs.iter().flatten();
        let wanted = jobs.filter(|job| filter.as_ref().is_none_or(|filter| filter.matches(job)));
        Ok(InlineList(wanted.map(|job| JobNode::member(job, &graph)).collect()))
    }

    /// How many of its jobs are in each state.
    async fn job_counts(&self, ctx: &Context<'_>) -> Result<JobCounts> {
        let graph = self.with(ctx, Parts { counts: true, ..Parts::default() }).await?;
        Ok(graph.counts().unwrap_or_default().into())
    }

    /// The order in which its jobs can run.
    async fn plan(&self, ctx: &Context<'_>) -> Result<PlanNode> {
        let graph = self.with(ctx, Parts::DEFINITION).await?;
        let plan = match (&graph.jobs, &graph.edges) {
            (Some(jobs), Some(edges)) => BatchPlan::of_stored(&graph.batch, jobs, edges),
            _ => BatchPlan::default(),
        };
        Ok(PlanNode::stored(plan, graph))
    }

    /// What has happened to it and its jobs, oldest first.
    #[allow(clippy::too_many_arguments, reason = "the arguments that Relay specifies")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<EventFilterInput>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<EventConnection> {
        event_list(ctx, filter, Some(self.0.batch.id), PageArgs { first, after, last, before }).await
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.batch.created_at)
    }

    /// When its first job started.
    async fn started_at(&self) -> Option<DateTime> {
        self.0.batch.state.started_at().map(DateTime)
    }

    /// When its last job ended.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.batch.state.finished_at().map(DateTime)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.batch.updated_at)
    }

    /// Rises with every change of it or of one of its jobs. Pass it back when you change the batch, so
    /// that you don't undo what somebody else did meanwhile.
    async fn version(&self) -> i32 {
        self.0.batch.version
    }
}

impl AtHand for BatchNode {
    fn at_hand(&self, field: &Asked<'_>) -> Option<Value> {
        let graph = &self.0;
        let batch = &graph.batch;
        let connection = |id| {
            let connection = graph.connections.get(&id)?;
            walk(&ConnectionNode(connection.clone()), field.selected())
        };
        Some(match field.name() {
            "id" => batch.id.to_string().into(),
            "sourceConnection" => connection(batch.source_connection_id)?,
            "destinationConnection" => connection(batch.destination_connection_id)?,
            "since" => since(batch.window.since),
            "updatedSince" => since(batch.window.updated_since),
            "status" => enum_value(BatchStatus::from(batch.state.status())),
            "priority" => batch.priority.into(),
            "failurePolicy" => enum_value(FailurePolicy::from(batch.failure_policy)),
            "jobs" => {
                let jobs = graph.jobs.as_ref()?.iter();
                let nodes: Vec<JobNode> = jobs.map(|job| JobNode::member(job, graph)).collect();
                walk_list(&nodes, field.selected())?
            }
            "createdAt" => DateTime(batch.created_at).to_value(),
            "startedAt" => time(batch.state.started_at()),
            "finishedAt" => time(batch.state.finished_at()),
            "updatedAt" => DateTime(batch.updated_at).to_value(),
            "version" => batch.version.into(),
            _ => return None,
        })
    }
}
