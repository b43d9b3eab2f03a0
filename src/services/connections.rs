//! Connections.

use std::{collections::HashMap, sync::Arc};

use super::{Error, Services, by_id, in_chunks, not_found};
use crate::{
    domain::{
        access::{Caller, Scope},
        connection::{Changed, Connection, ConnectionDraft, ConnectionPatch, NewConnection},
        id::ConnectionId,
        list::ConnectionFilter,
        page::{Page, Slice},
        problem::{At, Problem, ProblemCode},
        tenant::no_tenant,
    },
    store::{
        Written,
        connections::{self, CredentialsWrite},
    },
};

impl Services {
    /// The connections with these ids, as far as the scope contains them.
    pub async fn connections_by_id(
        &self,
        scope: Scope,
        ids: &[ConnectionId],
    ) -> Result<HashMap<ConnectionId, Arc<Connection>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(ids, async |ids| connections::by_ids(db, scope, &ids).await).await?;
        Ok(by_id(found, |connection| connection.id))
    }

    /// A page of the connections that the filter lets through.
    pub async fn connections(
        &self,
        caller: &Caller,
        filter: &ConnectionFilter,
        page: &Page,
    ) -> Result<Slice<Connection>, Error> {
        let scope = caller.may_read()?;
        Ok(page.cut(connections::page(self.store.reader(), scope, filter, page).await?))
    }

    /// How many connections the filter lets through.
    pub async fn connection_count(&self, caller: &Caller, filter: &ConnectionFilter) -> Result<u64, Error> {
        let scope = caller.may_read()?;
        Ok(connections::count(self.store.reader(), scope, filter).await?)
    }

    /// Makes a connection.
    pub async fn create_connection(
        &self,
        caller: &Caller,
        draft: ConnectionDraft,
    ) -> Result<Connection, Error> {
        let scope = caller.may_administer()?;
        let NewConnection { tenant_id, name, provider, config, credentials, max_concurrent_jobs } =
            NewConnection::parse(draft, scope.home())?;
        if !scope.contains(tenant_id) {
            return Err(no_tenant(&At::Root.field("tenant_id")).into());
        }
        let now = self.now();
        let id = ConnectionId::new(now);
        let (mark, sealed) = self.seal(id, None, credentials.as_ref())?;
        let connection = Connection {
            id,
            tenant_id,
            name,
            provider,
            config,
            max_concurrent_jobs,
            credentials: mark,
            archived_at: None,
            created_at: now,
            updated_at: now,
        };
        let transaction = self.store.write().await?;
        match connections::insert(transaction.db(), &connection, &sealed).await? {
            Written::Done => transaction.commit().await?,
            Written::Duplicate => return Err(name_taken(&connection).into()),
            Written::Reference => return Err(no_tenant(&At::Root.field("tenant_id")).into()),
        }
        Ok(connection)
    }

    /// Changes a connection.
    pub async fn update_connection(
        &self,
        caller: &Caller,
        id: ConnectionId,
        patch: ConnectionPatch,
    ) -> Result<Connection, Error> {
        self.change_connection(caller, id, |connection| patch.apply(connection)).await
    }

    /// Takes a connection out of use: no new batch can name it; those that do go on. One that is
    /// archived already stays as it is.
    pub async fn archive_connection(&self, caller: &Caller, id: ConnectionId) -> Result<Connection, Error> {
        let now = self.now();
        let archive = |connection: Connection| {
            let connection = Connection { archived_at: connection.archived_at.or(Some(now)), ..connection };
            Ok(Changed { connection, credentials: None })
        };
        self.change_connection(caller, id, archive).await
    }

    async fn change_connection(
        &self,
        caller: &Caller,
        id: ConnectionId,
        change: impl FnOnce(Connection) -> Result<Changed, Vec<Problem>>,
    ) -> Result<Connection, Error> {
        let scope = caller.may_administer()?;
        let transaction = self.store.write().await?;
        let old =
            connections::lock(transaction.db(), scope, id).await?.ok_or_else(|| not_found("connection"))?;
        let Changed { connection: new, credentials } = change(old.clone())?;
        let (mark, sealed) = match credentials {
            None => (old.credentials.clone(), CredentialsWrite::Keep),
            Some(credentials) => self.seal(id, old.credentials.as_ref(), credentials.as_ref())?,
        };
        let new = Connection { credentials: mark, ..new };
        if new == old {
            return Ok(old);
        }
        let new = Connection { updated_at: self.now(), ..new };
        match connections::update(transaction.db(), &new, &sealed).await? {
            Written::Done => transaction.commit().await?,
            Written::Duplicate | Written::Reference => return Err(name_taken(&new).into()),
        }
        Ok(new)
    }

    /// Removes a connection that nothing uses, and says what it was.
    pub async fn delete_connection(&self, caller: &Caller, id: ConnectionId) -> Result<Connection, Error> {
        let scope = caller.may_administer()?;
        let transaction = self.store.write().await?;
        let connection =
            connections::lock(transaction.db(), scope, id).await?.ok_or_else(|| not_found("connection"))?;
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
