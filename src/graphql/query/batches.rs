//! Queries for batches.

use async_graphql::{Context, ID, Object, Result};

use crate::{
    domain::{
        id::BatchId,
        list::Order,
        page::{ListKind, Page, PageArgs},
        problem::At,
    },
    graphql::{
        context::{ContextExt, Waiting},
        error::{bad_argument, bad_id, payload, query_error},
        inline::Inline,
        lists::{BatchConnection, Counted, List},
        loaders::GraphKey,
        lookahead,
        mutation::CreateBatchInput,
        types::{
            batch::BatchNode,
            filter::{BatchFilterInput, BatchOrder, Within},
            plan::PlanNode,
        },
    },
};

/// The queries for batches.
#[derive(Default)]
pub struct BatchQuery;

#[Object]
impl BatchQuery {
    /// The batch with this id; null when there is none.
    async fn batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, batch_….")] id: ID,
    ) -> Option<Result<Inline<BatchNode>>> {
        let find = async || {
            let id = BatchId::parse(&id, &At::Root.field("id")).map_err(bad_id)?;
            let key = GraphKey(id, lookahead::parts_of_batch(&ctx.look_ahead()));
            Ok(ctx.look_up_one(key).await?.map(BatchNode).map(Inline))
        };
        find().await.transpose()
    }

    /// Batches, newest first unless another order is asked for.
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
        batch_list(ctx, filter, Within::All, order_by, PageArgs { first, after, last, before }).await
    }

    /// What `createBatch` would make of this input, without making it: the waves of its jobs, or
    /// everything that is wrong with it.
    async fn plan_batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What `createBatch` takes.")] input: CreateBatchInput,
    ) -> Result<PlanNode> {
        let plan = ctx.services().plan_batch(ctx.caller(), input.into()).await;
        Ok(PlanNode::proposed(payload(plan)?))
    }
}

/// A list of batches within another one, or of all, with the parts that the selection wants.
pub fn batch_list<'a>(
    ctx: &'a Context<'_>,
    filter: Option<BatchFilterInput>,
    within: Within,
    order: Option<BatchOrder>,
    args: PageArgs,
) -> Waiting<'a, Result<Inline<BatchConnection>>> {
    Box::pin(async move {
        let order = order.map_or(Order::NEWEST, Order::from);
        let page = Page::parse(&args, ListKind::Batches, order).map_err(bad_argument)?;
        let filter = filter.unwrap_or_default().parse(within).map_err(bad_argument)?;
        let parts = lookahead::parts_of_page(&ctx.look_ahead());
        let slice = ctx.services().batches(ctx.caller(), &filter, &page, parts).await.map_err(query_error)?;
        let slice = slice.map(|rows| rows.into_iter().map(BatchNode).collect());
        Ok(Inline(BatchConnection(List::new(slice, &page, Counted::Batches(filter)))))
    })
}
