//! Queries for tokens, and for who asks.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use crate::{
    domain::{
        list::Order,
        page::{ListKind, Page, PageArgs},
    },
    graphql::{
        context::ContextExt,
        error::{bad_argument, query_error},
        inline::Inline,
        lists::{Counted, List, TokenConnection},
        types::token::{TokenNode, ViewerNode},
    },
};

/// The queries for tokens, and for who asks.
#[derive(Default)]
pub struct AccessQuery;

#[Object]
impl AccessQuery {
    /// Who you are, and what you may do.
    async fn viewer(&self, ctx: &Context<'_>) -> ViewerNode {
        ViewerNode(ctx.caller().clone())
    }

    /// The tokens that you may look after, oldest first: those of your tenant, or all. For the role ADMIN.
    async fn tokens(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<TokenConnection>> {
        let args = PageArgs { first, after, last, before };
        let page = Page::parse(&args, ListKind::Tokens, Order::OLDEST).map_err(bad_argument)?;
        let slice = ctx.services().tokens(ctx.caller(), &page).await.map_err(query_error)?;
        let slice = slice.map(|rows| rows.into_iter().map(Arc::new).map(TokenNode).collect());
        Ok(Inline(TokenConnection(List::new(slice, &page, Counted::Tokens))))
    }
}
