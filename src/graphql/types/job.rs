//! Jobs.

use std::sync::Arc;

use async_graphql::{
    Context, Enum, ID, Json, Object, Result, ScalarType, SimpleObject, Value, resolver_utils::enum_value,
};

use super::{
    attempt::{AttemptNode, JobError, JobProgress},
    batch::BatchNode,
    blocked::BlockReason,
    connection::{ConnectionNode, load_connection},
};
use crate::{
    domain::{
        attempt::{Attempt, AttemptOutcome},
        graph::{Link, Side},
        job::{self, Job, LinkedJob, RequirementKind as Kind},
        since::Window,
    },
    graphql::{
        context::ContextExt,
        error::gone,
        inline::{Asked, AtHand, Inline, InlineList, walk, walk_list},
        loaders::{AttemptsKey, BlockedKey, GraphKey, LinksKey, OutputKey},
        scalar::{DateTime, Since, since, time},
    },
    services::{BatchGraph, Parts},
};

/// The GraphQL type `Job`.
#[derive(Clone)]
pub struct JobNode {
    /// The job.
    pub job: Arc<Job>,
    /// Its batch, if they were fetched together.
    pub graph: Option<Arc<BatchGraph>>,
}

/// Which way the data goes.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "job::JobType")]
pub enum JobType {
    /// Out of the source system.
    Extract,
    /// Into the destination system.
    Load,
}

/// Where a job stands.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "job::JobStatus")]
pub enum JobStatus {
    /// A required object is not there yet.
    Blocked,
    /// It may be claimed, from `notBefore` on.
    Ready,
    /// A worker runs it.
    Running,
    /// It has done what it should.
    Succeeded,
    /// It failed for good.
    Failed,
    /// A required object can no longer arrive, since its job failed or was canceled.
    Skipped,
    /// It was canceled.
    Canceled,
}

/// What a dependent waits for.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "job::RequirementKind")]
pub enum RequirementKind {
    /// The extract job succeeded: its records are staged.
    Extract,
    /// The load job has written its records, reported while it still runs or by its success.
    Load,
    /// The load job succeeded and its result (ids the destination assigned, say) is published.
    LoadResult,
}

/// What must be there before a job may start. A name stands for every job of the batch with that
/// object and the type of its kind, in all its grains.
#[derive(SimpleObject)]
#[graphql(serial)]
pub struct RequiredObjects {
    /// Objects that must be extracted.
    extract: Vec<String>,
    /// Objects that must be loaded.
    load: Vec<String>,
    /// Objects whose load must have published its result.
    load_result: Vec<String>,
}

impl RequiredObjects {
    fn of(job: &Job) -> Self {
        let names = |kind| job.required_objects.of(kind).iter().map(ToString::to_string).collect();
        Self { extract: names(Kind::Extract), load: names(Kind::Load), load_result: names(Kind::LoadResult) }
    }
}

/// One resolved requirement: one job waits for another.
#[derive(SimpleObject)]
#[graphql(serial)]
pub struct JobDependency {
    /// What is waited for.
    kind: RequirementKind,
    /// Whether it is there already.
    satisfied: bool,
    /// The job at the other end: the one that is required, or the one that depends.
    job: Inline<JobNode>,
}

impl JobNode {
    /// A job that was reached by itself.
    pub fn alone(job: Arc<Job>) -> Self {
        Self { job, graph: None }
    }

    /// A job that came with its batch.
    pub fn member(job: &Arc<Job>, graph: &Arc<BatchGraph>) -> Self {
        Self { job: job.clone(), graph: Some(graph.clone()) }
    }

    /// The batch, with no more than its own row.
    async fn own_batch(&self, ctx: &Context<'_>) -> Result<Arc<BatchGraph>> {
        if let Some(graph) = &self.graph {
            return Ok(graph.clone());
        }
        ctx.load(GraphKey(self.job.batch_id, Parts::default()))
            .await?
            .filter(|graph| graph.batch.revision == self.job.revision)
            .ok_or_else(|| gone("batch"))
    }

    async fn effective_window(&self, ctx: &Context<'_>) -> Result<Window> {
        Ok(self.job.window.or(self.own_batch(ctx).await?.batch.window))
    }

    /// The attempts at it; no statement where there are none.
    async fn own_attempts(&self, ctx: &Context<'_>) -> Result<Vec<Arc<Attempt>>> {
        if self.job.last_attempt == 0 {
            return Ok(Vec::new());
        }
        Ok(ctx.load(AttemptsKey(self.job.id)).await?.unwrap_or_default())
    }

    /// The jobs at the other ends of its edges.
    async fn links(&self, ctx: &Context<'_>, other: Side) -> Result<InlineList<JobDependency>> {
        if let Some(links) = self.fetched_links(other) {
            return Ok(InlineList(links));
        }
        let links = ctx.load(LinksKey(self.job.id, other)).await?.unwrap_or_default();
        // Only a job of wave 0 requires nothing; any other one that seems to was replaced meanwhile.
        if other == Side::Required && links.is_empty() && self.job.wave > 0 {
            return Err(gone("job"));
        }
        let link = |link: &LinkedJob| self.dependency(other, link.kind, Self::alone(link.job.clone()));
        Ok(InlineList(links.iter().map(link).collect()))
    }

    /// The same, if the job came with its batch and that with its edges.
    fn fetched_links(&self, other: Side) -> Option<Vec<JobDependency>> {
        let graph = self.graph.as_ref()?;
        let (jobs, edges) = (graph.jobs.as_ref()?, graph.edges.as_ref()?);
        let links = match other {
            Side::Required => edges.required(self.job.position),
            Side::Dependent => edges.dependents(self.job.position),
        };
        let link = |link: &Link| {
            let job = jobs.get(link.position as usize)?;
            Some(self.dependency(other, link.kind, Self::member(job, graph)))
        };
        links.iter().map(link).collect()
    }

    fn dependency(&self, other: Side, kind: Kind, job: JobNode) -> JobDependency {
        let required = match other {
            Side::Required => &job.job,
            Side::Dependent => &self.job,
        };
        JobDependency { kind: kind.into(), satisfied: kind.satisfied_by(required), job: Inline(job) }
    }
}

/// One extract of a source object, or one load of a destination object.
#[Object(name = "Job")]
impl JobNode {
    /// Its id.
    pub async fn id(&self) -> ID {
        self.job.id.to_string().into()
    }

    /// The batch it belongs to.
    async fn batch(&self, ctx: &Context<'_>) -> Result<BatchNode> {
        Ok(BatchNode(self.own_batch(ctx).await?))
    }

    /// Its place in the batch, from 0, in the order given at creation.
    async fn position(&self) -> u32 {
        self.job.position
    }

    /// Which way the data goes.
    async fn r#type(&self) -> JobType {
        self.job.job_type.into()
    }

    /// What is extracted or loaded: a table, an endpoint, a stream.
    async fn object(&self) -> &str {
        &self.job.object
    }

    /// The granularity of a summary report, `daily` for instance.
    async fn grain(&self) -> Option<&str> {
        self.job.grain.as_deref()
    }

    /// Whether the loader may delete destination records that the extract no longer shows.
    async fn allow_delete(&self) -> bool {
        self.job.allow_delete
    }

    /// The connection it uses: its own, or the batch's source (extract) or destination (load).
    async fn connection(&self, ctx: &Context<'_>) -> Result<Inline<ConnectionNode>> {
        let id = self.job.connection_id;
        let fetched = self.graph.as_ref().and_then(|graph| graph.connections.get(&id));
        Ok(Inline(match fetched {
            Some(connection) => ConnectionNode(connection.clone()),
            None => load_connection(ctx, id).await?,
        }))
    }

    /// Its own earliest point in the data, as it was given; null: the batch's.
    async fn since(&self) -> Option<Since> {
        self.job.window.since.map(Since::from)
    }

    /// Its own earliest point of change, as it was given; null: the batch's.
    async fn updated_since(&self) -> Option<Since> {
        self.job.window.updated_since.map(Since::from)
    }

    /// The earliest point in the data that its worker must use.
    async fn effective_since(&self, ctx: &Context<'_>) -> Option<Result<Since>> {
        self.effective_window(ctx).await.map(|window| window.since.map(Since::from)).transpose()
    }

    /// The earliest point of change that its worker must use.
    async fn effective_updated_since(&self, ctx: &Context<'_>) -> Option<Result<Since>> {
        self.effective_window(ctx).await.map(|window| window.updated_since.map(Since::from)).transpose()
    }

    /// What must be there before it may start, as it was given.
    async fn required_objects(&self) -> RequiredObjects {
        RequiredObjects::of(&self.job)
    }

    /// The jobs that it waits for.
    async fn dependencies(&self, ctx: &Context<'_>) -> Result<InlineList<JobDependency>> {
        self.links(ctx, Side::Required).await
    }

    /// The jobs that wait for it.
    async fn dependents(&self, ctx: &Context<'_>) -> Result<InlineList<JobDependency>> {
        self.links(ctx, Side::Dependent).await
    }

    /// Where it stands.
    async fn status(&self) -> JobStatus {
        self.job.state.status().into()
    }

    /// Its topological level: 0 needs nothing, any other one more than the highest it requires.
    async fn wave(&self) -> u32 {
        self.job.wave
    }

    /// How many attempts count against `maxAttempts`: those that were started since the batch was last
    /// retried, and not given back.
    async fn attempt(&self) -> i32 {
        self.job.attempt
    }

    /// How many attempts it has.
    async fn max_attempts(&self) -> i32 {
        self.job.max_attempts
    }

    /// The attempts at it, oldest first.
    async fn attempts(&self, ctx: &Context<'_>) -> Result<Vec<AttemptNode>> {
        Ok(self.own_attempts(ctx).await?.into_iter().map(AttemptNode).collect())
    }

    /// When it may be claimed, if it waits for a while after a failed attempt.
    async fn not_before(&self) -> Option<DateTime> {
        self.job.state.not_before().map(DateTime)
    }

    /// How far its current or last attempt is, as far as its worker has said.
    async fn progress(&self, ctx: &Context<'_>) -> Result<Option<JobProgress>> {
        let attempts = self.own_attempts(ctx).await?;
        Ok(attempts.last().and_then(|attempt| attempt.progress.as_ref()).map(JobProgress::from))
    }

    /// What it has put out for those that require it.
    async fn output(&self, ctx: &Context<'_>) -> Result<Option<Json<serde_json::Value>>> {
        Ok(ctx.load(OutputKey(self.job.id)).await?.map(|output| Json((*output).clone())))
    }

    /// What went wrong the last time; null when nothing did, or when it has succeeded since.
    async fn error(&self, ctx: &Context<'_>) -> Result<Option<JobError>> {
        let attempts = self.own_attempts(ctx).await?;
        let ends = attempts.iter().rev().filter_map(|attempt| attempt.end.as_ref());
        Ok(ends
            .filter(|end| end.outcome != AttemptOutcome::Released)
            .take(1)
            .find_map(|end| end.error.as_ref().map(JobError::from)))
    }

    /// Everything that keeps it from running; empty when it runs, has ended, or will be given to the next
    /// worker that asks.
    async fn blocked_by(&self, ctx: &Context<'_>) -> Result<Vec<BlockReason>> {
        if self.job.state.has_ended() {
            return Ok(Vec::new());
        }
        let reasons = ctx.load(BlockedKey(self.job.clone())).await?.unwrap_or_default();
        Ok(reasons.into_iter().map(BlockReason::from).collect())
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.job.created_at)
    }

    /// When its current or last attempt started.
    async fn started_at(&self) -> Option<DateTime> {
        self.job.state.started_at().map(DateTime)
    }

    /// When it ended.
    async fn finished_at(&self) -> Option<DateTime> {
        self.job.state.finished_at().map(DateTime)
    }
}

impl AtHand for JobNode {
    fn at_hand(&self, field: &Asked<'_>) -> Option<Value> {
        let job = &*self.job;
        Some(match field.name() {
            "id" => job.id.to_string().into(),
            "position" => job.position.into(),
            "type" => enum_value(JobType::from(job.job_type)),
            "object" => (&*job.object).into(),
            "grain" => job.grain.as_deref().into(),
            "allowDelete" => job.allow_delete.into(),
            "connection" => {
                let connection = self.graph.as_ref()?.connections.get(&job.connection_id)?;
                walk(&ConnectionNode(connection.clone()), field.selected())?
            }
            "since" => since(job.window.since),
            "updatedSince" => since(job.window.updated_since),
            "effectiveSince" => since(job.window.or(self.graph.as_ref()?.batch.window).since),
            "effectiveUpdatedSince" => since(job.window.or(self.graph.as_ref()?.batch.window).updated_since),
            "dependencies" => walk_list(&self.fetched_links(Side::Required)?, field.selected())?,
            "dependents" => walk_list(&self.fetched_links(Side::Dependent)?, field.selected())?,
            "requiredObjects" => walk(&RequiredObjects::of(job), field.selected())?,
            "status" => enum_value(JobStatus::from(job.state.status())),
            "wave" => job.wave.into(),
            "attempt" => job.attempt.into(),
            "notBefore" => time(job.state.not_before()),
            "maxAttempts" => job.max_attempts.into(),
            "createdAt" => DateTime(job.created_at).to_value(),
            "startedAt" => time(job.state.started_at()),
            "finishedAt" => time(job.state.finished_at()),
            _ => return None,
        })
    }
}

impl AtHand for JobDependency {
    fn at_hand(&self, field: &Asked<'_>) -> Option<Value> {
        Some(match field.name() {
            "kind" => enum_value(self.kind),
            "satisfied" => self.satisfied.into(),
            "job" => walk(&self.job.0, field.selected())?,
            _ => return None,
        })
    }
}

impl AtHand for RequiredObjects {
    fn at_hand(&self, field: &Asked<'_>) -> Option<Value> {
        let names = match field.name() {
            "extract" => &self.extract,
            "load" => &self.load,
            "loadResult" => &self.load_result,
            _ => return None,
        };
        Some(Value::List(names.iter().map(|name| Value::from(name.as_str())).collect()))
    }
}
