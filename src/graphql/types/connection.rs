//! Connections.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result, types::Json as AnyJson};

use super::{
    filter::{BatchFilterInput, BatchOrder, Within},
    tenant::TenantNode,
};
use crate::{
    domain::{connection::Connection, id::ConnectionId, page::PageArgs, tenant::Concurrency},
    graphql::{
        context::ContextExt,
        error::gone,
        inline::{Asked, AtHand, Inline, Write},
        json::Json,
        lists::BatchConnection,
        query::batch_list,
        scalar::DateTime,
    },
};

/// The GraphQL type `Connection`.
#[derive(Clone)]
pub struct ConnectionNode(pub Arc<Connection>);

/// A connection that was not fetched along with what uses it.
pub async fn load_connection(ctx: &Context<'_>, id: ConnectionId) -> Result<ConnectionNode> {
    ctx.load(id).await?.map(ConnectionNode).ok_or_else(|| gone("connection"))
}

/// The configured access to one source or destination system.
#[Object(name = "Connection")]
impl ConnectionNode {
    /// Its id.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The tenant it belongs to.
    async fn tenant(&self, ctx: &Context<'_>) -> Result<Inline<TenantNode>> {
        ctx.load(self.0.tenant_id).await?.map(TenantNode).map(Inline).ok_or_else(|| gone("tenant"))
    }

    /// Its name, unique in its tenant.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The kind of system it leads to, `postgres` for instance. Workers say which they can serve.
    async fn provider(&self) -> &str {
        &self.0.provider
    }

    /// How to reach the system and what to do there: a JSON object, nothing secret.
    async fn config(&self) -> AnyJson<serde_json::Value> {
        AnyJson(self.0.config.clone().into_value())
    }

    /// Whether it has credentials. They go in and never come out of a query.
    async fn has_credentials(&self) -> bool {
        self.0.credentials.is_some()
    }

    /// When its credentials were last changed; null where it has none.
    async fn credentials_updated_at(&self) -> Option<DateTime> {
        self.0.credentials.as_ref().map(|mark| DateTime(mark.updated_at))
    }

    /// Tells its credentials from others that it had, or will have: 32 hexadecimal digits that say nothing
    /// about them. It is another one after the server's key was rotated. Null where it has none.
    async fn credentials_fingerprint(&self) -> Option<String> {
        self.0.credentials.as_ref().map(|mark| mark.fingerprint.to_string())
    }

    /// How many jobs may use it at once; null: no limit.
    async fn max_concurrent_jobs(&self) -> Option<i32> {
        self.0.max_concurrent_jobs.map(|limit| limit.jobs())
    }

    /// When it was archived; an archived connection takes no new batches.
    async fn archived_at(&self) -> Option<DateTime> {
        self.0.archived_at.map(DateTime)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }

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

impl AtHand for ConnectionNode {
    type View<'a> = &'a Connection;

    fn view(&self) -> &Connection {
        &self.0
    }

    fn field(asked: &Asked<'_>) -> Option<Write<Self>> {
        Some(match asked.name() {
            "id" => Self::value(|connection, json| json.id(connection.id)),
            "name" => Self::value(|connection, json| json.put(&*connection.name)),
            "provider" => Self::value(|connection, json| json.put(&*connection.provider)),
            "config" => Self::value(|connection, json| json.put(connection.config.fields())),
            "hasCredentials" => Self::value(|connection, json| json.put(&connection.credentials.is_some())),
            "credentialsUpdatedAt" => Self::value(|connection, json| {
                json.nullable(connection.credentials.as_ref().map(|mark| mark.updated_at), Json::time)
            }),
            "credentialsFingerprint" => Self::value(|connection, json| {
                json.put(&connection.credentials.as_ref().map(|mark| mark.fingerprint.to_string()))
            }),
            "maxConcurrentJobs" => Self::value(|connection, json| {
                json.put(&connection.max_concurrent_jobs.map(Concurrency::jobs))
            }),
            "archivedAt" => Self::value(|connection, json| json.nullable(connection.archived_at, Json::time)),
            "createdAt" => Self::value(|connection, json| json.time(connection.created_at)),
            "updatedAt" => Self::value(|connection, json| json.time(connection.updated_at)),
            _ => return None,
        })
    }
}
