//! Queries for the history.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use crate::{
    domain::{
        id::BatchId,
        list::Order,
        page::{ListKind, Page, PageArgs},
    },
    graphql::{
        context::{ContextExt, Waiting},
        error::{bad_argument, query_error},
        inline::Inline,
        lists::{Counted, EventConnection, List},
        types::event::{EventFilterInput, EventNode},
    },
};

/// The queries for the history.
#[derive(Default)]
pub struct EventQuery;

#[Object]
impl EventQuery {
    /// The history: every change of state, oldest first, never edited. What has been kept long enough may be deleted, from
    /// the oldest on: who asks for what follows a cursor is told with HISTORY_GONE where some of that is missing.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<EventFilterInput>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<EventConnection>> {
        event_list(ctx, filter, None, PageArgs { first, after, last, before }).await
    }
}

/// A list of events, of one batch or of all.
pub fn event_list<'a>(
    ctx: &'a Context<'_>,
    filter: Option<EventFilterInput>,
    batch: Option<BatchId>,
    args: PageArgs,
) -> Waiting<'a, Result<Inline<EventConnection>>> {
    Box::pin(async move {
        let page = Page::parse(&args, ListKind::Events, Order::OLDEST).map_err(bad_argument)?;
        let filter = filter.unwrap_or_default().parse(batch).map_err(bad_argument)?;
        let slice = ctx.services().events(ctx.caller(), &filter, &page).await.map_err(query_error)?;
        let slice = slice.map(|rows| rows.into_iter().map(Arc::new).map(EventNode).collect());
        Ok(Inline(EventConnection(List::new(slice, &page, Counted::Events(filter)))))
    })
}
