//! Mutations of schedules.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use super::{batches::JobInput, payload};
use crate::{
    domain::{
        batch::Watermarks,
        draft::BatchDraft,
        id::ScheduleId,
        problem::{At, keep},
        schedule::{DEFAULT_CATCH_UP_SECONDS, Schedule, ScheduleDraft},
        text::ObjectName,
        watermark::Resync,
    },
    graphql::{
        context::ContextExt,
        error::{self, UserError},
        scalar::Since,
        types::{
            batch::FailurePolicy,
            firing::FiringNode,
            job::JobType,
            schedule::{CatchUp, IncrementalInput, OverlapPolicy, ScheduleNode},
            timetable::TimetableInput,
            watermark::WatermarkNode,
        },
    },
    services::{self, Expected},
};

/// What the batches of a schedule are to be: what `createBatch` takes, less the tenant and the key.
#[derive(InputObject)]
pub struct BatchTemplateInput {
    /// Where the data comes from: what its extracts use, unless they name their own.
    source_connection_id: ID,
    /// Where the data goes: what its loads use, unless they name their own.
    destination_connection_id: ID,
    /// The earliest point in the data that is asked for.
    since: Option<Since>,
    /// Only records changed after this point are asked for, whatever dates they bear.
    updated_since: Option<Since>,
    /// The higher, the earlier its jobs are claimed; from -1000 to 1000.
    #[graphql(default)]
    priority: i32,
    /// What becomes of the rest when one of its jobs fails for good.
    #[graphql(default_with = "FailurePolicy::Continue")]
    failure_policy: FailurePolicy,
    /// Its jobs: at least one, at most as many as the server is configured for (10,000).
    jobs: Vec<JobInput>,
}

/// What a new schedule is to be.
#[derive(InputObject)]
struct CreateScheduleInput {
    /// The tenant it shall belong to; left out: the default tenant.
    tenant_id: Option<ID>,
    /// Its name, unique in its tenant; at most 255 characters.
    name: String,
    /// What its batches are to be.
    template: BatchTemplateInput,
    /// When it is due; left out: on demand only.
    timetable: Option<TimetableInput>,
    /// Asks for what has changed since the last success only; left out: for everything.
    incremental: Option<IncrementalInput>,
    /// What becomes of a firing while an earlier batch has not ended.
    #[graphql(default_with = "OverlapPolicy::Skip")]
    overlap_policy: OverlapPolicy,
    /// What becomes of firings that were due while no server ran.
    #[graphql(default_with = "CatchUp::Latest")]
    catch_up: CatchUp,
    /// How far back those are made up for, in seconds; at most 31 days.
    #[graphql(default_with = "DEFAULT_CATCH_UP_SECONDS")]
    catch_up_seconds: i32,
}

/// A new definition for a schedule, in place of the whole old one.
#[derive(InputObject)]
struct UpdateScheduleInput {
    /// Which schedule.
    id: ID,
    /// The version that you have seen; when the schedule has changed since, it is left as it is and the user error is
    /// `STALE_VERSION`.
    version: i32,
    /// Its name, unique in its tenant; at most 255 characters.
    name: String,
    /// What its batches are to be.
    template: BatchTemplateInput,
    /// When it is due; left out: on demand only.
    timetable: Option<TimetableInput>,
    /// Asks for what has changed since the last success only; left out: for everything.
    incremental: Option<IncrementalInput>,
    /// What becomes of a firing while an earlier batch has not ended.
    #[graphql(default_with = "OverlapPolicy::Skip")]
    overlap_policy: OverlapPolicy,
    /// What becomes of firings that were due while no server ran.
    #[graphql(default_with = "CatchUp::Latest")]
    catch_up: CatchUp,
    /// How far back those are made up for, in seconds; at most 31 days.
    #[graphql(default_with = "DEFAULT_CATCH_UP_SECONDS")]
    catch_up_seconds: i32,
}

/// Which schedule shall be removed.
#[derive(InputObject)]
struct DeleteScheduleInput {
    /// Which schedule.
    id: ID,
    /// The version that you have seen; left out: remove it whatever it is now.
    version: Option<i32>,
}

/// Which schedule shall be paused.
#[derive(InputObject)]
struct PauseScheduleInput {
    /// Which schedule.
    id: ID,
}

/// Which schedule shall be resumed.
#[derive(InputObject)]
struct ResumeScheduleInput {
    /// Which schedule.
    id: ID,
}

/// Which schedule shall fire.
#[derive(InputObject)]
struct TriggerScheduleInput {
    /// Which schedule.
    id: ID,
    /// Makes a repeated request harmless: the same key gives the first firing again. At most 255 characters.
    idempotency_key: Option<String>,
}

/// Of which object of a schedule everything shall be asked for again.
#[derive(InputObject)]
struct ResetWatermarkInput {
    /// Which schedule.
    schedule_id: ID,
    /// Which object, as its template has it.
    object: String,
    /// Its extracts or its loads alone; left out: both.
    r#type: Option<JobType>,
}

/// The watermarks that were reset, or everything that was wrong.
#[derive(SimpleObject)]
struct ResetWatermarkPayload {
    /// The schedule; null when it was refused, and nothing was changed.
    schedule: Option<ScheduleNode>,
    /// The watermarks that were reset, as they are now: one for each grain and connection of the object; empty when it was
    /// refused.
    watermarks: Vec<WatermarkNode>,
    /// Everything that was wrong; empty when it was done.
    user_errors: Vec<UserError>,
}

payload!(CreateSchedulePayload, schedule: ScheduleNode, "The new schedule");
payload!(UpdateSchedulePayload, schedule: ScheduleNode, "The schedule with its new definition");
payload!(DeleteSchedulePayload, schedule: ScheduleNode, "The schedule as it was");
payload!(PauseSchedulePayload, schedule: ScheduleNode, "The paused schedule");
payload!(ResumeSchedulePayload, schedule: ScheduleNode, "The resumed schedule");
payload!(TriggerSchedulePayload, firing: FiringNode, "What became of it");

/// The mutations of schedules.
#[derive(Default)]
pub struct ScheduleMutation;

#[Object]
impl ScheduleMutation {
    /// Makes a schedule.
    async fn create_schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is to be.")] input: CreateScheduleInput,
    ) -> Result<CreateSchedulePayload> {
        let draft = ScheduleDraft {
            name: input.name,
            template: BatchDraft { tenant_id: input.tenant_id.map(|id| id.0), ..input.template.into() },
            timetable: input.timetable.map(Into::into),
            incremental: input.incremental.map(Into::into),
            overlap_policy: input.overlap_policy.into(),
            catch_up: input.catch_up.into(),
            catch_up_seconds: input.catch_up_seconds,
        };
        CreateSchedulePayload::new(ctx.services().create_schedule(ctx.caller(), draft).await, node)
    }

    /// Replaces the definition of a schedule. Batches that it has made stay as they are.
    async fn update_schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which schedule, and what it is to be.")] input: UpdateScheduleInput,
    ) -> Result<UpdateSchedulePayload> {
        let draft = ScheduleDraft {
            name: input.name,
            template: input.template.into(),
            timetable: input.timetable.map(Into::into),
            incremental: input.incremental.map(Into::into),
            overlap_policy: input.overlap_policy.into(),
            catch_up: input.catch_up.into(),
            catch_up_seconds: input.catch_up_seconds,
        };
        let updated = async {
            let id = parse(&input.id)?;
            let expected = Expected::Versions(vec![input.version]);
            ctx.services().update_schedule(ctx.caller(), id, expected, draft).await
        };
        UpdateSchedulePayload::new(updated.await, node)
    }

    /// Removes a schedule with the records of its firings and its backfills. Backfills that are under way are canceled. Its
    /// batches stay.
    async fn delete_schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which schedule.")] input: DeleteScheduleInput,
    ) -> Result<DeleteSchedulePayload> {
        let deleted = async {
            let id = parse(&input.id)?;
            let expected = input.version.map_or(Expected::Any, |version| Expected::Versions(vec![version]));
            ctx.services().delete_schedule(ctx.caller(), id, expected).await
        };
        DeleteSchedulePayload::new(deleted.await, node)
    }

    /// Lets a schedule fire on demand only, until it is resumed. Its backfills go on. One that is paused already stays as it
    /// is.
    async fn pause_schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which schedule.")] input: PauseScheduleInput,
    ) -> Result<PauseSchedulePayload> {
        let paused = async { ctx.services().pause_schedule(ctx.caller(), parse(&input.id)?).await };
        PauseSchedulePayload::new(paused.await, node)
    }

    /// Lets a schedule fire by itself again, from its next instant on. One that is not paused stays as it is.
    async fn resume_schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which schedule.")] input: ResumeScheduleInput,
    ) -> Result<ResumeSchedulePayload> {
        let resumed = async { ctx.services().resume_schedule(ctx.caller(), parse(&input.id)?).await };
        ResumeSchedulePayload::new(resumed.await, node)
    }

    /// Makes a schedule fire now, paused or not. Its overlap policy counts.
    async fn trigger_schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which schedule.")] input: TriggerScheduleInput,
    ) -> Result<TriggerSchedulePayload> {
        let fired = async {
            let id = parse(&input.id)?;
            ctx.services().trigger_schedule(ctx.caller(), id, input.idempotency_key).await
        };
        TriggerSchedulePayload::new(fired.await, |firing| FiringNode(Arc::new(firing)))
    }

    /// Lets the next batch of an incremental schedule ask for everything of one object, and those after it for what has
    /// changed since then: after it was lost in the destination, or is asked for from an earlier point in the data than
    /// before. A batch that runs already does not count. A repeated request changes nothing until there is another batch.
    async fn reset_watermark(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which object of which schedule.")] input: ResetWatermarkInput,
    ) -> Result<ResetWatermarkPayload> {
        let reset = async {
            let (id, resync) = input.parse()?;
            ctx.services().reset_watermark(ctx.caller(), id, resync).await
        };
        let (reset, user_errors) = error::payload(reset.await)?;
        let (schedule, watermarks) = reset.unzip();
        let watermarks = watermarks.into_iter().flatten().map(|row| WatermarkNode(Arc::new(row))).collect();
        Ok(ResetWatermarkPayload { schedule: schedule.map(node), watermarks, user_errors })
    }
}

impl ResetWatermarkInput {
    /// What it names, or everything that is wrong with it.
    fn parse(self) -> Result<(ScheduleId, Resync), services::Error> {
        let (at, mut problems) = (At::Root, Vec::new());
        let id = keep(ScheduleId::parse(&self.schedule_id, &at.field("schedule_id")), &mut problems);
        let object = keep(ObjectName::parse(self.object, &at.field("object")), &mut problems);
        match (id, object) {
            (Some(id), Some(object)) => Ok((id, Resync { object, job_type: self.r#type.map(Into::into) })),
            (None, _) | (_, None) => Err(problems.into()),
        }
    }
}

fn parse(id: &ID) -> Result<ScheduleId, services::Error> {
    Ok(ScheduleId::parse(id, &At::Root.field("id"))?)
}

fn node(schedule: Schedule) -> ScheduleNode {
    ScheduleNode(Arc::new(schedule))
}

impl From<BatchTemplateInput> for BatchDraft {
    fn from(input: BatchTemplateInput) -> Self {
        Self {
            tenant_id: None,
            source_connection_id: input.source_connection_id.0,
            destination_connection_id: input.destination_connection_id.0,
            since: input.since.map(Since::into_text),
            until: None,
            updated_since: input.updated_since.map(Since::into_text),
            priority: input.priority,
            failure_policy: input.failure_policy.into(),
            watermarks: Watermarks::Stay,
            idempotency_key: None,
            jobs: input.jobs.into_iter().map(Into::into).collect(),
        }
    }
}
