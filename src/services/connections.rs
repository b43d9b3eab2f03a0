//! Connections.

use std::{collections::HashMap, sync::Arc};

use super::{Error, Services, by_id, in_chunks, not_found};
use crate::{
    domain::{
        connection::{Connection, ConnectionDraft, ConnectionPatch, NewConnection},
        id::ConnectionId,
        list::ConnectionFilter,
        page::{Page, Slice},
        problem::{At, Problem, ProblemCode},
    },
    store::{Written, connections},
};

impl Services {
    /// The connections with these ids.
    pub async fn connections_by_id(
        &self,
        ids: &[ConnectionId],
    ) -> Result<HashMap<ConnectionId, Arc<Connection>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(ids, async |ids| connections::by_ids(db, &ids).await).await?;
        Ok(by_id(found, |connection| connection.id))
    }

    /// A page of the connections that the filter lets through.
    pub async fn connections(
        &self,
        filter: &ConnectionFilter,
        page: &Page,
    ) -> Result<Slice<Connection>, Error> {
        Ok(page.cut(connections::page(self.store.reader(), filter, page).await?))
    }

    /// How many connections the filter lets through.
    pub async fn connection_count(&self, filter: &ConnectionFilter) -> Result<u64, Error> {
        Ok(connections::count(self.store.reader(), filter).await?)
    }

    /// Makes a connection.
    pub async fn create_connection(&self, draft: ConnectionDraft) -> Result<Connection, Error> {
        let NewConnection { tenant_id, name, provider, config, max_concurrent_jobs } =
            NewConnection::parse(draft)?;
        let now = self.now();
        let connection = Connection {
            id: ConnectionId::new(now),
            tenant_id,
            name,
            provider,
            config,
            max_concurrent_jobs,
            archived_at: None,
            created_at: now,
            updated_at: now,
        };
        let transaction = self.store.write().await?;
        match connections::insert(transaction.db(), &connection).await? {
            Written::Done => transaction.commit().await?,
            Written::Duplicate => return Err(name_taken(&connection).into()),
            Written::Reference => {
                let at = At::Root.field("tenant_id");
                return Err(at.problem(ProblemCode::NotFound, "there is no tenant with this id").into());
            }
        }
        Ok(connection)
    }

    /// Changes a connection.
    pub async fn update_connection(
        &self,
        id: ConnectionId,
        patch: ConnectionPatch,
    ) -> Result<Connection, Error> {
        self.change_connection(id, |connection| patch.apply(connection)).await
    }

    /// Takes a connection out of use: no new batch can name it; those that do go on. One that is
    /// archived already stays as it is.
    pub async fn archive_connection(&self, id: ConnectionId) -> Result<Connection, Error> {
        let now = self.now();
        let archive = |connection: Connection| {
            Ok(Connection { archived_at: connection.archived_at.or(Some(now)), ..connection })
        };
        self.change_connection(id, archive).await
    }

    async fn change_connection(
        &self,
        id: ConnectionId,
        change: impl FnOnce(Connection) -> Result<Connection, Vec<Problem>>,
    ) -> Result<Connection, Error> {
        let transaction = self.store.write().await?;
        let old = connections::lock(transaction.db(), id).await?.ok_or_else(|| not_found("connection"))?;
        let new = change(old.clone())?;
        if new == old {
            return Ok(old);
        }
        let new = Connection { updated_at: self.now(), ..new };
        match connections::update(transaction.db(), &new).await? {
            Written::Done => transaction.commit().await?,
            Written::Duplicate | Written::Reference => return Err(name_taken(&new).into()),
        }
        Ok(new)
    }

    /// Removes a connection that nothing uses, and says what it was.
    pub async fn delete_connection(&self, id: ConnectionId) -> Result<Connection, Error> {
        let transaction = self.store.write().await?;
        let connection =
            connections::lock(transaction.db(), id).await?.ok_or_else(|| not_found("connection"))?;
        match connections::delete(transaction.db(), id).await? {
            Written::Done => transaction.commit().await?,
            Written::Duplicate | Written::Reference => {
                let message = "a batch uses this connection; delete its batches first, or archive it instead";
                return Err(At::Root.field("id").problem(ProblemCode::InUse, message).into());
            }
        }
        Ok(connection)
    }
}

fn name_taken(connection: &Connection) -> Problem {
    let message = format!("this tenant already has a connection named {:?}", &*connection.name);
    At::Root.field("name").problem(ProblemCode::NameTaken, message)
}
