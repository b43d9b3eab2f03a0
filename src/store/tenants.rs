//! Tenants.

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait},
};

use super::{
    Error, Written,
    keys::{is_any_of, seen_in},
    keyset::{self, SortColumns},
};
use crate::{
    domain::{
        access::Scope,
        id::{ConnectionId, TenantId},
        page::Page,
        tenant::{Concurrency, Tenant},
        text::Text,
    },
    entity::{
        connection,
        tenant::{ActiveModel, Column, Entity, Model},
    },
};

/// The tenants with these ids, in no order.
pub async fn by_ids(db: &impl ConnectionTrait, scope: Scope, ids: &[TenantId]) -> Result<Vec<Tenant>, Error> {
    let rows = seen(scope).filter(is_any_of(Column::Id, ids)).all(db).await?;
    rows.into_iter().map(Tenant::try_from).collect()
}

/// The tenant with this name.
pub async fn by_name(db: &impl ConnectionTrait, scope: Scope, name: &str) -> Result<Option<Tenant>, Error> {
    let row = seen(scope).filter(Column::Name.eq(name)).one(db).await?;
    row.map(Tenant::try_from).transpose()
}

/// The tenant with this id, locked until the transaction ends.
pub async fn lock(db: &impl ConnectionTrait, scope: Scope, id: TenantId) -> Result<Option<Tenant>, Error> {
    let row = seen(scope).filter(Column::Id.eq(id.uuid())).lock_exclusive().one(db).await?;
    row.map(Tenant::try_from).transpose()
}

/// The rows of a page, in the order in which it is walked.
pub async fn page(db: &impl ConnectionTrait, scope: Scope, page: &Page) -> Result<Vec<Tenant>, Error> {
    let columns = SortColumns { field: None, id: Column::Id };
    let rows = keyset::cut(seen(scope), page, columns).all(db).await?;
    rows.into_iter().map(Tenant::try_from).collect()
}

/// How many tenants there are.
pub async fn count(db: &impl ConnectionTrait, scope: Scope) -> Result<u64, Error> {
    Ok(seen(scope).count(db).await?)
}

fn seen(scope: Scope) -> Select<Entity> {
    Entity::find().filter(seen_in(scope, Column::Id))
}

/// Adds a tenant; `Duplicate` when its name is taken.
pub async fn insert(db: &impl ConnectionTrait, tenant: &Tenant) -> Result<Written, Error> {
    Written::from(Entity::insert(row(tenant)).exec_without_returning(db).await)
}

/// Writes what has changed of a tenant; `Duplicate` when its name is taken.
pub async fn update(db: &impl ConnectionTrait, tenant: &Tenant) -> Result<Written, Error> {
    Written::from(row(tenant).update(db).await)
}

/// Removes a tenant; `Reference` when something still belongs to it.
pub async fn delete(db: &impl ConnectionTrait, id: TenantId) -> Result<Written, Error> {
    Written::from(Entity::delete_by_id(id.uuid()).exec(db).await)
}

fn row(tenant: &Tenant) -> ActiveModel {
    ActiveModel {
        id: Set(tenant.id.uuid()),
        name: Set(tenant.name.to_string()),
        max_concurrent_jobs: Set(tenant.max_concurrent_jobs.map(Concurrency::jobs)),
        created_at: Set(tenant.created_at),
        updated_at: Set(tenant.updated_at),
        connection_changes: NotSet,
    }
}

/// Counts that a connection of a tenant has changed. Belongs into the transaction that changes it: whoever sees the same
/// count again, sees the same connections.
pub(super) async fn count_change(db: &impl ConnectionTrait, connection: ConnectionId) -> Result<(), Error> {
    let tenant = connection::Entity::find()
        .select_only()
        .column(connection::Column::TenantId)
        .filter(connection::Column::Id.eq(connection.uuid()))
        .into_query();
    let update = Entity::update_many()
        .col_expr(Column::ConnectionChanges, Expr::col(Column::ConnectionChanges).add(1))
        .filter(Column::Id.in_subquery(tenant));
    update.exec(db).await?;
    Ok(())
}

/// A limit as it was stored; `Err(())` when it is out of range.
pub(super) fn concurrency(jobs: Option<i32>) -> Result<Option<Concurrency>, ()> {
    jobs.map(|jobs| Concurrency::stored(jobs).ok_or(())).transpose()
}

impl TryFrom<Model> for Tenant {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let corrupt = |column| Error::Corrupt { table: "tenants", column, id: row.id };
        Ok(Self {
            id: TenantId::from_uuid(row.id),
            max_concurrent_jobs: concurrency(row.max_concurrent_jobs)
                .map_err(|()| corrupt("max_concurrent_jobs"))?,
            name: Text::stored(row.name),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
