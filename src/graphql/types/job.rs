//! Jobs.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Json as JsonValue, Object, Result, SimpleObject};

use super::{
    attempt::{AttemptNode, JobError, JobProgress},
    batch::BatchNode,
    blocked::BlockReason,
    connection::{ConnectionNode, load_connection},
    window::JobWindow,
};
use crate::{
    domain::{
        attempt::{Attempt, AttemptOutcome},
        connection::Connection,
        graph::{Link, Side},
        job::{self, Job, LinkedJob, RequirementKind as Kind},
        since::EffectiveWindow,
        text::ObjectName,
    },
    graphql::{
        context::ContextExt,
        error::gone,
        inline::{Asked, AtHand, Inline, InlineList, Write},
        json::Json,
        loaders::{AttemptsKey, BlockedKey, GraphKey, LinksKey, OutputKey},
        scalar::{DateTime, Since},
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

/// The GraphQL type `RequiredObjects`.
pub struct RequiredObjects(job::RequiredObjects);

/// What must be there before a job may start. A name stands for every job of the batch with that
/// object and the type of its kind, in all its grains.
#[Object(serial)]
impl RequiredObjects {
    /// Objects that must be extracted.
    async fn extract(&self) -> Vec<&str> {
        self.0.extract.iter().map(|object| &**object).collect()
    }

    /// Objects that must be loaded.
    async fn load(&self) -> Vec<&str> {
        self.0.load.iter().map(|object| &**object).collect()
    }

    /// Objects whose load must have published its result.
    async fn load_result(&self) -> Vec<&str> {
        self.0.load_result.iter().map(|object| &**object).collect()
    }
}

impl From<&job::RequiredObjects<String>> for RequiredObjects {
    fn from(written: &job::RequiredObjects<String>) -> Self {
        let names = |names: &[String]| names.iter().cloned().map(ObjectName::stored).collect();
        let job::RequiredObjects { extract, load, load_result } = written;
        Self(job::RequiredObjects {
            extract: names(extract),
            load: names(load),
            load_result: names(load_result),
        })
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

    async fn effective_window(&self, ctx: &Context<'_>) -> Result<EffectiveWindow> {
        Ok(self.job.effective_window(&self.own_batch(ctx).await?.batch))
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
        if let Some(links) = self.view().links(other) {
            return Ok(InlineList(links.map(LinkView::dependency).collect()));
        }
        let links = ctx.load(LinksKey(self.job.id, other)).await?.unwrap_or_default();
        // Only a job of wave 0 requires nothing; any other one that seems to was replaced meanwhile.
        if other == Side::Required && links.is_empty() && self.job.wave > 0 {
            return Err(gone("job"));
        }
        let link = |link: &LinkedJob| {
            let job = JobView { job: &link.job, graph: None };
            self.view().link(other, link.kind, job).dependency()
        };
        Ok(InlineList(links.iter().map(link).collect()))
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
    async fn batch(&self, ctx: &Context<'_>) -> Result<Inline<BatchNode>> {
        Ok(Inline(BatchNode(self.own_batch(ctx).await?)))
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

    /// Its own earliest point of change, as it was given or, in a batch of an incremental schedule, as the watermark had it
    /// (`window` says which); null: the batch's.
    async fn updated_since(&self) -> Option<Since> {
        self.job.window.updated_since.map(Since::from)
    }

    /// The earliest point in the data that its worker must use.
    async fn effective_since(&self, ctx: &Context<'_>) -> Option<Result<Since>> {
        self.effective_window(ctx).await.map(|it| it.window.since.map(Since::from)).transpose()
    }

    /// The earliest point in the data that its worker must not ask for any more; null: it must ask for all that there is.
    async fn effective_until(&self, ctx: &Context<'_>) -> Option<Result<Since>> {
        self.effective_window(ctx).await.map(|it| it.until.map(Since::from)).transpose()
    }

    /// The earliest point of change that its worker must use.
    async fn effective_updated_since(&self, ctx: &Context<'_>) -> Option<Result<Since>> {
        self.effective_window(ctx).await.map(|it| it.window.updated_since.map(Since::from)).transpose()
    }

    /// What its worker must ask for, and where each bound of that comes from.
    async fn window(&self, ctx: &Context<'_>) -> Result<Inline<JobWindow>> {
        Ok(Inline(JobWindow(self.effective_window(ctx).await?)))
    }

    /// What must be there before it may start, as it was given.
    async fn required_objects(&self, ctx: &Context<'_>) -> Result<RequiredObjects> {
        if let Some(required) = &self.job.required_objects {
            return Ok(RequiredObjects((**required).clone()));
        }
        let whole = ctx.load(self.job.id).await?;
        let required = whole.and_then(|job| job.required_objects.clone()).ok_or_else(|| gone("job"))?;
        Ok(RequiredObjects(*required))
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
    async fn output(&self, ctx: &Context<'_>) -> Result<Option<JsonValue<serde_json::Value>>> {
        Ok(ctx.load(OutputKey(self.job.id)).await?.map(|output| JsonValue((*output).clone())))
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

/// A job that is only looked at.
#[derive(Clone, Copy)]
pub struct JobView<'a> {
    /// The job.
    pub job: &'a Arc<Job>,
    /// Its batch, if they were fetched together.
    pub graph: Option<&'a Arc<BatchGraph>>,
}

/// One of a job's edges that is only looked at.
#[derive(Clone, Copy)]
pub struct LinkView<'a> {
    kind: Kind,
    satisfied: bool,
    job: JobView<'a>,
}

impl<'a> JobView<'a> {
    fn connection(self) -> Option<&'a Connection> {
        self.graph?.connections.get(&self.job.connection_id).map(|connection| &**connection)
    }

    fn effective_window(self) -> Option<EffectiveWindow> {
        Some(self.job.effective_window(&self.graph?.batch))
    }

    /// Its edges, if it came with its batch and that with its edges.
    fn links(self, other: Side) -> Option<impl Iterator<Item = LinkView<'a>>> {
        let graph = self.graph?;
        let (jobs, edges) = (graph.jobs.as_ref()?, graph.edges.as_ref()?);
        let links = match other {
            Side::Required => edges.required(self.job.position),
            Side::Dependent => edges.dependents(self.job.position),
        };
        // A graph has no edge that leads out of its batch.
        let link = move |link: &Link| {
            let job = JobView { job: jobs.get(link.position as usize)?, graph: Some(graph) };
            Some(self.link(other, link.kind, job))
        };
        Some(links.iter().filter_map(link))
    }

    fn link(self, other: Side, kind: Kind, job: JobView<'a>) -> LinkView<'a> {
        let required = match other {
            Side::Required => job,
            Side::Dependent => self,
        };
        LinkView { kind, satisfied: kind.satisfied_by(required.job), job }
    }
}

impl LinkView<'_> {
    fn dependency(self) -> JobDependency {
        let Self { kind, satisfied, job: JobView { job, graph } } = self;
        let job = JobNode { job: job.clone(), graph: graph.cloned() };
        JobDependency { kind: kind.into(), satisfied, job: Inline(job) }
    }
}

impl AtHand for JobNode {
    type View<'a> = JobView<'a>;

    fn view(&self) -> JobView<'_> {
        JobView { job: &self.job, graph: self.graph.as_ref() }
    }

    fn field(asked: &Asked<'_>) -> Option<Write<Self>> {
        Some(match asked.name() {
            "id" => Self::value(|it, json| json.id(it.job.id)),
            "batch" => {
                let plan = asked.plan::<BatchNode>()?;
                Self::part(move |it, json| plan.write(it.graph?, json))
            }
            "position" => Self::value(|it, json| json.put(&it.job.position)),
            "type" => Self::value(|it, json| json.choice(JobType::from(it.job.job_type))),
            "object" => Self::value(|it, json| json.put(&*it.job.object)),
            "grain" => Self::value(|it, json| json.put(&it.job.grain.as_deref())),
            "allowDelete" => Self::value(|it, json| json.put(&it.job.allow_delete)),
            "connection" => {
                let plan = asked.plan::<ConnectionNode>()?;
                Self::part(move |it, json| plan.write(it.connection()?, json))
            }
            "since" => Self::value(|it, json| json.nullable(it.job.window.since, Json::since)),
            "updatedSince" => Self::value(|it, json| json.nullable(it.job.window.updated_since, Json::since)),
            "effectiveSince" => Self::part(|it, json| {
                json.nullable(it.effective_window()?.window.since, Json::since);
                Some(())
            }),
            "effectiveUntil" => Self::part(|it, json| {
                json.nullable(it.effective_window()?.until, Json::since);
                Some(())
            }),
            "effectiveUpdatedSince" => Self::part(|it, json| {
                json.nullable(it.effective_window()?.window.updated_since, Json::since);
                Some(())
            }),
            "window" => {
                let plan = asked.plan::<JobWindow>()?;
                Self::part(move |it, json| plan.write(it.effective_window()?, json))
            }
            "requiredObjects" => {
                let plan = asked.plan::<RequiredObjects>()?;
                Self::part(move |it, json| plan.write(it.job.required_objects.as_ref()?, json))
            }
            "dependencies" => {
                let plan = asked.plan::<JobDependency>()?;
                Self::part(move |it, json| plan.write_list(it.links(Side::Required)?, json))
            }
            "dependents" => {
                let plan = asked.plan::<JobDependency>()?;
                Self::part(move |it, json| plan.write_list(it.links(Side::Dependent)?, json))
            }
            "notBefore" => Self::value(|it, json| json.nullable(it.job.state.not_before(), Json::time)),
            "status" => Self::value(|it, json| json.choice(JobStatus::from(it.job.state.status()))),
            "wave" => Self::value(|it, json| json.put(&it.job.wave)),
            "attempt" => Self::value(|it, json| json.put(&it.job.attempt)),
            "maxAttempts" => Self::value(|it, json| json.put(&it.job.max_attempts)),
            "createdAt" => Self::value(|it, json| json.time(it.job.created_at)),
            "startedAt" => Self::value(|it, json| json.nullable(it.job.state.started_at(), Json::time)),
            "finishedAt" => Self::value(|it, json| json.nullable(it.job.state.finished_at(), Json::time)),
            _ => return None,
        })
    }
}

impl AtHand for JobDependency {
    type View<'a> = LinkView<'a>;

    fn view(&self) -> LinkView<'_> {
        LinkView { kind: self.kind.into(), satisfied: self.satisfied, job: self.job.0.view() }
    }

    fn field(asked: &Asked<'_>) -> Option<Write<Self>> {
        Some(match asked.name() {
            "kind" => Self::value(|link, json| json.choice(RequirementKind::from(link.kind))),
            "satisfied" => Self::value(|link, json| json.put(&link.satisfied)),
            "job" => {
                let plan = asked.plan::<JobNode>()?;
                Self::part(move |link, json| plan.write(link.job, json))
            }
            _ => return None,
        })
    }
}

impl AtHand for RequiredObjects {
    type View<'a> = &'a job::RequiredObjects;

    fn view(&self) -> &job::RequiredObjects {
        &self.0
    }

    fn field(asked: &Asked<'_>) -> Option<Write<Self>> {
        Some(match asked.name() {
            "extract" => Self::value(|required, json| json.texts(&required.extract)),
            "load" => Self::value(|required, json| json.texts(&required.load)),
            "loadResult" => Self::value(|required, json| json.texts(&required.load_result)),
            _ => return None,
        })
    }
}
