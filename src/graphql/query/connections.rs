//! Queries for connections.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};

use crate::{
    domain::{
        id::ConnectionId,
        list::Order,
        page::{ListKind, Page, PageArgs},
        problem::At,
    },
    graphql::{
        context::ContextExt,
        error::{bad_argument, bad_id, query_error},
        inline::Inline,
        lists::{ConnectionConnection, Counted, List},
        types::{
            connection::ConnectionNode,
            filter::{ConnectionFilterInput, Within},
        },
    },
};

/// The queries for connections.
#[derive(Default)]
pub struct ConnectionQuery;

#[Object]
impl ConnectionQuery {
    /// The connection with this id; null when there is none.
    async fn connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, connection_….")] id: ID,
    ) -> Option<Result<Inline<ConnectionNode>>> {
        let find = async || {
            let id = ConnectionId::parse(&id, &At::Root.field("id")).map_err(bad_id)?;
            Ok(ctx.look_up_one(id).await?.map(ConnectionNode).map(Inline))
        };
        find().await.transpose()
    }

    /// Connections, oldest first.
    #[allow(clippy::too_many_arguments, reason = "the arguments that Relay specifies")]
    async fn connections(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<ConnectionFilterInput>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<ConnectionConnection>> {
        connection_list(ctx, filter, Within::All, PageArgs { first, after, last, before }).await
    }
}

/// A list of connections, of a tenant or of all.
pub async fn connection_list(
    ctx: &Context<'_>,
    filter: Option<ConnectionFilterInput>,
    within: Within,
    args: PageArgs,
) -> Result<Inline<ConnectionConnection>> {
    let page = Page::parse(&args, ListKind::Connections, Order::OLDEST).map_err(bad_argument)?;
    let filter = filter.unwrap_or_default().parse(within).map_err(bad_argument)?;
    let slice = ctx.services().connections(ctx.caller(), &filter, &page).await.map_err(query_error)?;
    let slice =
        slice.map(|rows| rows.into_iter().map(|connection| ConnectionNode(Arc::new(connection))).collect());
    Ok(Inline(ConnectionConnection(List::new(slice, &page, Counted::Connections(filter)))))
}
