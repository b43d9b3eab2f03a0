//! The windows that backfills have begun. Those that they have not are in no table: they are worked out.

use std::{collections::HashMap, ops::Range};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Statement,
    sea_query::{ExprTrait, Order as SqlOrder},
};
use uuid::Uuid;

use super::{
    Error, Guarded, Written,
    keys::{is_any_of, seen_in},
};
use crate::{
    domain::{
        access::Scope,
        backfill::{Backfill, BackfillWindow, WindowCounts, WindowOrder, WindowStatus},
        id::{BackfillId, BatchId, ConnectionId},
        job::JobType,
        list::Direction,
        since::Since,
        text::Text,
        watermark::JobIdentity,
        windows::Stretch,
    },
    entity::backfill_window::{ActiveModel, Column, Entity, Model},
};

/// How many windows of these backfills are in each state, of those that were begun.
pub async fn counts(
    db: &impl ConnectionTrait,
    scope: Scope,
    ids: &[BackfillId],
) -> Result<HashMap<BackfillId, WindowCounts>, Error> {
    let rows: Vec<(Uuid, String, i64)> = Entity::find()
        .select_only()
        .columns([Column::BackfillId, Column::Status])
        .column_as(Column::Position.count(), "windows")
        .filter(is_any_of(Column::BackfillId, ids))
        .filter(seen_in(scope, Column::TenantId))
        .group_by(Column::BackfillId)
        .group_by(Column::Status)
        .into_tuple()
        .all(db)
        .await?;
    let mut counts: HashMap<BackfillId, WindowCounts> = HashMap::new();
    for (id, status, windows) in rows {
        counts.entry(BackfillId::from_uuid(id)).or_default().add(known(&status, id)?, windows as u32);
    }
    Ok(counts)
}

/// Which windows of a backfill.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Those in one of these states; empty: in any.
    pub statuses: Vec<WindowStatus>,
    /// Only those after this one.
    pub after: Option<u32>,
    /// Only those before this one.
    pub before: Option<u32>,
    /// Only others than these.
    pub without: Range<u32>,
}

/// The windows of a backfill that were begun, in this direction of time, at most so many.
pub async fn some(
    db: &impl ConnectionTrait,
    backfill: BackfillId,
    wanted: &Wanted,
    direction: Direction,
    most: u64,
) -> Result<Vec<BackfillWindow>, Error> {
    let order = match direction {
        Direction::Ascending => SqlOrder::Asc,
        Direction::Descending => SqlOrder::Desc,
    };
    let rows = matching(backfill, wanted).order_by(Column::Position, order).limit(most).all(db).await?;
    rows.into_iter().map(BackfillWindow::try_from).collect()
}

/// How many windows of a backfill there are that were begun.
pub async fn count(db: &impl ConnectionTrait, backfill: BackfillId, wanted: &Wanted) -> Result<u64, Error> {
    Ok(matching(backfill, wanted).count(db).await?)
}

/// The windows of a backfill that are to be run again, in its order, at most so many.
pub async fn pending(
    db: &impl ConnectionTrait,
    backfill: &Backfill,
    most: u32,
) -> Result<Vec<BackfillWindow>, Error> {
    let wanted = Wanted { statuses: vec![WindowStatus::Pending], ..Wanted::default() };
    let direction = match backfill.order {
        WindowOrder::OldestFirst => Direction::Ascending,
        WindowOrder::NewestFirst => Direction::Descending,
    };
    some(db, backfill.id, &wanted, direction, most.into()).await
}

/// The batches of a backfill's windows that are under way.
pub async fn running_batches(db: &impl ConnectionTrait, backfill: BackfillId) -> Result<Vec<BatchId>, Error> {
    let wanted = Wanted { statuses: vec![WindowStatus::Running], ..Wanted::default() };
    let batches: Vec<Uuid> =
        matching(backfill, &wanted).select_only().column(Column::BatchId).into_tuple().all(db).await?;
    Ok(batches.into_iter().map(BatchId::from_uuid).collect())
}

#[derive(FromQueryResult)]
struct JobRow {
    kind: String,
    object: String,
    grain: Option<String>,
    connection_id: Uuid,
}

/// The jobs that each window of a backfill has had, as far as their batches are there.
pub async fn jobs_of_all(db: &impl ConnectionTrait, backfill: &Backfill) -> Result<Vec<JobIdentity>, Error> {
    // A batch has a job once.
    let sql = "SELECT jobs.type AS kind, jobs.object, jobs.grain, jobs.connection_id
        FROM backfill_windows JOIN jobs ON jobs.batch_id = backfill_windows.batch_id
        WHERE backfill_windows.backfill_id = $1
        GROUP BY jobs.type, jobs.object, jobs.grain, jobs.connection_id HAVING count(*) = $2";
    let id = backfill.id.uuid();
    let values = [id.into(), i64::from(backfill.windows.count).into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let rows = JobRow::find_by_statement(statement).all(db).await?;
    let corrupt = Error::Corrupt { table: "jobs", column: "type", id };
    let job = |row: JobRow| {
        Some(JobIdentity {
            job_type: JobType::named(&row.kind)?,
            object: Text::stored(row.object),
            grain: row.grain.map(Text::stored),
            connection_id: ConnectionId::from_uuid(row.connection_id),
        })
    };
    rows.into_iter().map(job).collect::<Option<_>>().ok_or(corrupt)
}

/// Adds windows that are begun, each with its batch. `Duplicate` when one was begun before.
pub async fn insert(
    db: &impl ConnectionTrait,
    backfill: &Backfill,
    begun: &[(Stretch, BatchId)],
) -> Result<Written, Error> {
    let rows = begun.iter().map(|(stretch, batch)| ActiveModel {
        backfill_id: Set(backfill.id.uuid()),
        position: Set(stretch.index as i32),
        tenant_id: Set(backfill.tenant_id.uuid()),
        since: Set(stretch.since.instant()),
        until: Set(stretch.until.instant()),
        batch_id: Set(batch.uuid()),
        status: Set(WindowStatus::Running.name().to_owned()),
    });
    Written::from(Entity::insert_many(rows).exec_without_returning(db).await)
}

/// Gives a window that is to be run again another batch: its own was removed.
pub async fn rebegin(
    db: &impl ConnectionTrait,
    backfill: BackfillId,
    window: &BackfillWindow,
    batch: BatchId,
) -> Result<Guarded, Error> {
    let update = Entity::update_many().set(ActiveModel {
        batch_id: Set(batch.uuid()),
        status: Set(WindowStatus::Running.name().to_owned()),
        ..Default::default()
    });
    let update = update
        .filter(Column::BackfillId.eq(backfill.uuid()))
        .filter(Column::Position.eq(window.stretch.index as i32))
        .filter(Column::Status.eq(WindowStatus::Pending.name()));
    Ok(Guarded::of_rows(update.exec(db).await?.rows_affected))
}

/// Puts the windows of a backfill that are in one of these states into another one. Gives how many there were.
pub async fn mark(
    db: &impl ConnectionTrait,
    backfill: BackfillId,
    left: &[WindowStatus],
    status: WindowStatus,
) -> Result<u64, Error> {
    let update = entering(status).filter(Column::BackfillId.eq(backfill.uuid()));
    let update = update.filter(Column::Status.is_in(left.iter().map(|left| left.name())));
    Ok(update.exec(db).await?.rows_affected)
}

/// Says what has become of the windows of these batches, whose rows are locked. Those of a schedule that was removed
/// are not there any more.
pub async fn follow(
    db: &impl ConnectionTrait,
    batches: &[BatchId],
    status: WindowStatus,
) -> Result<(), Error> {
    if !batches.is_empty() {
        entering(status).filter(is_any_of(Column::BatchId, batches)).exec(db).await?;
    }
    Ok(())
}

fn entering(status: WindowStatus) -> sea_orm::UpdateMany<Entity> {
    Entity::update_many().set(ActiveModel { status: Set(status.name().to_owned()), ..Default::default() })
}

fn matching(backfill: BackfillId, wanted: &Wanted) -> Select<Entity> {
    let Wanted { statuses, after, before, without } = wanted;
    let mut select = Entity::find().filter(Column::BackfillId.eq(backfill.uuid()));
    if !statuses.is_empty() {
        select = select.filter(Column::Status.is_in(statuses.iter().map(|status| status.name())));
    }
    if let Some(after) = after {
        select = select.filter(Column::Position.gt(*after as i32));
    }
    if let Some(before) = before {
        select = select.filter(Column::Position.lt(*before as i32));
    }
    if !without.is_empty() {
        let outside = Column::Position.lt(without.start as i32).or(Column::Position.gte(without.end as i32));
        select = select.filter(outside);
    }
    select
}

fn known(status: &str, id: Uuid) -> Result<WindowStatus, Error> {
    WindowStatus::named(status).ok_or(Error::Corrupt { table: "backfill_windows", column: "status", id })
}

impl TryFrom<Model> for BackfillWindow {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let corrupt = |column| Error::Corrupt { table: "backfill_windows", column, id: row.backfill_id };
        Ok(Self {
            stretch: Stretch {
                index: u32::try_from(row.position).map_err(|_| corrupt("position"))?,
                since: Since::new(row.since).ok_or_else(|| corrupt("since"))?,
                until: Since::new(row.until).ok_or_else(|| corrupt("until"))?,
            },
            status: known(&row.status, row.backfill_id)?,
            batch_id: Some(BatchId::from_uuid(row.batch_id)),
        })
    }
}
