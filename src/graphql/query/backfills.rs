//! Queries for backfills.

use async_graphql::{Context, ID, Object, Result};

use crate::{
    domain::{
        id::BackfillId,
        page::{PageArgs, Slice},
        problem::At,
    },
    graphql::{
        context::ContextExt,
        error::{UserError, bad_id, query_error},
        inline::Inline,
        lists::{BackfillWindowConnection, Counted, List},
        mutation::CreateBackfillInput,
        types::backfill::{BackfillNode, window_nodes, windows_page},
    },
    services::BackfillPlan,
};

/// The queries for backfills.
#[derive(Default)]
pub struct BackfillQuery;

#[Object]
impl BackfillQuery {
    /// The backfill with this id; null when there is none.
    async fn backfill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, backfill_….")] id: ID,
    ) -> Option<Result<Inline<BackfillNode>>> {
        let find = async || {
            let id = BackfillId::parse(&id, &At::Root.field("id")).map_err(bad_id)?;
            Ok(ctx.look_up_one(id).await?.map(BackfillNode).map(Inline))
        };
        find().await.transpose()
    }

    /// What `createBackfill` would make, without making it.
    async fn plan_backfill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What `createBackfill` takes.")] input: CreateBackfillInput,
    ) -> Result<BackfillPlanNode> {
        let planned = ctx.services().plan_backfill(ctx.caller(), input.into()).await;
        let (plan, problems) = planned.map_err(query_error)?;
        Ok(BackfillPlanNode { plan, user_errors: problems.into_iter().map(UserError::from).collect() })
    }
}

/// The GraphQL type `BackfillPlan`.
struct BackfillPlanNode {
    plan: Option<BackfillPlan>,
    user_errors: Vec<UserError>,
}

/// What a backfill would run.
#[Object(name = "BackfillPlan")]
impl BackfillPlanNode {
    /// Its windows, in the order of time; empty when there are none, or too many.
    async fn windows(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<BackfillWindowConnection>> {
        let page = windows_page(PageArgs { first, after, last, before })?;
        let slice = match &self.plan {
            Some(plan) => ctx.services().planned_windows(&plan.windows, &page).map_err(query_error)?,
            None => Slice { rows: Vec::new(), has_previous: false, has_next: false },
        };
        let counted = Counted::Known(self.count());
        Ok(Inline(BackfillWindowConnection(List::new(slice.map(window_nodes), &page, counted))))
    }

    /// How many batches it would make: one for each window.
    async fn batch_count(&self) -> u32 {
        self.count()
    }

    /// How many jobs these would have together, with the template as it is now.
    async fn job_count(&self) -> i32 {
        let jobs = self.plan.as_ref().map_or(0, |plan| plan.windows.count.saturating_mul(plan.jobs_each));
        i32::try_from(jobs).unwrap_or(i32::MAX)
    }

    /// The priority that its batches would have; null when something is wrong.
    async fn priority(&self) -> Option<i32> {
        self.plan.as_ref().map(|plan| plan.priority)
    }

    /// By whose clocks the steps would go; null when something is wrong.
    async fn time_zone(&self) -> Option<&str> {
        self.plan.as_ref().map(|plan| plan.windows.zone.name())
    }

    /// Everything that is wrong with the input, and with the template for the first window; empty when it can be made.
    async fn user_errors(&self) -> &[UserError] {
        &self.user_errors
    }
}

impl BackfillPlanNode {
    fn count(&self) -> u32 {
        self.plan.as_ref().map_or(0, |plan| plan.windows.count)
    }
}
