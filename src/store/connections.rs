//! Connections.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait,
    QueryFilter, QuerySelect, QueryTrait, sea_query::UnionType, sqlx::types::Json,
};

use super::{
    Db, Error, Written,
    columns::{self, ColumnList, Columns, SelectColumns, read_all},
    keys::{is_any_of, seen_in},
    keyset::{self, SortColumns},
    tenants::{self, concurrency},
};
use crate::{
    domain::{
        access::Scope,
        connection::{Config, Connection},
        credentials::{CredentialsMark, Fingerprint},
        id::{BatchId, ConnectionId, TenantId},
        keyring::Sealed,
        list::{Archived, ConnectionFilter},
        page::Page,
        tenant::Concurrency,
        text::Text,
    },
    entity::{
        batch,
        connection::{ActiveModel, Column, Entity},
        job,
    },
};

/// The columns of which a [`Connection`] is made, in the order in which [`connection`] reads them. What opens
/// its system is not among them.
const COLUMNS: [Column; 11] = [
    Column::Id,
    Column::TenantId,
    Column::Name,
    Column::Provider,
    Column::Config,
    Column::MaxConcurrentJobs,
    Column::ArchivedAt,
    Column::CreatedAt,
    Column::UpdatedAt,
    Column::CredentialsFingerprint,
    Column::CredentialsUpdatedAt,
];

/// The connections with these ids, in no order.
pub async fn by_ids(db: &impl Db, scope: Scope, ids: &[ConnectionId]) -> Result<Vec<Connection>, Error> {
    read_all(db, &seen(scope).filter(is_any_of(Column::Id, ids)).into_query(), connection).await
}

/// Whose connections are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// The batches' own: source and destination.
    Batches,
    /// Those, and the ones that their jobs use.
    BatchesAndJobs,
}

/// The connections that these batches use, in no order.
pub async fn of_batches(
    db: &impl Db,
    scope: Scope,
    batches: &[BatchId],
    users: Users,
) -> Result<Vec<Connection>, Error> {
    let of_batches = |column| {
        let select = batch::Entity::find().select_only().column(column);
        select.filter(is_any_of(batch::Column::Id, batches)).into_query()
    };
    let mut used = of_batches(batch::Column::SourceConnectionId);
    used.union(UnionType::Distinct, of_batches(batch::Column::DestinationConnectionId));
    match users {
        Users::Batches => {}
        Users::BatchesAndJobs => {
            let select = job::Entity::find().select_only().column(job::Column::ConnectionId);
            let of_jobs = select.filter(is_any_of(job::Column::BatchId, batches)).into_query();
            used.union(UnionType::Distinct, of_jobs);
        }
    }
    // One set of ids, and not three conditions with OR between them: those would be tried on every
    // connection that there is.
    read_all(db, &seen(scope).filter(Column::Id.in_subquery(used)).into_query(), connection).await
}

/// The connection with this id, locked until the transaction ends.
pub async fn lock(db: &impl Db, scope: Scope, id: ConnectionId) -> Result<Option<Connection>, Error> {
    let select = seen(scope).filter(Column::Id.eq(id.uuid())).lock_exclusive().into_query();
    Ok(read_all(db, &select, connection).await?.pop())
}

/// The rows of a page, in the order in which it is walked.
pub async fn page(
    db: &impl Db,
    scope: Scope,
    filter: &ConnectionFilter,
    page: &Page,
) -> Result<Vec<Connection>, Error> {
    let columns = SortColumns { field: None, id: Column::Id };
    let select = keyset::cut(seen(scope).filter(matching(filter)), page, columns);
    read_all(db, &select.into_query(), connection).await
}

/// How many connections the filter lets through.
pub async fn count(db: &impl ConnectionTrait, scope: Scope, filter: &ConnectionFilter) -> Result<u64, Error> {
    let there = Entity::find().select_only().column(Column::Id).filter(seen_in(scope, Column::TenantId));
    Ok(there.filter(matching(filter)).count(db).await?)
}

fn seen(scope: Scope) -> SelectColumns {
    static LIST: ColumnList = ColumnList::new(|| columns::list(COLUMNS));
    SelectColumns::of(Entity, &LIST).filter(seen_in(scope, Column::TenantId))
}

fn matching(filter: &ConnectionFilter) -> Condition {
    let ConnectionFilter { tenant_id, provider, name, archived } = filter;
    let archived = archived.map(|archived| match archived {
        Archived::Yes => Column::ArchivedAt.is_not_null(),
        Archived::No => Column::ArchivedAt.is_null(),
    });
    Condition::all()
        .add_option(tenant_id.map(|tenant| Column::TenantId.eq(tenant.uuid())))
        .add_option(provider.as_deref().map(|provider| Column::Provider.eq(provider)))
        .add_option(name.as_deref().map(|name| Column::Name.eq(name)))
        .add_option(archived)
}

/// What is to be written of a connection's credentials.
#[derive(Debug)]
pub enum CredentialsWrite {
    /// Nothing: they stay as they are.
    Keep,
    /// That there are none.
    Remove,
    /// These.
    Put(Sealed),
}

/// Adds a connection; `Duplicate` when its name is taken, `Reference` when its tenant is missing.
pub async fn insert(
    db: &impl ConnectionTrait,
    connection: &Connection,
    credentials: &CredentialsWrite,
) -> Result<Written, Error> {
    Written::from(Entity::insert(row(connection, credentials)).exec_without_returning(db).await)
}

/// Writes what has changed of a connection; `Duplicate` when its name is taken.
pub async fn update(
    db: &impl ConnectionTrait,
    connection: &Connection,
    credentials: &CredentialsWrite,
) -> Result<Written, Error> {
    tenants::count_change(db, connection.id).await?;
    Written::from(row(connection, credentials).update(db).await)
}

/// Removes a connection; `Reference` when a batch or a job uses it.
pub async fn delete(db: &impl ConnectionTrait, id: ConnectionId) -> Result<Written, Error> {
    Written::from(Entity::delete_by_id(id.uuid()).exec(db).await)
}

fn row(connection: &Connection, credentials: &CredentialsWrite) -> ActiveModel {
    let mut row = ActiveModel {
        id: Set(connection.id.uuid()),
        tenant_id: Set(connection.tenant_id.uuid()),
        name: Set(connection.name.to_string()),
        provider: Set(connection.provider.to_string()),
        config: Set(connection.config.clone().into_value()),
        max_concurrent_jobs: Set(connection.max_concurrent_jobs.map(Concurrency::jobs)),
        archived_at: Set(connection.archived_at),
        created_at: Set(connection.created_at),
        updated_at: Set(connection.updated_at),
        ..<ActiveModel as Default>::default()
    };
    let sealed = match credentials {
        CredentialsWrite::Keep => return row,
        CredentialsWrite::Remove => None,
        CredentialsWrite::Put(sealed) => Some(sealed),
    };
    row.credentials = Set(sealed.map(|sealed| sealed.envelope.clone()));
    row.credentials_key = Set(sealed.map(|sealed| sealed.key.to_string()));
    row.credentials_fingerprint = Set(sealed.map(|sealed| sealed.fingerprint.bytes().to_vec()));
    row.credentials_updated_at = Set(connection.credentials.as_ref().map(|mark| mark.updated_at));
    row
}

/// A connection, from its [`COLUMNS`].
fn connection(columns: &mut Columns<'_>) -> Result<Connection, Error> {
    let id = columns.next()?;
    let corrupt = |column| Error::Corrupt { table: "connections", column, id };
    Ok(Connection {
        id: ConnectionId::from_uuid(id),
        tenant_id: TenantId::from_uuid(columns.next()?),
        name: Text::stored(columns.next()?),
        provider: Text::stored(columns.next()?),
        config: columns
            .next()
            .map(|Json(config)| Config::stored(config))?
            .ok_or_else(|| corrupt("config"))?,
        max_concurrent_jobs: concurrency(columns.next()?).map_err(|()| corrupt("max_concurrent_jobs"))?,
        archived_at: columns.next()?,
        created_at: columns.next()?,
        updated_at: columns.next()?,
        credentials: match (columns.next()?, columns.next()?) {
            (None, None) => None,
            (Some(fingerprint), Some(updated_at)) => {
                Some(CredentialsMark { fingerprint: Fingerprint::new(fingerprint), updated_at })
            }
            (Some(_), None) | (None, Some(_)) => return Err(corrupt("credentials_fingerprint")),
        },
    })
}
