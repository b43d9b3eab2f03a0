//! Subscriptions.

use std::sync::Arc;

use async_graphql::{Context, ID, Result, Subscription};
use futures_util::{Stream, StreamExt, future, stream};

use super::{
    context::ContextExt,
    error::{bad_argument, bad_id, forbidden, query_error},
    inline::Inline,
    lists::EventEdge,
    lookahead,
    types::{
        batch::BatchNode,
        event::{EventFilterInput, EventNode},
    },
};
use crate::{
    domain::{
        access::Scope,
        id::BatchId,
        list::Order,
        page::{ListKind, Page, PageArgs},
        problem::{At, ProblemCode},
    },
    services::{self, BatchGraph, Parts, Services},
};

/// The root of subscriptions.
#[derive(Default)]
pub struct Subscription;

/// What can be followed live: over a WebSocket (`graphql-transport-ws`), or as server-sent events.
#[Subscription]
impl Subscription {
    /// The batch now, then again after each change of it or of one of its jobs. Changes that follow
    /// each other quickly may arrive as one: what arrives is always the newest state. It ends when the
    /// batch is deleted. An id that names no batch gives the error NOT_FOUND.
    async fn batch<'a>(
        &self,
        ctx: &'a Context<'_>,
        #[graphql(desc = "Its id, batch_….")] id: ID,
    ) -> Result<impl Stream<Item = Result<Inline<BatchNode>>> + 'a> {
        let id = BatchId::parse(&id, &At::Root.field("id")).map_err(bad_id)?;
        let parts = lookahead::parts_of_batch(&ctx.look_ahead());
        let services = ctx.services();
        let scope = ctx.caller().may_read().map_err(forbidden)?;
        let changes = services.follow_batch(id);
        let first = read(services, scope, id, parts).await.map_err(query_error)?.ok_or_else(|| {
            let problem =
                At::Root.field("id").problem(ProblemCode::NotFound, "there is no batch with this id");
            bad_argument(vec![problem])
        })?;
        let seen = first.batch.version;
        let work = ctx.work();
        let later = stream::try_unfold((changes, seen), move |(mut changes, seen)| async move {
            while let Some(()) = changes.next().await {
                work.begin();
                let Some(graph) = read(services, scope, id, parts).await? else { return Ok(None) };
                let version = graph.batch.version;
                // It was read before it was told of, or only might have changed.
                if version != seen {
                    return Ok(Some((graph, (changes, version))));
                }
                work.rest();
            }
            Ok(None)
        });
        let all = stream::once(future::ready(Ok(first))).chain(later);
        Ok(all.map(|graph| graph.map(BatchNode).map(Inline).map_err(query_error)))
    }

    /// Every event after the cursor, in order: those of the past first, then live, none lost and none
    /// twice. Resume with the cursor of the last event that you have seen. Where some of those that follow it are not kept
    /// any more, it ends with the error HISTORY_GONE.
    async fn events<'a>(
        &self,
        ctx: &'a Context<'_>,
        #[graphql(
            desc = "Only what follows this cursor, one of `events`; left out: what comes from now on."
        )]
        after: Option<String>,
        #[graphql(desc = "Which of them.")] filter: Option<EventFilterInput>,
    ) -> Result<impl Stream<Item = Result<Inline<EventEdge>>> + 'a> {
        let args = PageArgs { after, ..PageArgs::default() };
        let page = Page::parse(&args, ListKind::Events, Order::OLDEST).map_err(bad_argument)?;
        let filter = filter.unwrap_or_default().parse(None).map_err(bad_argument)?;
        let after = page.after.map(|key| key.id);
        let events = ctx.services().follow_events(ctx.caller(), after, filter).await.map_err(query_error)?;
        let work = ctx.work();
        work.rest();
        let edge = |event| Inline(EventEdge::of(EventNode(Arc::new(event))));
        Ok(events.inspect(move |_| work.begin()).map(move |event| event.map(edge).map_err(query_error)))
    }
}

async fn read(
    services: &Services,
    scope: Scope,
    id: BatchId,
    parts: Parts,
) -> Result<Option<Arc<BatchGraph>>, services::Error> {
    Ok(services.batches_by_id(scope, &[id], parts).await?.remove(&id))
}
