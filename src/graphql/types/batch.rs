//! Batches.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object, Result};

use super::{
    backfill::BackfillNode,
    connection::{ConnectionNode, load_connection},
    event::EventFilterInput,
    job::{JobNode, JobStatus, JobType, JobView},
    plan::PlanNode,
    schedule::ScheduleNode,
    tenant::TenantNode,
};
use crate::{
    domain::{
        batch,
        id::BatchId,
        job::{self, Job},
        page::PageArgs,
        plan::BatchPlan,
    },
    graphql::{
        context::ContextExt,
        error::gone,
        fields::fields,
        inline::{Inline, Kept, Viewed, viewed},
        leaf::choices,
        lists::EventConnection,
        loaders::GraphKey,
        query::event_list,
        scalar::{DateTime, Since},
    },
    services::{BatchGraph, Parts},
};

/// The GraphQL type `Batch`.
#[derive(Clone)]
pub struct BatchNode(pub Arc<BatchGraph>);

viewed!(BatchNode(Arc<BatchGraph>));
choices!(BatchStatus, BatchTrigger, FailurePolicy);

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

/// What made a batch.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "batch::Trigger")]
pub enum BatchTrigger {
    /// Somebody: `createBatch`, REST, or `triggerSchedule`.
    Manual,
    /// A schedule that was due.
    Schedule,
    /// A backfill of a schedule: it is a window of it.
    Backfill,
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

/// The GraphQL type `JobCounts`.
pub struct JobCounts(job::JobCounts);

impl Viewed for JobCounts {
    type View<'a> = job::JobCounts;

    fn view(&self) -> job::JobCounts {
        self.0
    }
}

impl Kept for JobCounts {
    fn kept(counts: job::JobCounts) -> Self {
        Self(counts)
    }
}

fields! {
    /// How many jobs of a batch are in each state.
    #[Object(serial)]
    JobCounts |counts|;

    /// All jobs.
    value total: u32 = counts.total();

    /// Those for which a required object is not there yet.
    value blocked: u32 = counts.blocked;

    /// Those that may be claimed.
    value ready: u32 = counts.ready;

    /// Those that a worker runs.
    value running: u32 = counts.running;

    /// Those that succeeded.
    value succeeded: u32 = counts.succeeded;

    /// Those that failed for good.
    value failed: u32 = counts.failed;

    /// Those for which a required object can no longer arrive.
    value skipped: u32 = counts.skipped;

    /// Those that were canceled.
    value canceled: u32 = counts.canceled;
}

/// The batch with these parts: as it was fetched, if they are there, else loaded now.
async fn with(graph: &Arc<BatchGraph>, ctx: &Context<'_>, parts: Parts) -> Result<BatchNode> {
    if graph.has(parts) {
        return Ok(BatchNode(graph.clone()));
    }
    let loaded = ctx.load(GraphKey(graph.batch.id, parts)).await?;
    // Parts of another definition than the one whose fields are shown beside them won't do.
    let loaded = loaded.filter(|loaded| loaded.batch.revision == graph.batch.revision);
    loaded.map(BatchNode).ok_or_else(|| gone("batch"))
}

/// Its jobs that the filter lets through, if they were fetched.
fn jobs_of<'a>(
    graph: &'a Arc<BatchGraph>,
    filter: Option<&BatchJobFilter>,
) -> Option<impl Iterator<Item = JobView<'a>>> {
    let jobs = graph.jobs.as_ref()?.iter();
    let wanted = jobs.filter(move |job| filter.is_none_or(|filter| filter.matches(job)));
    Some(wanted.map(move |job| JobView { job, graph: Some(graph) }))
}

fields! {
    /// One run: from which source connection, into which destination connection, since when, and which
    /// jobs.
    #[Object(name = "Batch")]
    BatchNode |graph, ctx|;

    /// Its id.
    value id: BatchId = graph.batch.id;

    /// The tenant it belongs to.
    async fn tenant(&self, ctx: &Context<'_>) -> Result<Inline<TenantNode>> {
        ctx.load(self.0.batch.tenant_id).await?.map(TenantNode).map(Inline).ok_or_else(|| gone("tenant"))
    }

    /// The schedule that has made it, by a backfill or not; null: none has, or it was removed since.
    async fn schedule(&self, ctx: &Context<'_>) -> Result<Option<ScheduleNode>> {
        match self.0.batch.origin.schedule() {
            Some(schedule) => Ok(ctx.load(schedule).await?.map(ScheduleNode)),
            None => Ok(None),
        }
    }

    /// The backfill that it is a window of; null: it is of none, or that was removed since.
    async fn backfill(&self, ctx: &Context<'_>) -> Result<Option<BackfillNode>> {
        match self.0.batch.origin.backfill() {
            Some(backfill) => Ok(ctx.load(backfill).await?.map(BackfillNode)),
            None => Ok(None),
        }
    }

    /// What made it.
    value trigger: BatchTrigger = graph.batch.origin.trigger().into();

    /// Where the data comes from: what its extracts use, unless they name their own.
    object source_connection: ConnectionNode = graph.connections.get(&graph.batch.source_connection_id)?,
        else load_connection(ctx, graph.batch.source_connection_id);

    /// Where the data goes: what its loads use, unless they name their own.
    object destination_connection: ConnectionNode =
        graph.connections.get(&graph.batch.destination_connection_id)?,
        else load_connection(ctx, graph.batch.destination_connection_id);

    /// The earliest point in the data that is asked for.
    value since: Option<Since> = graph.batch.window.since.map(Since::from);

    /// The earliest point in the data that is not asked for any more; null: all that there is.
    value until: Option<Since> = graph.batch.until.map(Since::from);

    /// Only records changed after this point are asked for, whatever dates they bear.
    value updated_since: Option<Since> = graph.batch.window.updated_since.map(Since::from);

    /// Where it stands.
    value status: BatchStatus = graph.batch.state.status().into();

    /// The higher, the earlier its jobs are claimed; from -1000 to 1000.
    value priority: i32 = graph.batch.priority;

    /// What becomes of the rest when one of its jobs fails for good.
    value failure_policy: FailurePolicy = graph.batch.failure_policy.into();

    /// Its jobs, in the order given at creation.
    list jobs(#[graphql(desc = "Which of them.")] filter: Option<BatchJobFilter>): JobNode =
        jobs_of(graph, filter.as_ref())?,
        after with(graph, ctx, Parts { jobs: true, ..Parts::default() });

    /// How many of its jobs are in each state.
    object job_counts: JobCounts = graph.counts()?,
        after with(graph, ctx, Parts { counts: true, ..Parts::default() });

    /// The order in which its jobs can run.
    async fn plan(&self, ctx: &Context<'_>) -> Result<PlanNode> {
        let BatchNode(graph) = with(&self.0, ctx, Parts::JOB_GRAPH).await?;
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
    ) -> Result<Inline<EventConnection>> {
        event_list(ctx, filter, Some(self.0.batch.id), PageArgs { first, after, last, before }).await
    }

    /// When it was made.
    value created_at: DateTime = DateTime(graph.batch.created_at);

    /// When its first job started.
    value started_at: Option<DateTime> = graph.batch.state.started_at().map(DateTime);

    /// When its last job ended.
    value finished_at: Option<DateTime> = graph.batch.state.finished_at().map(DateTime);

    /// When it was last changed; exact to a second while its jobs run.
    value updated_at: DateTime = DateTime(graph.batch.updated_at);

    /// Rises with every change of it or of one of its jobs. Pass it back when you change the batch, so
    /// that you don't undo what somebody else did meanwhile.
    value version: i32 = graph.batch.version;
}
