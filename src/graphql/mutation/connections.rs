//! Mutations of connections.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Json, MaybeUndefined, Object, Result};
use serde_json::Value;

use super::payload;
use crate::{
    domain::{
        connection::{Connection, ConnectionDraft, ConnectionPatch},
        credentials::CredentialsDraft,
        id::ConnectionId,
        problem::At,
    },
    graphql::{context::ContextExt, types::connection::ConnectionNode},
    services,
};

/// What a new connection is to be.
#[derive(InputObject)]
struct CreateConnectionInput {
    /// The tenant it shall belong to; left out: the default tenant.
    tenant_id: Option<ID>,
    /// Its name, unique in its tenant; at most 255 characters.
    name: String,
    /// The kind of system it leads to, `postgres` for instance; at most 100 characters.
    provider: String,
    /// How to reach the system and what to do there: a JSON object of at most 64 KiB, nothing
    /// secret; left out: empty.
    config: Option<Json<Value>>,
    /// What opens the system, a password for instance: a JSON object of at most 64 KiB. It is kept sealed and
    /// never shown again, but to the workers that claim jobs with this connection.
    credentials: Option<Json<Value>>,
    /// How many jobs may use it at once, from 1 on; left out: no limit.
    max_concurrent_jobs: Option<i32>,
}

/// What of a connection shall change. What is left out stays as it is; tenant and provider are for
/// good.
#[derive(InputObject)]
struct UpdateConnectionInput {
    /// Which connection.
    id: ID,
    /// A new name.
    name: Option<String>,
    /// A new config, in place of the whole old one.
    config: Option<Json<Value>>,
    /// New credentials, in place of the whole old ones; null removes them.
    credentials: MaybeUndefined<Json<Value>>,
    /// A new limit; null removes it.
    max_concurrent_jobs: MaybeUndefined<i32>,
}

/// Which connection shall be taken out of use.
#[derive(InputObject)]
struct ArchiveConnectionInput {
    /// Which connection.
    id: ID,
}

/// Which connection shall be removed.
#[derive(InputObject)]
struct DeleteConnectionInput {
    /// Which connection. No batch and no job may use it.
    id: ID,
}

payload!(CreateConnectionPayload, connection: ConnectionNode, "The new connection");
payload!(UpdateConnectionPayload, connection: ConnectionNode, "The changed connection");
payload!(ArchiveConnectionPayload, connection: ConnectionNode, "The archived connection");
payload!(DeleteConnectionPayload, connection: ConnectionNode, "The connection as it was");

/// The mutations of connections.
#[derive(Default)]
pub struct ConnectionMutation;

#[Object]
impl ConnectionMutation {
    /// Makes a connection.
    async fn create_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is to be.")] input: CreateConnectionInput,
    ) -> Result<CreateConnectionPayload> {
        let CreateConnectionInput { tenant_id, name, provider, config, credentials, max_concurrent_jobs } =
            input;
        let tenant_id = tenant_id.map(|id| id.0);
        let config = config.map(|Json(config)| config);
        let credentials = credentials.map(|Json(credentials)| CredentialsDraft(credentials));
        let draft = ConnectionDraft { tenant_id, name, provider, config, credentials, max_concurrent_jobs };
        CreateConnectionPayload::new(ctx.services().create_connection(ctx.caller(), draft).await, node)
    }

    /// Changes a connection.
    async fn update_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What shall change.")] input: UpdateConnectionInput,
    ) -> Result<UpdateConnectionPayload> {
        let UpdateConnectionInput { id, name, config, credentials, max_concurrent_jobs } = input;
        let config = config.map(|Json(config)| config);
        let max_concurrent_jobs = max_concurrent_jobs.as_opt_ref().map(Option::<&i32>::copied);
        let credentials = match credentials {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(Json(credentials)) => Some(Some(CredentialsDraft(credentials))),
        };
        let patch = ConnectionPatch { name, config, credentials, max_concurrent_jobs };
        let changed = async { ctx.services().update_connection(ctx.caller(), parse(&id)?, patch).await };
        UpdateConnectionPayload::new(changed.await, node)
    }

    /// Takes a connection out of use: no new batch can name it, those that do go on. One that is
    /// archived already stays as it is.
    async fn archive_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which connection.")] input: ArchiveConnectionInput,
    ) -> Result<ArchiveConnectionPayload> {
        let archived = async { ctx.services().archive_connection(ctx.caller(), parse(&input.id)?).await };
        ArchiveConnectionPayload::new(archived.await, node)
    }

    /// Removes a connection that no batch and no job uses. A schedule whose template names it fails to fire then, and says so.
    async fn delete_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which connection.")] input: DeleteConnectionInput,
    ) -> Result<DeleteConnectionPayload> {
        let removed = async { ctx.services().delete_connection(ctx.caller(), parse(&input.id)?).await };
        DeleteConnectionPayload::new(removed.await, node)
    }
}

fn node(connection: Connection) -> ConnectionNode {
    ConnectionNode(Arc::new(connection))
}

fn parse(id: &ID) -> Result<ConnectionId, services::Error> {
    Ok(ConnectionId::parse(id, &At::Root.field("id"))?)
}
