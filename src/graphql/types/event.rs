//! The history.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result};

use super::{
    attempt::JobError, backfill::BackfillNode, batch::BatchNode, job::JobNode, schedule::ScheduleNode,
    tenant::TenantNode,
};
use crate::{
    domain::{
        event::{self, Actor, Event},
        id::{BackfillId, BatchId, JobId, ScheduleId, TenantId, TokenId},
        problem::{At, Problem, keep},
    },
    graphql::{
        context::ContextExt, fields::fields, inline::viewed, leaf::choices, loaders::GraphKey, lookahead,
        scalar::DateTime,
    },
};

/// What has changed.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "event::EventKind")]
pub enum EventKind {
    /// A batch was made.
    BatchCreated,
    /// The definition of a batch was replaced; its jobs are others now.
    BatchReplaced,
    /// A batch was removed with its jobs: by somebody, or by Sluice, since it had been kept long enough.
    BatchDeleted,
    /// The first job of a batch has started.
    BatchStarted,
    /// A batch was canceled, and waits for its running jobs to stop.
    BatchCanceling,
    /// Jobs of a batch that had not succeeded are to run again.
    BatchRetried,
    /// All jobs of a batch have succeeded.
    BatchSucceeded,
    /// The last job of a batch has ended, and not all succeeded.
    BatchFailed,
    /// The last job of a canceled batch has ended.
    BatchCanceled,
    /// What a job requires is there, or it was retried and requires nothing more.
    JobReady,
    /// A job was retried, and what it requires is not there.
    JobBlocked,
    /// A worker has started an attempt.
    JobStarted,
    /// A load has written its records; who waits for no more may start.
    LoadPublished,
    /// A job has done what it should.
    JobSucceeded,
    /// An attempt failed or was lost, and the job is tried again.
    AttemptFailed,
    /// A worker has given a job back unharmed.
    JobReleased,
    /// A job failed for good.
    JobFailed,
    /// What a job requires can no longer arrive.
    JobSkipped,
    /// A job was canceled.
    JobCanceled,
    /// A schedule was made.
    ScheduleCreated,
    /// The definition of a schedule was replaced.
    ScheduleUpdated,
    /// A schedule was removed; its batches stay.
    ScheduleDeleted,
    /// A schedule was paused.
    SchedulePaused,
    /// A schedule was resumed.
    ScheduleResumed,
    /// A schedule was due, and waits for an earlier batch of it to end.
    FiringQueued,
    /// A schedule was due, and an earlier batch of it had not ended.
    FiringSkipped,
    /// A schedule was due, and no batch could be made of its template: `error` is the first reason, the firing has
    /// them all.
    FiringFailed,
    /// The next batch of a schedule asks for everything of an object.
    WatermarkReset,
    /// A backfill was made.
    BackfillCreated,
    /// A backfill was paused: by somebody, or by Sluice, since no batch could be made of the template.
    BackfillPaused,
    /// A backfill was resumed.
    BackfillResumed,
    /// A backfill was canceled, and waits for its batches to end.
    BackfillCanceling,
    /// The last batch of a canceled backfill has ended.
    BackfillCanceled,
    /// What did not succeed of a backfill is to run again.
    BackfillRetried,
    /// All windows of a backfill have succeeded.
    BackfillSucceeded,
    /// All windows of a backfill have ended, and not all succeeded.
    BackfillFailed,
}

/// What kind of actor caused a change.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// A client of the API.
    Client,
    /// A worker.
    Worker,
    /// Sluice itself: a lease expired, or one change brought about another.
    Sluice,
}

/// The GraphQL type `Actor`.
pub struct ActorNode(Actor);

viewed!(ActorNode(Actor));

fields! {
    /// Who caused a change.
    #[Object(name = "Actor", serial)]
    ActorNode |actor|;

    /// What kind of actor it is.
    value kind: ActorKind = match actor {
        Actor::Client | Actor::Token { .. } | Actor::Subject(_) => ActorKind::Client,
        Actor::Worker(_) => ActorKind::Worker,
        Actor::Sluice => ActorKind::Sluice,
    };

    /// What a worker calls itself, what the token is called that a client has shown, or what its issuer calls it;
    /// null for others.
    value name: Option<&str> = match actor {
        Actor::Token { name, .. } | Actor::Subject(name) => Some(name),
        Actor::Worker(name) => Some(name),
        Actor::Client | Actor::Sluice => None,
    };

    /// The id of that token; null for others.
    value token_id: Option<TokenId> = match actor {
        Actor::Token { id, .. } => Some(*id),
        Actor::Client | Actor::Subject(_) | Actor::Worker(_) | Actor::Sluice => None,
    };
}

/// The GraphQL type `Event`.
#[derive(Clone)]
pub struct EventNode(pub Arc<Event>);

viewed!(EventNode(Arc<Event>));
choices!(EventKind, ActorKind);

fields! {
    /// One change of state: what, when, by whom. Never edited, and there even when the batch is gone.
    #[Object(name = "Event")]
    EventNode |it|;

    /// What has changed.
    value kind: EventKind = it.event.change.kind().into();

    /// When it changed.
    value at: DateTime = DateTime(it.event.at);

    /// Who caused it.
    object actor: ActorNode = &it.event.actor;

    /// The id of the tenant of what it is about.
    value tenant_id: TenantId = it.event.tenant_id;

    /// The tenant of what it is about; null when it was removed since.
    async fn tenant(&self, ctx: &Context<'_>) -> Result<Option<TenantNode>> {
        Ok(ctx.load(self.0.event.tenant_id).await?.map(TenantNode))
    }

    /// The id of the batch, if it is about one or a job of one.
    value batch_id: Option<BatchId> = it.event.subject.batch();

    /// The batch as it is now, if it is about one or a job of one; null when it was removed since.
    async fn batch(&self, ctx: &Context<'_>) -> Result<Option<BatchNode>> {
        let Some(batch) = self.0.event.subject.batch() else { return Ok(None) };
        let parts = lookahead::parts_of_batch(&ctx.look_ahead());
        Ok(ctx.load(GraphKey(batch, parts)).await?.map(BatchNode))
    }

    /// The id of the schedule, if it is about one or a backfill of one.
    value schedule_id: Option<ScheduleId> = it.event.subject.schedule();

    /// The schedule as it is now, if it is about one or a backfill of one; null when it was removed since.
    async fn schedule(&self, ctx: &Context<'_>) -> Result<Option<ScheduleNode>> {
        let Some(schedule) = self.0.event.subject.schedule() else { return Ok(None) };
        Ok(ctx.load(schedule).await?.map(ScheduleNode))
    }

    /// The id of the backfill, if it is about one.
    value backfill_id: Option<BackfillId> = it.event.subject.backfill();

    /// The backfill as it is now, if it is about one; null when it was removed since.
    async fn backfill(&self, ctx: &Context<'_>) -> Result<Option<BackfillNode>> {
        let Some(backfill) = self.0.event.subject.backfill() else { return Ok(None) };
        Ok(ctx.load(backfill).await?.map(BackfillNode))
    }

    /// The id of the job, if it is about one.
    value job_id: Option<JobId> = it.event.subject.job();

    /// The job as it is now, if the event is about one; null when it was removed since.
    async fn job(&self, ctx: &Context<'_>) -> Result<Option<JobNode>> {
        match self.0.event.subject.job() {
            Some(job) => Ok(ctx.load(job).await?.map(JobNode::alone)),
            None => Ok(None),
        }
    }

    /// The number of the attempt, if it is about one.
    value attempt: Option<i32> = it.event.change.attempt();

    /// What went wrong, if something did.
    object error: Option<JobError> = it.event.change.error();

    /// When the job may be claimed again after a failed attempt.
    value not_before: Option<DateTime> = it.event.change.not_before().map(DateTime);

    /// The object of which everything is asked for again, if it is about that.
    value object: Option<&str> = it.event.change.object();
}

/// Which events. What is left out lets everything through; all that is given must hold.
#[derive(InputObject, Default)]
#[graphql(name = "EventFilter")]
pub struct EventFilterInput {
    /// Those of this tenant.
    tenant_id: Option<ID>,
    /// Those of this batch and its jobs.
    batch_id: Option<ID>,
    /// Those of this job.
    job_id: Option<ID>,
    /// Those of this schedule and its backfills.
    schedule_id: Option<ID>,
    /// Those of this backfill.
    backfill_id: Option<ID>,
    /// Those of one of these kinds; an empty list lets everything through.
    kinds: Option<Vec<EventKind>>,
}

impl EventFilterInput {
    /// The filter of the domain, within what the list is already bound to.
    pub fn parse(self, batch: Option<BatchId>) -> Result<event::EventFilter, Vec<Problem>> {
        let at = At::Root.field("filter");
        let mut problems = Vec::new();
        let tenant_id =
            self.tenant_id.and_then(|id| keep(TenantId::parse(&id, &at.field("tenant_id")), &mut problems));
        let batch_id =
            self.batch_id.and_then(|id| keep(BatchId::parse(&id, &at.field("batch_id")), &mut problems));
        let job_id = self.job_id.and_then(|id| keep(JobId::parse(&id, &at.field("job_id")), &mut problems));
        let schedule_id = self
            .schedule_id
            .and_then(|id| keep(ScheduleId::parse(&id, &at.field("schedule_id")), &mut problems));
        let backfill_id = self
            .backfill_id
            .and_then(|id| keep(BackfillId::parse(&id, &at.field("backfill_id")), &mut problems));
        if let (Some(batch), Some(asked)) = (batch, batch_id)
            && batch != asked
        {
            let message = "these are the events of another batch; leave this out";
            let code = crate::domain::problem::ProblemCode::InvalidValue;
            problems.push(at.field("batch_id").problem(code, message));
        }
        let kinds = self.kinds.unwrap_or_default().into_iter().map(Into::into).collect();
        let batch_id = batch_id.or(batch);
        if problems.is_empty() {
            Ok(event::EventFilter { tenant_id, batch_id, job_id, schedule_id, backfill_id, kinds })
        } else {
            Err(problems)
        }
    }
}
