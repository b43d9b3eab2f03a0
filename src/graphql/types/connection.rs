//! Connections.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use super::{
    filter::{BatchFilterInput, BatchOrder, Within},
    tenant::TenantNode,
};
use crate::{
    domain::{connection::Connection, id::ConnectionId, page::PageArgs, tenant::Concurrency},
    graphql::{
        context::ContextExt,
        error::gone,
        fields::fields,
        inline::{Inline, viewed},
        leaf::JsonObject,
        lists::BatchConnection,
        query::batch_list,
        scalar::DateTime,
    },
};

/// The GraphQL type `Connection`.
#[derive(Clone)]
pub struct ConnectionNode(pub Arc<Connection>);

viewed!(ConnectionNode(Arc<Connection>));

/// A connection that was not fetched along with what uses it.
pub async fn load_connection(ctx: &Context<'_>, id: ConnectionId) -> Result<ConnectionNode> {
    ctx.load(id).await?.map(ConnectionNode).ok_or_else(|| gone("connection"))
}

fields! {
    /// The configured access to one source or destination system.
    #[Object(name = "Connection")]
    ConnectionNode |connection|;

    /// Its id.
    value id: ConnectionId = connection.id;

    /// The tenant it belongs to.
    async fn tenant(&self, ctx: &Context<'_>) -> Result<Inline<TenantNode>> {
        ctx.load(self.0.tenant_id).await?.map(TenantNode).map(Inline).ok_or_else(|| gone("tenant"))
    }

    /// Its name, unique in its tenant.
    value name: &str = &connection.name;

    /// The kind of system it leads to, `postgres` for instance. Workers say which they can serve.
    value provider: &str = &connection.provider;

    /// How to reach the system and what to do there: a JSON object, nothing secret.
    value config: JsonObject<'_> = JsonObject(connection.config.fields());

    /// Whether it has credentials. They go in and never come out of a query.
    value has_credentials: bool = connection.credentials.is_some();

    /// When its credentials were last changed; null where it has none.
    value credentials_updated_at: Option<DateTime> =
        connection.credentials.as_ref().map(|mark| DateTime(mark.updated_at));

    /// Tells its credentials from others that it had, or will have: 32 hexadecimal digits that say nothing
    /// about them. It is another one after the server's key was rotated. Null where it has none.
    value credentials_fingerprint: Option<String> =
        connection.credentials.as_ref().map(|mark| mark.fingerprint.to_string());

    /// How many jobs may use it at once; null: no limit.
    value max_concurrent_jobs: Option<i32> = connection.max_concurrent_jobs.map(Concurrency::jobs);

    /// When it was archived; an archived connection takes no new batches.
    value archived_at: Option<DateTime> = connection.archived_at.map(DateTime);

    /// When it was made.
    value created_at: DateTime = DateTime(connection.created_at);

    /// When it was last changed.
    value updated_at: DateTime = DateTime(connection.updated_at);

    /// The batches that have it as their source or their destination, newest first unless another
    /// order is asked for.
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
        let args = PageArgs { first, after, last, before };
        batch_list(ctx, filter, Within::Connection(self.0.id), order_by, args).await
    }
}
