//! Backfills.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object, Result, SimpleObject};

use super::{batch::BatchNode, schedule::ScheduleNode, tenant::TenantNode};
use crate::{
    domain::{
        backfill::{self, Backfill, BackfillState, BackfillWindow},
        batch::Watermarks,
        id::BackfillId,
        list::Order,
        page::{ListKind, Page, PageArgs},
    },
    graphql::{
        context::ContextExt,
        error::{UserError, bad_argument, query_error},
        fields::fields,
        inline::{Inline, viewed},
        leaf::choices,
        lists::{BackfillWindowConnection, Counted, List},
        loaders::{GraphKey, WindowCountsKey},
        lookahead,
        scalar::{DateTime, Since},
    },
};

/// In which order the windows of a backfill are begun.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "backfill::WindowOrder")]
pub enum BackfillOrder {
    /// The earliest first.
    OldestFirst,
    /// The latest first.
    NewestFirst,
}

/// Where a backfill stands.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "backfill::BackfillStatus")]
pub enum BackfillStatus {
    /// Its windows are begun one after the other.
    Running,
    /// No window of it is begun until it is resumed; those under way go on. `userErrors` says why, if nobody has paused
    /// it: no batch could be made of the template.
    Paused,
    /// It was canceled, and waits for its batches to end.
    Canceling,
    /// All of its windows succeeded.
    Succeeded,
    /// All of its windows have ended, and not all succeeded.
    Failed,
    /// It was canceled.
    Canceled,
}

/// Where a window of a backfill stands.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "backfill::WindowStatus")]
pub enum BackfillWindowStatus {
    /// It was not begun, or is to be run again.
    Pending,
    /// Its batch has not ended.
    Running,
    /// Its batch succeeded.
    Succeeded,
    /// Its batch failed.
    Failed,
    /// Its batch was canceled, or the backfill was before it was begun.
    Canceled,
}

/// How many windows of a backfill are in each state.
#[derive(SimpleObject)]
#[graphql(serial)]
pub struct BackfillProgress {
    /// All windows.
    total: u32,
    /// Those that were not begun, or are to be run again.
    pending: u32,
    /// Those whose batch has not ended.
    running: u32,
    /// Those that succeeded.
    succeeded: u32,
    /// Those that failed.
    failed: u32,
    /// Those that were canceled.
    canceled: u32,
}

impl From<backfill::WindowCounts> for BackfillProgress {
    fn from(counts: backfill::WindowCounts) -> Self {
        let backfill::WindowCounts { pending, running, succeeded, failed, canceled } = counts;
        Self { total: counts.total(), pending, running, succeeded, failed, canceled }
    }
}

/// Which windows of a backfill.
#[derive(InputObject, Default)]
#[graphql(name = "BackfillWindowFilter")]
pub struct BackfillWindowFilter {
    /// Those with one of these statuses; an empty list lets everything through.
    statuses: Option<Vec<BackfillWindowStatus>>,
}

/// The GraphQL type `Backfill`.
#[derive(Clone)]
pub struct BackfillNode(pub Arc<Backfill>);

viewed!(BackfillNode(Arc<Backfill>));
choices!(BackfillOrder, BackfillStatus, BackfillWindowStatus);

fields! {
    /// A schedule's template, run once for each window of a stretch of time. The batch of a window asks for all data from
    /// `since` to `until`, and deletes nothing; what the template and its jobs say of `since`, `updatedSince` and `allowDelete`
    /// does not count. To pause the schedule does not pause its backfills; to remove it cancels and removes them.
    #[Object(name = "Backfill")]
    BackfillNode |backfill|;

    /// Its id.
    value id: BackfillId = backfill.id;

    /// The tenant it belongs to.
    async fn tenant(&self, ctx: &Context<'_>) -> Result<Option<TenantNode>> {
        Ok(ctx.load(self.0.tenant_id).await?.map(TenantNode))
    }

    /// The schedule whose template it runs, as it is when a window is begun.
    async fn schedule(&self, ctx: &Context<'_>) -> Result<Option<ScheduleNode>> {
        Ok(ctx.load(self.0.schedule_id).await?.map(ScheduleNode))
    }

    /// Where its first window begins.
    value from: Since = backfill.windows.from.into();

    /// Where its last window ends.
    value to: Since = backfill.windows.to.into();

    /// How long a window is, by the calendar: an ISO 8601 duration.
    value step: String = backfill.windows.step.to_string();

    /// By whose clocks the steps go: the time zone that the schedule had when the backfill was made.
    value time_zone: &str = backfill.windows.zone.name();

    /// In which order its windows are begun.
    value order: BackfillOrder = backfill.order.into();

    /// How many of its batches are under way at the most.
    value max_parallel: u32 = backfill.max_parallel;

    /// The priority of its batches: lower than the schedule's was, so that live batches go first.
    value priority: i32 = backfill.priority;

    /// Whether the watermarks of the schedule move once all of its windows have succeeded. Else they stay where they are.
    value advance_watermark: bool = backfill.watermarks == Watermarks::Move;

    /// Where it stands.
    value status: BackfillStatus = backfill.state.status().into();

    /// Since when it is paused; null: it is not.
    value paused_at: Option<DateTime> = match backfill.state {
        BackfillState::Paused { since, .. } => Some(DateTime(since)),
        BackfillState::Running
        | BackfillState::Canceling
        | BackfillState::Succeeded { .. }
        | BackfillState::Failed { .. }
        | BackfillState::Canceled { .. } => None,
    };

    /// What was wrong with the template, each with its place there, if that is why it is paused. Mend it and resume.
    async fn user_errors(&self) -> Vec<UserError> {
        match &self.0.state {
            BackfillState::Paused { problems, .. } => problems.iter().map(UserError::of_firing).collect(),
            BackfillState::Running
            | BackfillState::Canceling
            | BackfillState::Succeeded { .. }
            | BackfillState::Failed { .. }
            | BackfillState::Canceled { .. } => Vec::new(),
        }
    }

    /// How many of its windows are in each state.
    async fn progress(&self, ctx: &Context<'_>) -> Result<BackfillProgress> {
        let recorded = ctx.load(WindowCountsKey(self.0.id)).await?;
        Ok(self.0.progress(recorded.unwrap_or_default()).into())
    }

    /// Its windows, in the order of time.
    #[allow(clippy::too_many_arguments, reason = "the arguments that Relay specifies")]
    async fn windows(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<BackfillWindowFilter>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<BackfillWindowConnection>> {
        let page = windows_page(PageArgs { first, after, last, before })?;
        let statuses = filter.unwrap_or_default().statuses.unwrap_or_default();
        let statuses: Vec<_> = statuses.into_iter().map(Into::into).collect();
        let slice = ctx.services().backfill_windows(ctx.caller(), &self.0, &statuses, &page);
        let slice = slice.await.map_err(query_error)?.map(window_nodes);
        let counted = Counted::Windows(self.0.clone(), statuses);
        Ok(Inline(BackfillWindowConnection(List::new(slice, &page, counted))))
    }

    /// Rises with every change of it, but not with its windows.
    value version: i32 = backfill.version;

    /// When it was made.
    value created_at: DateTime = DateTime(backfill.created_at);

    /// When its first window was begun.
    value started_at: Option<DateTime> = backfill.started_at.map(DateTime);

    /// When its last window ended.
    value ended_at: Option<DateTime> = backfill.state.ended_at().map(DateTime);

    /// When it was last changed: made, steered or ended.
    value updated_at: DateTime = DateTime(backfill.updated_at);
}

/// The page of windows that somebody asks for.
pub fn windows_page(args: PageArgs) -> Result<Page> {
    Page::parse(&args, ListKind::Windows, Order::OLDEST).map_err(bad_argument)
}

/// Windows, to be shown.
pub fn window_nodes(windows: Vec<BackfillWindow>) -> Vec<BackfillWindowNode> {
    windows.into_iter().map(BackfillWindowNode).collect()
}

/// The GraphQL type `BackfillWindow`.
#[derive(Clone)]
pub struct BackfillWindowNode(pub BackfillWindow);

viewed!(BackfillWindowNode(BackfillWindow));

fields! {
    /// A window of a backfill: a stretch of the data, and the batch that asks for it.
    #[Object(name = "BackfillWindow")]
    BackfillWindowNode |window|;

    /// Its place among the windows of the backfill, from 0, the earliest first.
    value index: u32 = window.stretch.index;

    /// The earliest point of the data in it.
    value since: Since = window.stretch.since.into();

    /// The earliest point after it.
    value until: Since = window.stretch.until.into();

    /// Where it stands.
    value status: BackfillWindowStatus = window.status.into();

    /// Its batch; null: it was not begun, or the batch was removed since.
    async fn batch(&self, ctx: &Context<'_>) -> Result<Option<BatchNode>> {
        let Some(batch) = self.0.batch_id else { return Ok(None) };
        let parts = lookahead::parts_of_batch(&ctx.look_ahead());
        Ok(ctx.load(GraphKey(batch, parts)).await?.map(BatchNode))
    }
}
