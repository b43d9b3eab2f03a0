//! Subscriptions.

use std::sync::Arc;

use async_graphql::{Context, ID, Result, Subscription};
use futures_util::{Stream, StreamExt, future, stream};

use super::{
    context::ContextExt,
    error::{bad_argument, bad_id, query_error},
    inline::Inline,
    lookahead,
    types::batch::BatchNode,
};
use crate::{
    domain::{
        id::BatchId,
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
        let first = read(services, id, parts).await.map_err(query_error)?.ok_or_else(|| {
            let problem =
                At::Root.field("id").problem(ProblemCode::NotFound, "there is no batch with this id");
            bad_argument(vec![problem])
        })?;
        let later = stream::try_unfold(first.batch.version, move |seen| async move {
            services.batch_changed(id, seen).await?;
            let graph = read(services, id, parts).await?;
            Ok(graph.map(|graph| (graph.clone(), graph.batch.version)))
        });
        let all = stream::once(future::ready(Ok(first))).chain(later);
        Ok(all.map(|graph| graph.map(BatchNode).map(Inline).map_err(query_error)))
    }
}

async fn read(
    services: &Services,
    id: BatchId,
    parts: Parts,
) -> Result<Option<Arc<BatchGraph>>, services::Error> {
    Ok(services.batches_by_id(&[id], parts).await?.remove(&id))
}
