//! Queries for schedules.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use crate::{
    domain::{
        id::ScheduleId,
        list::Order,
        page::{ListKind, Page, PageArgs},
        problem::At,
    },
    graphql::{
        context::{ContextExt, Waiting},
        error::{UserError, bad_argument, bad_id, payload, query_error},
        inline::Inline,
        lists::{Counted, List, ScheduleConnection},
        scalar::DateTime,
        types::{
            filter::{ScheduleFilterInput, Within},
            schedule::ScheduleNode,
            timetable::{NextRun, TimetableInput},
        },
    },
    services::Ahead,
};

/// Which runs of a timetable are looked for.
#[derive(InputObject)]
struct NextRunsInput {
    /// When they are due.
    timetable: TimetableInput,
    /// Only those after this instant; left out: now.
    after: Option<DateTime>,
    /// Only those before this instant.
    before: Option<DateTime>,
    /// How many, at most 100.
    #[graphql(default = 10)]
    first: i32,
}

/// When a timetable is due.
#[derive(SimpleObject)]
struct NextRuns {
    /// The runs, in order; empty when something is wrong.
    runs: Vec<NextRun>,
    /// Everything that is wrong with the timetable; empty when it can be used.
    user_errors: Vec<UserError>,
}

/// The queries for schedules.
#[derive(Default)]
pub struct ScheduleQuery;

#[Object]
impl ScheduleQuery {
    /// The schedule with this id; null when there is none.
    async fn schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, schedule_….")] id: ID,
    ) -> Option<Result<Inline<ScheduleNode>>> {
        let find = async || {
            let id = ScheduleId::parse(&id, &At::Root.field("id")).map_err(bad_id)?;
            Ok(ctx.look_up_one(id).await?.map(ScheduleNode).map(Inline))
        };
        find().await.transpose()
    }

    /// Schedules, newest first.
    #[allow(clippy::too_many_arguments, reason = "the arguments that Relay specifies")]
    async fn schedules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<ScheduleFilterInput>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<ScheduleConnection>> {
        schedule_list(ctx, filter, Within::All, PageArgs { first, after, last, before }).await
    }

    /// When a timetable is due, before there is a schedule that has it: each run with what the clocks show then, and,
    /// on a day on which they change, what that has made of it.
    async fn next_runs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which runs are looked for.")] input: NextRunsInput,
    ) -> Result<NextRuns> {
        let NextRunsInput { timetable, after, before, first } = input;
        let ahead = Ahead { after: after.map(|at| at.0), before: before.map(|at| at.0), first };
        let runs = ctx.services().runs_of_timetable(ctx.caller(), &timetable.into(), ahead);
        let (runs, user_errors) = payload(runs)?;
        Ok(NextRuns { runs: runs.unwrap_or_default().into_iter().map(NextRun::from).collect(), user_errors })
    }
}

/// A list of schedules within another object, or of all.
pub fn schedule_list<'a>(
    ctx: &'a Context<'_>,
    filter: Option<ScheduleFilterInput>,
    within: Within,
    args: PageArgs,
) -> Waiting<'a, Result<Inline<ScheduleConnection>>> {
    Box::pin(async move {
        let page = Page::parse(&args, ListKind::Schedules, Order::NEWEST).map_err(bad_argument)?;
        let filter = filter.unwrap_or_default().parse(within).map_err(bad_argument)?;
        let slice = ctx.services().schedules(ctx.caller(), &filter, &page).await.map_err(query_error)?;
        let slice = slice.map(|rows| rows.into_iter().map(|row| ScheduleNode(Arc::new(row))).collect());
        Ok(Inline(ScheduleConnection(List::new(slice, &page, Counted::Schedules(filter)))))
    })
}
