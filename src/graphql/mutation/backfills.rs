//! Mutations of backfills.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result};

use super::payload;
use crate::{
    domain::{
        backfill::{Backfill, BackfillDraft},
        batch::Watermarks,
        id::BackfillId,
        problem::At,
    },
    graphql::{
        context::ContextExt,
        scalar::Since,
        types::backfill::{BackfillNode, BackfillOrder},
    },
    services,
};

/// What a new backfill is to be.
#[derive(InputObject)]
pub struct CreateBackfillInput {
    /// The schedule whose template it shall run.
    schedule_id: ID,
    /// Where its first window begins.
    from: Since,
    /// Where its last window ends; later than `from`.
    to: Since,
    /// How long each window is: an ISO 8601 duration, `P1D` for instance, `PT1H`, `P1W`, `P1M`, `P1Y`. Its steps go by the
    /// calendar in the schedule's time zone (UTC where it has none), each counted from `from`: a day has 23 or 25 hours
    /// where the clocks change, and the month after 31 January ends in February. At most 10,000 windows.
    step: String,
    /// How many of its batches may be under way at once, from 1 to 100. The next is made when one has ended.
    #[graphql(default = 1)]
    max_parallel: i32,
    /// The priority of its batches: lower than the schedule's, so that live batches go first; left out: 100 less than the
    /// schedule's, though not below -1000.
    priority: Option<i32>,
    /// In which order its windows are begun.
    #[graphql(default_with = "BackfillOrder::OldestFirst")]
    order: BackfillOrder,
    /// Whether the watermarks of the schedule, which must be incremental then, move once all windows have succeeded: those
    /// of the jobs that every window has had, to `to`, though not past the time at which the first was begun. They never
    /// move back, and one that was reset since stays.
    #[graphql(default)]
    advance_watermark: bool,
    /// Makes a repeated request harmless: the same key with the same input gives the schedule's first backfill again, with
    /// another input the user error `IDEMPOTENCY_CONFLICT`. At most 255 characters.
    idempotency_key: Option<String>,
}

/// Which backfill shall be paused.
#[derive(InputObject)]
struct PauseBackfillInput {
    /// Which backfill.
    id: ID,
}

/// Which backfill shall be resumed.
#[derive(InputObject)]
struct ResumeBackfillInput {
    /// Which backfill.
    id: ID,
}

/// Which backfill shall be canceled.
#[derive(InputObject)]
struct CancelBackfillInput {
    /// Which backfill.
    id: ID,
}

/// Which backfill shall be retried.
#[derive(InputObject)]
struct RetryBackfillInput {
    /// Which backfill.
    id: ID,
}

payload!(CreateBackfillPayload, backfill: BackfillNode, "The new backfill");
payload!(PauseBackfillPayload, backfill: BackfillNode, "The paused backfill");
payload!(ResumeBackfillPayload, backfill: BackfillNode, "The resumed backfill");
payload!(CancelBackfillPayload, backfill: BackfillNode, "The canceled backfill");
payload!(RetryBackfillPayload, backfill: BackfillNode, "The retried backfill");

/// The mutations of backfills.
#[derive(Default)]
pub struct BackfillMutation;

#[Object]
impl BackfillMutation {
    /// Runs a schedule's template once for each window of a stretch of time, whether the schedule is paused or not.
    async fn create_backfill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is to be.")] input: CreateBackfillInput,
    ) -> Result<CreateBackfillPayload> {
        CreateBackfillPayload::new(ctx.services().create_backfill(ctx.caller(), input.into()).await, node)
    }

    /// Begins no more windows of a backfill until it is resumed; batches under way go on. One that is paused already
    /// stays as it is.
    async fn pause_backfill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which backfill.")] input: PauseBackfillInput,
    ) -> Result<PauseBackfillPayload> {
        let paused = async { ctx.services().pause_backfill(ctx.caller(), parse(&input.id)?).await };
        PauseBackfillPayload::new(paused.await, node)
    }

    /// Begins windows of a backfill again. One that is not paused stays as it is.
    async fn resume_backfill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which backfill.")] input: ResumeBackfillInput,
    ) -> Result<ResumeBackfillPayload> {
        let resumed = async { ctx.services().resume_backfill(ctx.caller(), parse(&input.id)?).await };
        ResumeBackfillPayload::new(resumed.await, node)
    }

    /// Cancels a backfill: no more windows are begun, and batches under way are canceled as `cancelBatch` does it. One that
    /// was canceled already stays as it is.
    async fn cancel_backfill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which backfill.")] input: CancelBackfillInput,
    ) -> Result<CancelBackfillPayload> {
        let canceled = async { ctx.services().cancel_backfill(ctx.caller(), parse(&input.id)?).await };
        CancelBackfillPayload::new(canceled.await, node)
    }

    /// Runs the windows of a backfill again that failed or were canceled, as `retryBatch` runs their batches: what succeeded
    /// of them stands. One that was canceled goes on with what it had not begun. Where there is nothing to run again, it
    /// stays as it is.
    async fn retry_backfill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which backfill.")] input: RetryBackfillInput,
    ) -> Result<RetryBackfillPayload> {
        let retried = async { ctx.services().retry_backfill(ctx.caller(), parse(&input.id)?).await };
        RetryBackfillPayload::new(retried.await, node)
    }
}

fn parse(id: &ID) -> Result<BackfillId, services::Error> {
    Ok(BackfillId::parse(id, &At::Root.field("id"))?)
}

fn node(backfill: Backfill) -> BackfillNode {
    BackfillNode(Arc::new(backfill))
}

impl From<CreateBackfillInput> for BackfillDraft {
    fn from(input: CreateBackfillInput) -> Self {
        Self {
            schedule_id: input.schedule_id.0,
            from: input.from.into_text(),
            to: input.to.into_text(),
            step: input.step,
            max_parallel: input.max_parallel,
            priority: input.priority,
            order: input.order.into(),
            watermarks: if input.advance_watermark { Watermarks::Move } else { Watermarks::Stay },
            idempotency_key: input.idempotency_key,
        }
    }
}
