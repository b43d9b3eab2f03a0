//! Jobs.

use std::sync::Arc;

use async_graphql::{Context, Enum, Json as JsonValue, Object, Result};

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
        id::JobId,
        job::{self, Job, LinkedJob, RequirementKind as Kind},
        since::EffectiveWindow,
        text::ObjectName,
    },
    graphql::{
        context::ContextExt,
        error::gone,
        fields::fields,
        inline::{InlineList, Kept, Viewed, viewed},
        leaf::{ObjectNames, choices},
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

viewed!(RequiredObjects(job::RequiredObjects));
choices!(JobType, JobStatus, RequirementKind);

fields! {
    /// What must be there before a job may start. A name stands for every job of the batch with that
    /// object and the type of its kind, in all its grains.
    #[Object(serial)]
    RequiredObjects |required|;

    /// Objects that must be extracted.
    value extract: ObjectNames<'_> = ObjectNames(&required.extract);

    /// Objects that must be loaded.
    value load: ObjectNames<'_> = ObjectNames(&required.load);

    /// Objects whose load must have published its result.
    value load_result: ObjectNames<'_> = ObjectNames(&required.load_result);
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

/// The GraphQL type `JobDependency`.
pub struct JobDependency {
    kind: Kind,
    satisfied: bool,
    job: JobNode,
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

    /// The attempts at it; no statement where there are none.
    async fn own_attempts(&self, ctx: &Context<'_>) -> Result<Vec<Arc<Attempt>>> {
        if self.job.last_attempt == 0 {
            return Ok(Vec::new());
        }
        Ok(ctx.load(AttemptsKey(self.job.id)).await?.unwrap_or_default())
    }
}

fields! {
    /// One extract of a source object, or one load of a destination object.
    #[Object(name = "Job")]
    JobNode |it, ctx|;

    /// Its id.
    value id: JobId = it.job.id;

    /// The batch it belongs to.
    object batch: BatchNode = it.graph?, after it.with_batch(ctx);

    /// Its place in the batch, from 0, in the order given at creation.
    value position: u32 = it.job.position;

    /// Which way the data goes.
    value r#type: JobType = it.job.job_type.into();

    /// What is extracted or loaded: a table, an endpoint, a stream.
    value object: &str = &it.job.object;

    /// The granularity of a summary report, `daily` for instance.
    value grain: Option<&str> = it.job.grain.as_deref();

    /// Whether the loader may delete destination records that the extract no longer shows.
    value allow_delete: bool = it.job.allow_delete;

    /// The connection it uses: its own, or the batch's source (extract) or destination (load).
    object connection: ConnectionNode = it.connection()?, else load_connection(ctx, it.job.connection_id);

    /// Its own earliest point in the data, as it was given; null: the batch's.
    value since: Option<Since> = it.job.window.since.map(Since::from);

    /// Its own earliest point of change, as it was given or, in a batch of an incremental schedule, as the watermark had it
    /// (`window` says which); null: the batch's.
    value updated_since: Option<Since> = it.job.window.updated_since.map(Since::from);

    /// The earliest point in the data that its worker must use.
    value effective_since: Option<Since> = it.effective_window()?.window.since.map(Since::from),
        after it.with_batch(ctx);

    /// The earliest point in the data that its worker must not ask for any more; null: it must ask for all that there is.
    value effective_until: Option<Since> = it.effective_window()?.until.map(Since::from),
        after it.with_batch(ctx);

    /// The earliest point of change that its worker must use.
    value effective_updated_since: Option<Since> =
        it.effective_window()?.window.updated_since.map(Since::from),
        after it.with_batch(ctx);

    /// What its worker must ask for, and where each bound of that comes from.
    object window: JobWindow = it.effective_window()?, after it.with_batch(ctx);

    /// What must be there before it may start, as it was given.
    object required_objects: RequiredObjects = it.job.required_objects.as_deref()?, after it.whole(ctx);

    /// The jobs that it waits for.
    list dependencies: JobDependency = it.links(Side::Required)?, else it.load_links(ctx, Side::Required);

    /// The jobs that wait for it.
    list dependents: JobDependency = it.links(Side::Dependent)?, else it.load_links(ctx, Side::Dependent);

    /// Where it stands.
    value status: JobStatus = it.job.state.status().into();

    /// Its topological level: 0 needs nothing, any other one more than the highest it requires.
    value wave: u32 = it.job.wave;

    /// How many attempts count against `maxAttempts`: those that were started since the batch was last
    /// retried, and not given back.
    value attempt: i32 = it.job.attempt;

    /// How many attempts it has.
    value max_attempts: i32 = it.job.max_attempts;

    /// The attempts at it, oldest first.
    async fn attempts(&self, ctx: &Context<'_>) -> Result<InlineList<AttemptNode>> {
        Ok(InlineList(self.own_attempts(ctx).await?.into_iter().map(AttemptNode).collect()))
    }

    /// When it may be claimed, if it waits for a while after a failed attempt.
    value not_before: Option<DateTime> = it.job.state.not_before().map(DateTime);

    /// How far its current or last attempt is, as far as its worker has said.
    async fn progress(&self, ctx: &Context<'_>) -> Result<Option<JobProgress>> {
        let attempts = self.own_attempts(ctx).await?;
        Ok(attempts.last().and_then(|attempt| attempt.progress.as_ref()).map(JobProgress::kept))
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
            .find_map(|end| end.error.as_ref().map(JobError::kept)))
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
    value created_at: DateTime = DateTime(it.job.created_at);

    /// When its current or last attempt started.
    value started_at: Option<DateTime> = it.job.state.started_at().map(DateTime);

    /// When it ended.
    value finished_at: Option<DateTime> = it.job.state.finished_at().map(DateTime);
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
    fn connection(self) -> Option<&'a Arc<Connection>> {
        self.graph?.connections.get(&self.job.connection_id)
    }

    fn effective_window(self) -> Option<EffectiveWindow> {
        Some(self.job.effective_window(&self.graph?.batch))
    }

    /// The job with its batch, of which there is no more than its own row if it was not fetched along.
    async fn with_batch(self, ctx: &Context<'_>) -> Result<JobNode> {
        let graph = match self.graph {
            Some(graph) => graph.clone(),
            None => ctx
                .load(GraphKey(self.job.batch_id, Parts::default()))
                .await?
                .filter(|graph| graph.batch.revision == self.job.revision)
                .ok_or_else(|| gone("batch"))?,
        };
        Ok(JobNode { job: self.job.clone(), graph: Some(graph) })
    }

    /// The job with what it requires by name, which is not fetched where nobody asks for it.
    async fn whole(self, ctx: &Context<'_>) -> Result<JobNode> {
        ctx.load(self.job.id).await?.map(JobNode::alone).ok_or_else(|| gone("job"))
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

    /// Its edges, with the jobs at their other ends.
    async fn load_links(self, ctx: &Context<'_>, other: Side) -> Result<Vec<JobDependency>> {
        let links = ctx.load(LinksKey(self.job.id, other)).await?.unwrap_or_default();
        // Only a job of wave 0 requires nothing; any other one that seems to was replaced meanwhile.
        if other == Side::Required && links.is_empty() && self.job.wave > 0 {
            return Err(gone("job"));
        }
        let link = |link: &LinkedJob| {
            let job = JobView { job: &link.job, graph: None };
            JobDependency::kept(self.link(other, link.kind, job))
        };
        Ok(links.iter().map(link).collect())
    }

    fn link(self, other: Side, kind: Kind, job: JobView<'a>) -> LinkView<'a> {
        let required = match other {
            Side::Required => job,
            Side::Dependent => self,
        };
        LinkView { kind, satisfied: kind.satisfied_by(required.job), job }
    }
}

impl Viewed for JobNode {
    type View<'a> = JobView<'a>;

    fn view(&self) -> JobView<'_> {
        JobView { job: &self.job, graph: self.graph.as_ref() }
    }
}

impl Kept for JobNode {
    fn kept(JobView { job, graph }: JobView<'_>) -> Self {
        Self { job: job.clone(), graph: graph.cloned() }
    }
}

impl Viewed for JobDependency {
    type View<'a> = LinkView<'a>;

    fn view(&self) -> LinkView<'_> {
        LinkView { kind: self.kind, satisfied: self.satisfied, job: self.job.view() }
    }
}

impl Kept for JobDependency {
    fn kept(LinkView { kind, satisfied, job }: LinkView<'_>) -> Self {
        Self { kind, satisfied, job: JobNode::kept(job) }
    }
}

fields! {
    /// One resolved requirement: one job waits for another.
    #[Object(serial)]
    JobDependency |link|;

    /// What is waited for.
    value kind: RequirementKind = link.kind.into();

    /// Whether it is there already.
    value satisfied: bool = link.satisfied;

    /// The job at the other end: the one that is required, or the one that depends.
    object job: JobNode = link.job;
}
