//! Batches, without their jobs.

use std::collections::HashSet;

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, JoinType, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, RelationDef,
    prelude::DateTimeUtc,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{
    Db, Error, Guarded, Written,
    columns::{self, ColumnList, Columns, SelectColumns, read_all, search},
    keys::{is_any_of, seen_in},
    keyset::{self, SortColumns},
    ready,
};
use crate::{
    domain::{
        access::Scope,
        batch::{Batch, BatchState, BatchStatus, FailurePolicy, Origin, Trigger, Watermarks},
        event::EventKind,
        id::{BackfillId, BatchId, ConnectionId, ScheduleId, TenantId},
        list::{BatchFilter, SortField},
        page::Page,
        since::{Since, Window},
        text::IdempotencyKey,
    },
    entity::{
        batch::{ActiveModel, Column, Entity},
        event, tenant,
    },
};

/// What a repeated request is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// What the client sent to make it known.
    pub key: IdempotencyKey,
    /// The SHA-256 of what was asked for under that key.
    pub request_hash: Vec<u8>,
}

/// The columns of which a [`Batch`] is made, in the order in which [`batch`] reads them.
const COLUMNS: [Column; 22] = [
    Column::Id,
    Column::TenantId,
    Column::SourceConnectionId,
    Column::DestinationConnectionId,
    Column::Since,
    Column::UpdatedSince,
    Column::Priority,
    Column::FailurePolicy,
    Column::Status,
    Column::Version,
    Column::Revision,
    Column::CreatedAt,
    Column::StartedAt,
    Column::FinishedAt,
    Column::UpdatedAt,
    Column::Unfinished,
    Column::Unsuccessful,
    Column::Trigger,
    Column::ScheduleId,
    Column::MovesWatermarks,
    Column::BackfillId,
    Column::Until,
];

/// The batches of a schedule's firings that have not ended, said as the index has it. A backfill keeps no firing
/// from going on.
pub(super) const ACTIVE: &str =
    "schedule_id IS NOT NULL AND backfill_id IS NULL AND status IN ('pending', 'running', 'canceling')";

/// Selects what [`batch`] reads. A batch that is removed is not there, though it may still have rows.
pub(super) fn select() -> SelectColumns {
    static LIST: ColumnList = ColumnList::new(|| columns::list(COLUMNS));
    SelectColumns::of(Entity, &LIST).filter(Column::RemovedAt.is_null())
}

/// Selects what [`batch`] reads, of what the scope contains.
pub(super) fn seen(scope: Scope) -> SelectColumns {
    select().filter(seen_in(scope, Column::TenantId))
}

/// The batches with these ids, in no order.
pub async fn by_ids(db: &impl Db, scope: Scope, ids: &[BatchId]) -> Result<Vec<Batch>, Error> {
    read_all(db, &seen(scope).filter(is_any_of(Column::Id, ids)).into_query(), batch).await
}

/// Those of these batches that are being canceled, each with the time at which that was asked for, UTC.
pub async fn canceling_since(
    db: &impl ConnectionTrait,
    scope: Scope,
    ids: &[BatchId],
) -> Result<Vec<(BatchId, DateTimeUtc)>, Error> {
    let canceled_at = event::Entity::find()
        .select_only()
        .column(event::Column::At)
        .filter(Expr::col((event::Entity, event::Column::BatchId)).equals((Entity, Column::Id)))
        .filter(event::Column::Kind.eq(EventKind::BatchCanceling.name()))
        .order_by_desc(event::Column::Xact)
        .order_by_desc(event::Column::Id)
        .limit(1)
        .into_query();
    let rows: Vec<(Uuid, Option<DateTimeUtc>)> = Entity::find()
        .select_only()
        .column(Column::Id)
        .expr_as(canceled_at, "canceled_at")
        .filter(is_any_of(Column::Id, ids))
        .filter(seen_in(scope, Column::TenantId))
        .filter(Column::Status.eq(BatchStatus::Canceling.name()))
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().filter_map(|(id, since)| Some((BatchId::from_uuid(id), since?))).collect())
}

/// The batch with this id, locked until the transaction ends.
pub async fn lock(db: &impl Db, scope: Scope, id: BatchId) -> Result<Option<Batch>, Error> {
    let select = seen(scope).filter(Column::Id.eq(id.uuid())).lock_exclusive().into_query();
    Ok(read_all(db, &select, batch).await?.pop())
}

/// The batches of a schedule's firings that have not ended, locked until the transaction ends, in the order in which
/// [`runs::lock`](super::runs::lock) takes them.
pub async fn lock_active(db: &impl Db, schedule: ScheduleId) -> Result<Vec<Batch>, Error> {
    let active = select().filter(Expr::cust(ACTIVE)).filter(Column::ScheduleId.eq(schedule.uuid()));
    read_all(db, &active.order_by_asc(Column::Id).lock_exclusive().into_query(), batch).await
}

/// When the last batch of a schedule was made, UTC.
pub async fn last_made_at(
    db: &impl ConnectionTrait,
    schedule: ScheduleId,
) -> Result<Option<DateTimeUtc>, Error> {
    let made = Entity::find().select_only().column(Column::CreatedAt);
    let last = made.filter(Column::ScheduleId.eq(schedule.uuid())).order_by_desc(Column::Id).limit(1);
    Ok(last.into_tuple().one(db).await?)
}

/// A key that was used, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedKey {
    /// The tenant under which it was used.
    pub tenant_id: TenantId,
    /// The key.
    pub key: String,
    /// The batch that was made.
    pub batch_id: BatchId,
    /// The hash of what was asked for.
    pub request_hash: Vec<u8>,
}

/// Those of the keys that were used before, by these tenants.
pub async fn by_idempotency_keys(
    db: &impl ConnectionTrait,
    scope: Scope,
    tenants: &HashSet<TenantId>,
    keys: &[&Idempotency],
) -> Result<Vec<UsedKey>, Error> {
    let rows = Entity::find()
        .filter(seen_in(scope, Column::TenantId))
        .filter(Column::TenantId.is_in(tenants.iter().map(|tenant| tenant.uuid())))
        .filter(Column::IdempotencyKey.is_in(keys.iter().map(|used| &*used.key)))
        .all(db)
        .await?;
    rows.into_iter()
        .map(|row| {
            let corrupt = |column| Error::Corrupt { table: "batches", column, id: row.id };
            Ok(UsedKey {
                tenant_id: TenantId::from_uuid(row.tenant_id),
                key: row.idempotency_key.ok_or_else(|| corrupt("idempotency_key"))?,
                batch_id: BatchId::from_uuid(row.id),
                request_hash: row.request_hash.ok_or_else(|| corrupt("request_hash"))?,
            })
        })
        .collect()
}

/// Whether it is to be said how often the connections of a batch's tenant have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionChanges {
    /// It is.
    Told,
    /// It is not.
    Untold,
}

/// A batch as it was seen.
#[derive(Debug)]
pub struct SeenBatch {
    /// The batch.
    pub batch: Batch,
    /// How often the connections of its tenant had changed by then, if that was to be told.
    pub connection_changes: Option<i64>,
}

/// The batches with these ids, in no order.
pub async fn seen_by_ids(
    db: &impl Db,
    scope: Scope,
    ids: &[BatchId],
    changes: ConnectionChanges,
) -> Result<Vec<SeenBatch>, Error> {
    let select = told(seen(scope).filter(is_any_of(Column::Id, ids)), changes);
    read_all(db, &select.into_query(), |columns| seen_batch(columns, changes)).await
}

/// The rows of a page, in the order in which it is walked.
pub async fn page(
    db: &impl Db,
    scope: Scope,
    filter: &BatchFilter,
    page: &Page,
    changes: ConnectionChanges,
) -> Result<Vec<SeenBatch>, Error> {
    let field = match page.order.field {
        SortField::CreatedAt => None,
        SortField::UpdatedAt => Some(Column::UpdatedAt),
        SortField::Priority => Some(Column::Priority),
    };
    let columns = SortColumns { field, id: Column::Id };
    let select = keyset::cut(seen(scope).filter(matching(filter)), page, columns);
    let select = told(select, changes).into_query();
    let read = |columns: &mut Columns<'_>| seen_batch(columns, changes);
    if *filter == BatchFilter::default() {
        read_all(db, &select, read).await
    } else {
        search(db, &select, read).await
    }
}

/// Selects the changes of connections, too, if they are to be told.
fn told(select: SelectColumns, changes: ConnectionChanges) -> SelectColumns {
    match changes {
        ConnectionChanges::Untold => select,
        ConnectionChanges::Told => {
            let tenant: RelationDef =
                Entity::belongs_to(tenant::Entity).from(Column::TenantId).to(tenant::Column::Id).into();
            select.join(JoinType::InnerJoin, tenant).column(tenant::Column::ConnectionChanges)
        }
    }
}

/// What [`told`] selects.
fn seen_batch(columns: &mut Columns<'_>, changes: ConnectionChanges) -> Result<SeenBatch, Error> {
    let batch = batch(columns)?;
    let connection_changes = match changes {
        ConnectionChanges::Untold => None,
        ConnectionChanges::Told => Some(columns.next()?),
    };
    Ok(SeenBatch { batch, connection_changes })
}

/// How many batches the filter lets through.
pub async fn count(db: &impl ConnectionTrait, scope: Scope, filter: &BatchFilter) -> Result<u64, Error> {
    let there = Entity::find().select_only().column(Column::Id).filter(Column::RemovedAt.is_null());
    let all = there.filter(seen_in(scope, Column::TenantId)).filter(matching(filter));
    Ok(all.count(db).await?)
}

fn matching(filter: &BatchFilter) -> Condition {
    let BatchFilter {
        tenant_id,
        statuses,
        source_connection_id,
        destination_connection_id,
        connection_id,
        schedule_id,
    } = filter;
    let statuses =
        (!statuses.is_empty()).then(|| Column::Status.is_in(statuses.iter().map(|status| status.name())));
    let either = connection_id.map(|connection| {
        Condition::any()
            .add(Column::SourceConnectionId.eq(connection.uuid()))
            .add(Column::DestinationConnectionId.eq(connection.uuid()))
    });
    Condition::all()
        .add_option(tenant_id.map(|tenant| Column::TenantId.eq(tenant.uuid())))
        .add_option(statuses)
        .add_option(source_connection_id.map(|connection| Column::SourceConnectionId.eq(connection.uuid())))
        .add_option(
            destination_connection_id.map(|connection| Column::DestinationConnectionId.eq(connection.uuid())),
        )
        .add_option(schedule_id.map(|schedule| Column::ScheduleId.eq(schedule.uuid())))
        .add_option(either)
}

/// Adds batches. `Duplicate` when an idempotency key was used before, `Reference` when a connection
/// is missing.
pub async fn insert(
    db: &impl ConnectionTrait,
    batches: &[(&Batch, Option<&Idempotency>)],
) -> Result<Written, Error> {
    let rows = batches.iter().map(|(batch, idempotency)| ActiveModel {
        idempotency_key: Set(idempotency.map(|idempotency| idempotency.key.to_string())),
        request_hash: Set(idempotency.map(|idempotency| idempotency.request_hash.clone())),
        ..row(batch)
    });
    Written::from(Entity::insert_many(rows).exec_without_returning(db).await)
}

/// Writes what has changed of a batch, if it still has the version that is left.
pub async fn update(db: &impl ConnectionTrait, batch: &Batch, left: i32) -> Result<Guarded, Error> {
    let update = Entity::update_many().set(row(batch));
    let update = update.filter(Column::Id.eq(batch.id.uuid())).filter(Column::Version.eq(left));
    Ok(Guarded::of_rows(update.exec(db).await?.rows_affected))
}

/// Removes a batch with its jobs and their dependencies, if it still has the version that is left.
pub async fn delete(db: &impl ConnectionTrait, id: BatchId, left: i32) -> Result<Guarded, Error> {
    ready::remove_batch(db, id).await?;
    let delete = Entity::delete_many().filter(Column::Id.eq(id.uuid())).filter(Column::Version.eq(left));
    Ok(Guarded::of_rows(delete.exec(db).await?.rows_affected))
}

/// All columns but those of the idempotency key, which never change, and the one that says that it is removed.
fn row(batch: &Batch) -> ActiveModel {
    ActiveModel {
        id: Set(batch.id.uuid()),
        tenant_id: Set(batch.tenant_id.uuid()),
        source_connection_id: Set(batch.source_connection_id.uuid()),
        destination_connection_id: Set(batch.destination_connection_id.uuid()),
        since: Set(batch.window.since.map(Since::instant)),
        updated_since: Set(batch.window.updated_since.map(Since::instant)),
        priority: Set(batch.priority),
        failure_policy: Set(batch.failure_policy.name().into()),
        status: Set(batch.state.status().name().into()),
        version: Set(batch.version),
        revision: Set(batch.revision),
        idempotency_key: NotSet,
        request_hash: NotSet,
        created_at: Set(batch.created_at),
        started_at: Set(batch.state.started_at()),
        finished_at: Set(batch.state.finished_at()),
        updated_at: Set(batch.updated_at),
        unfinished: Set(batch.unfinished as i32),
        unsuccessful: Set(batch.unsuccessful as i32),
        schedule_id: Set(batch.origin.schedule().map(ScheduleId::uuid)),
        trigger: Set(batch.origin.trigger().name().into()),
        moves_watermarks: Set(batch.watermarks == Watermarks::Move),
        until: Set(batch.until.map(Since::instant)),
        backfill_id: Set(batch.origin.backfill().map(BackfillId::uuid)),
        removed_at: NotSet,
    }
}

/// The bounds of a window as they were stored, or the column that is out of range.
pub(super) fn window(
    since: Option<DateTimeUtc>,
    updated_since: Option<DateTimeUtc>,
) -> Result<Window, &'static str> {
    let bound =
        |instant: Option<_>, column| instant.map(|instant| Since::new(instant).ok_or(column)).transpose();
    Ok(Window { since: bound(since, "since")?, updated_since: bound(updated_since, "updated_since")? })
}

/// A batch, from its [`COLUMNS`].
pub(super) fn batch(columns: &mut Columns<'_>) -> Result<Batch, Error> {
    let id = columns.next()?;
    let corrupt = |column| Error::Corrupt { table: "batches", column, id };
    let tenant_id = TenantId::from_uuid(columns.next()?);
    let source_connection_id = ConnectionId::from_uuid(columns.next()?);
    let destination_connection_id = ConnectionId::from_uuid(columns.next()?);
    let window = window(columns.next()?, columns.next()?).map_err(corrupt)?;
    let priority = columns.next()?;
    let failure_policy = FailurePolicy::named(columns.next()?).ok_or_else(|| corrupt("failure_policy"))?;
    let status = BatchStatus::named(columns.next()?).ok_or_else(|| corrupt("status"))?;
    let version = columns.next()?;
    let revision = columns.next()?;
    let created_at = columns.next()?;
    let (started, finished): (Option<DateTimeUtc>, Option<DateTimeUtc>) = (columns.next()?, columns.next()?);
    let updated_at = columns.next()?;
    let natural = |number: i32, column| u32::try_from(number).map_err(|_| corrupt(column));
    let unfinished = natural(columns.next()?, "unfinished")?;
    let unsuccessful = natural(columns.next()?, "unsuccessful")?;
    let trigger = Trigger::named(columns.next()?).ok_or_else(|| corrupt("trigger"))?;
    let schedule: Option<Uuid> = columns.next()?;
    let watermarks = if columns.next()? { Watermarks::Move } else { Watermarks::Stay };
    let backfill: Option<Uuid> = columns.next()?;
    let origin =
        Origin::stored(trigger, schedule.map(ScheduleId::from_uuid), backfill.map(BackfillId::from_uuid));
    let until: Option<DateTimeUtc> = columns.next()?;
    let until = until.map(|until| Since::new(until).ok_or_else(|| corrupt("until"))).transpose()?;
    let started_at = || started.ok_or_else(|| corrupt("started_at"));
    let finished_at = || finished.ok_or_else(|| corrupt("finished_at"));
    let state = match status {
        BatchStatus::Pending => BatchState::Pending,
        BatchStatus::Running => BatchState::Running { started_at: started_at()? },
        BatchStatus::Canceling => BatchState::Canceling { started_at: started_at()? },
        BatchStatus::Succeeded => {
            BatchState::Succeeded { started_at: started_at()?, finished_at: finished_at()? }
        }
        BatchStatus::Failed => BatchState::Failed { started_at: started_at()?, finished_at: finished_at()? },
        BatchStatus::Canceled => BatchState::Canceled { started_at: started, finished_at: finished_at()? },
    };
    Ok(Batch {
        id: BatchId::from_uuid(id),
        tenant_id,
        origin: origin.ok_or_else(|| corrupt("schedule_id"))?,
        watermarks,
        source_connection_id,
        destination_connection_id,
        window,
        until,
        priority,
        failure_policy,
        state,
        version,
        unfinished,
        unsuccessful,
        revision,
        created_at,
        updated_at,
    })
}
