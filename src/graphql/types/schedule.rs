//! Schedules.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object, Result, SimpleObject};

use super::{
    backfill::BackfillNode,
    filter::{BatchFilterInput, BatchOrder, Within},
    firing::FiringNode,
    template::TemplateNode,
    tenant::TenantNode,
    timetable::{NextRun, Timetable},
    watermark::WatermarkNode,
};
use crate::{
    domain::{
        id::ScheduleId,
        list::Order,
        page::{ListKind, Page, PageArgs},
        schedule::{self, IncrementalDraft, Schedule, ScheduleState},
    },
    graphql::{
        context::ContextExt,
        error::{bad_argument, query_error},
        fields::fields,
        inline::{Inline, viewed},
        leaf::choices,
        lists::{BackfillConnection, BatchConnection, Counted, FiringConnection, List, WatermarkConnection},
        loaders::LastFiringKey,
        query::batch_list,
        scalar::DateTime,
    },
    services::Ahead,
};

/// That the batches of a schedule ask for what has changed since the last success only.
#[derive(SimpleObject)]
#[graphql(serial)]
pub struct Incremental {
    /// How much further back they ask, in seconds.
    overlap_seconds: i64,
}

/// Lets the batches of a schedule ask for what has changed since the last success only: each job for what was changed
/// after the start of its last successful attempt, once all that requires it has succeeded too.
#[derive(InputObject)]
pub struct IncrementalInput {
    /// How much further back they ask, in seconds, for what was changed and not yet to be seen then; at most 30 days.
    #[graphql(default)]
    overlap_seconds: i32,
}

impl From<schedule::Incremental> for Incremental {
    fn from(schedule::Incremental { overlap }: schedule::Incremental) -> Self {
        Self { overlap_seconds: overlap.num_seconds() }
    }
}

impl From<IncrementalInput> for IncrementalDraft {
    fn from(IncrementalInput { overlap_seconds }: IncrementalInput) -> Self {
        Self { overlap_seconds }
    }
}

/// What becomes of a firing while an earlier batch of the schedule has not ended.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "schedule::OverlapPolicy")]
pub enum OverlapPolicy {
    /// It is left out.
    Skip,
    /// It waits until that one has ended. At most one waits; others are left out.
    Queue,
    /// The earlier batch is canceled.
    CancelPrevious,
    /// Both run.
    Allow,
}

/// What becomes of firings that were due while no server ran. One that is up to a minute late is in time.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "schedule::CatchUp")]
pub enum CatchUp {
    /// They are left out.
    None,
    /// The last one is made up for, if nothing has been due since.
    Latest,
    /// All are made up for, oldest first; at most the last 100.
    All,
}

/// The GraphQL type `Schedule`.
#[derive(Clone)]
pub struct ScheduleNode(pub Arc<Schedule>);

viewed!(ScheduleNode(Arc<Schedule>));
choices!(OverlapPolicy, CatchUp);

fields! {
    /// The template of a batch and when to make one.
    #[Object(name = "Schedule")]
    ScheduleNode |schedule|;

    /// Its id.
    value id: ScheduleId = schedule.id;

    /// The tenant it belongs to.
    async fn tenant(&self, ctx: &Context<'_>) -> Result<Option<TenantNode>> {
        Ok(ctx.load(self.0.tenant_id).await?.map(TenantNode))
    }

    /// Its name, unique in its tenant.
    value name: &str = &schedule.name;

    /// What its batches are to be.
    async fn template(&self) -> TemplateNode {
        TemplateNode(self.0.clone())
    }

    /// When it is due; null: on demand only.
    async fn timetable(&self) -> Option<Timetable> {
        self.0.timetable.as_ref().map(Timetable::from)
    }

    /// That its batches ask for what has changed since the last success only; null: for everything.
    async fn incremental(&self) -> Option<Incremental> {
        self.0.incremental.map(Incremental::from)
    }

    /// How far its jobs have got, if it is or was incremental, in the order in which they first succeeded or were reset.
    async fn watermarks(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<WatermarkConnection>> {
        let args = PageArgs { first, after, last, before };
        let page = Page::parse(&args, ListKind::Watermarks, Order::OLDEST).map_err(bad_argument)?;
        let slice = ctx.services().watermarks(ctx.caller(), self.0.id, &page).await.map_err(query_error)?;
        let slice = slice.map(|rows| rows.into_iter().map(|row| WatermarkNode(Arc::new(row))).collect());
        Ok(Inline(WatermarkConnection(List::new(slice, &page, Counted::Watermarks(self.0.id)))))
    }

    /// What becomes of a firing while an earlier batch has not ended.
    value overlap_policy: OverlapPolicy = schedule.overlap_policy.into();

    /// What becomes of firings that were due while no server ran.
    value catch_up: CatchUp = schedule.catch_up.into();

    /// How far back missed firings are made up for, in seconds.
    value catch_up_seconds: i64 = schedule.catch_up_window.num_seconds();

    /// Since when it is paused; null: it is not.
    value paused_at: Option<DateTime> = match schedule.state {
        ScheduleState::Active { .. } => None,
        ScheduleState::Paused { since } => Some(DateTime(since)),
    };

    /// When it is due next; null: it is paused, or fires on demand only.
    value next_at: Option<DateTime> = schedule.next_at().map(DateTime);

    /// When it is due by its timetable, paused or not, in order; empty when it has none.
    async fn next_runs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, at most 100.", default = 10)] first: i32,
        #[graphql(desc = "Only those after this instant; left out: now.")] after: Option<DateTime>,
        #[graphql(desc = "Only those before this instant.")] before: Option<DateTime>,
    ) -> Result<Vec<NextRun>> {
        let Some(timetable) = &self.0.timetable else { return Ok(Vec::new()) };
        let ahead = Ahead { after: after.map(|at| at.0), before: before.map(|at| at.0), first };
        let runs = ctx.services().next_runs(timetable, ahead).map_err(query_error)?;
        Ok(runs.into_iter().map(NextRun::from).collect())
    }

    /// What became of it when it last fired; null: it never has.
    async fn last_firing(&self, ctx: &Context<'_>) -> Result<Option<FiringNode>> {
        Ok(ctx.load(LastFiringKey(self.0.id)).await?.map(FiringNode))
    }

    /// What became of it each time that it was due or triggered, newest first.
    async fn firings(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<FiringConnection>> {
        let args = PageArgs { first, after, last, before };
        let page = Page::parse(&args, ListKind::Firings, Order::NEWEST).map_err(bad_argument)?;
        let slice = ctx.services().firings(ctx.caller(), self.0.id, &page).await.map_err(query_error)?;
        let slice = slice.map(|rows| rows.into_iter().map(|row| FiringNode(Arc::new(row))).collect());
        Ok(Inline(FiringConnection(List::new(slice, &page, Counted::Firings(self.0.id)))))
    }

    /// The batches that it and its backfills have made, newest first unless another order is asked for.
    #[allow(clippy::too_many_arguments, reason = "the arguments that Relay specifies")]
    async fn batches(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<BatchFilterInput>,
        #[graphql(desc = "In which order.")] order_by: Option<BatchOrder>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<BatchConnection>> {
        let args = PageArgs { first, after, last, before };
        batch_list(ctx, filter, Within::Schedule(self.0.id), order_by, args).await
    }

    /// Its backfills, newest first.
    async fn backfills(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<BackfillConnection>> {
        let args = PageArgs { first, after, last, before };
        let page = Page::parse(&args, ListKind::Backfills, Order::NEWEST).map_err(bad_argument)?;
        let slice = ctx.services().backfills(ctx.caller(), self.0.id, &page).await.map_err(query_error)?;
        let slice = slice.map(|rows| rows.into_iter().map(|row| BackfillNode(Arc::new(row))).collect());
        Ok(Inline(BackfillConnection(List::new(slice, &page, Counted::Backfills(self.0.id)))))
    }

    /// Rises with every change of it, but not with its firings. Pass it back when you change it, so that you don't
    /// undo what somebody else did meanwhile.
    value version: i32 = schedule.version;

    /// When it was made.
    value created_at: DateTime = DateTime(schedule.created_at);

    /// When it was last changed.
    value updated_at: DateTime = DateTime(schedule.updated_at);
}
