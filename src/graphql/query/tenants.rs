//! Queries for tenants.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};

use crate::{
    domain::{
        id::TenantId,
        list::Order,
        page::{ListKind, Page, PageArgs},
        problem::At,
    },
    graphql::{
        context::ContextExt,
        error::{bad_argument, bad_id, query_error},
        inline::Inline,
        lists::{Counted, List, TenantConnection},
        types::tenant::TenantNode,
    },
};

/// The queries for tenants.
#[derive(Default)]
pub struct TenantQuery;

#[Object]
impl TenantQuery {
    /// The tenant with this id; null when there is none.
    async fn tenant(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, tenant_….")] id: ID,
    ) -> Option<Result<Inline<TenantNode>>> {
        let find = async || {
            let id = TenantId::parse(&id, &At::Root.field("id")).map_err(bad_id)?;
            Ok(ctx.look_up_one(id).await?.map(TenantNode).map(Inline))
        };
        find().await.transpose()
    }

    /// All tenants, oldest first.
    async fn tenants(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<TenantConnection>> {
        let args = PageArgs { first, after, last, before };
        let page = Page::parse(&args, ListKind::Tenants, Order::OLDEST).map_err(bad_argument)?;
        let slice = ctx.services().tenants(ctx.caller(), &page).await.map_err(query_error)?;
        let slice = slice.map(|rows| rows.into_iter().map(|tenant| TenantNode(Arc::new(tenant))).collect());
        Ok(Inline(TenantConnection(List::new(slice, &page, Counted::Tenants))))
    }
}
