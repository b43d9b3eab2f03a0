//! `node` and `nodes`.

use async_graphql::{Context, ID, Object, Result};

use crate::{
    domain::{
        id::AnyId,
        page::MAX_PAGE,
        problem::{At, ProblemCode},
    },
    graphql::{
        context::ContextExt,
        error::{bad_argument, bad_id, query_error},
        loaders::GraphKey,
        lookahead,
        types::{
            backfill::BackfillNode, batch::BatchNode, connection::ConnectionNode, firing::FiringNode,
            job::JobNode, node::Node, schedule::ScheduleNode, tenant::TenantNode, token::TokenNode,
        },
    },
};

/// The queries for any kind of object.
#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Whatever has this id; null when nothing has.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "An id of any kind.")] id: ID,
    ) -> Option<Result<Node>> {
        find(ctx, &id, &At::Root.field("id")).await.transpose()
    }

    /// Whatever has these ids, in their order; null in the place of one that nothing has.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Ids of any kinds, at most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Result<Node>>>> {
        let at = At::Root.field("ids");
        if ids.len() > MAX_PAGE as usize {
            let message = format!("these are {} ids; at most {MAX_PAGE} can be asked for at once", ids.len());
            return Err(bad_argument(vec![at.problem(ProblemCode::TooMany, message)]));
        }
        // An error inside an option stays in its place; one around it would take the whole list.
        let find = async |(index, id)| find(ctx, id, &at.index(index)).await.transpose();
        Ok(futures_util::future::join_all(ids.iter().enumerate().map(find)).await)
    }
}

async fn find(ctx: &Context<'_>, id: &ID, at: &At<'_>) -> Result<Option<Node>> {
    Ok(match AnyId::parse(id, at).map_err(bad_id)? {
        AnyId::Tenant(id) => ctx.look_up(id).await?.map(|found| TenantNode(found).into()),
        AnyId::Connection(id) => ctx.look_up(id).await?.map(|found| ConnectionNode(found).into()),
        AnyId::Batch(id) => {
            let key = GraphKey(id, lookahead::parts_of_batch(&ctx.look_ahead()));
            ctx.look_up(key).await?.map(|found| BatchNode(found).into())
        }
        AnyId::Token(id) => {
            let found = ctx.services().tokens_by_id(ctx.caller(), &[id]).await.map_err(query_error)?;
            found.into_values().next().map(|found| TokenNode(found).into())
        }
        AnyId::Schedule(id) => ctx.look_up(id).await?.map(|found| ScheduleNode(found).into()),
        AnyId::Firing(id) => ctx.look_up(id).await?.map(|found| FiringNode(found).into()),
        AnyId::Backfill(id) => ctx.look_up(id).await?.map(|found| BackfillNode(found).into()),
        AnyId::Job(id) => ctx.look_up(id).await?.map(|found| JobNode::alone(found).into()),
    })
}
