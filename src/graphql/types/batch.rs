//! Batches.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};

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
        id::ConnectionId,
        job::{self, Job},
        page::PageArgs,
        plan::BatchPlan,
    },
    graphql::{
        context::ContextExt,
        error::gone,
        inline::{Asked, AtHand, Inline, InlineList, Write},
        json::Json,
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
    async fn trigger(&self) -> BatchTrigger {
        self.0.batch.origin.trigger().into()
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

    /// The earliest point in the data that is not asked for any more; null: all that there is.
    async fn until(&self) -> Option<Since> {
        self.0.batch.until.map(Since::from)
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
        let graph = self.with(ctx, Parts::JOB_GRAPH).await?;
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

    /// When it was last changed; exact to a second while its jobs run.
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
    type View<'a> = &'a Arc<BatchGraph>;

    fn view(&self) -> &Arc<BatchGraph> {
        &self.0
    }

    fn field(asked: &Asked<'_>) -> Option<Write<Self>> {
        Some(match asked.name() {
            "id" => Self::value(|graph, json| json.id(graph.batch.id)),
            "sourceConnection" => Self::connection_field(asked, |graph| graph.batch.source_connection_id)?,
            "destinationConnection" => {
                Self::connection_field(asked, |graph| graph.batch.destination_connection_id)?
            }
            "since" => Self::value(|graph, json| json.nullable(graph.batch.window.since, Json::since)),
            "until" => Self::value(|graph, json| json.nullable(graph.batch.until, Json::since)),
            "updatedSince" => {
                Self::value(|graph, json| json.nullable(graph.batch.window.updated_since, Json::since))
            }
            "status" => Self::value(|graph, json| json.choice(BatchStatus::from(graph.batch.state.status()))),
            "trigger" => {
                Self::value(|graph, json| json.choice(BatchTrigger::from(graph.batch.origin.trigger())))
            }
            "priority" => Self::value(|graph, json| json.put(&graph.batch.priority)),
            "failurePolicy" => {
                Self::value(|graph, json| json.choice(FailurePolicy::from(graph.batch.failure_policy)))
            }
            "jobs" => {
                let plan = asked.plan::<JobNode>()?;
                Self::part(move |graph, json| {
                    let jobs = graph.jobs.as_ref()?.iter();
                    plan.write_list(jobs.map(|job| JobView { job, graph: Some(graph) }), json)
                })
            }
            "jobCounts" => {
                let plan = asked.plan::<JobCounts>()?;
                Self::part(move |graph, json| plan.write(&graph.counts()?.into(), json))
            }
            "createdAt" => Self::value(|graph, json| json.time(graph.batch.created_at)),
            "startedAt" => {
                Self::value(|graph, json| json.nullable(graph.batch.state.started_at(), Json::time))
            }
            "finishedAt" => {
                Self::value(|graph, json| json.nullable(graph.batch.state.finished_at(), Json::time))
            }
            "updatedAt" => Self::value(|graph, json| json.time(graph.batch.updated_at)),
            "version" => Self::value(|graph, json| json.put(&graph.batch.version)),
            _ => return None,
        })
    }
}

impl AtHand for JobCounts {
    type View<'a> = &'a Self;

    fn view(&self) -> &Self {
        self
    }

    fn field(asked: &Asked<'_>) -> Option<Write<Self>> {
        Some(match asked.name() {
            "total" => Self::value(|counts, json| json.put(&counts.total)),
            "blocked" => Self::value(|counts, json| json.put(&counts.blocked)),
            "ready" => Self::value(|counts, json| json.put(&counts.ready)),
            "running" => Self::value(|counts, json| json.put(&counts.running)),
            "succeeded" => Self::value(|counts, json| json.put(&counts.succeeded)),
            "failed" => Self::value(|counts, json| json.put(&counts.failed)),
            "skipped" => Self::value(|counts, json| json.put(&counts.skipped)),
            "canceled" => Self::value(|counts, json| json.put(&counts.canceled)),
            _ => return None,
        })
    }
}

impl BatchNode {
    fn connection_field(asked: &Asked<'_>, id: fn(&BatchGraph) -> ConnectionId) -> Option<Write<Self>> {
        let plan = asked.plan::<ConnectionNode>()?;
        Some(Self::part(move |graph, json| plan.write(graph.connections.get(&id(graph))?, json)))
    }
}
