//! Backfills, without their windows.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Statement,
    sea_query::{LockBehavior, LockType},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Error, Guarded, Written, firings,
    keys::{is_any_of, seen_in},
    keyset::{self, SortColumns},
};
use crate::{
    domain::{
        access::Scope,
        backfill::{Backfill, BackfillState, BackfillStatus, WindowOrder},
        batch::Watermarks,
        id::{BackfillId, ScheduleId, TenantId},
        page::Page,
        problem::At,
        since::Since,
        text::IdempotencyKey,
        windows::{Step, Windows},
        zone::TimeZone,
    },
    entity::backfill::{ActiveModel, Column, Entity, Model},
};

/// The backfills with these ids, in no order.
pub async fn by_ids(
    db: &impl ConnectionTrait,
    scope: Scope,
    ids: &[BackfillId],
) -> Result<Vec<Backfill>, Error> {
    let rows = seen(scope).filter(is_any_of(Column::Id, ids)).all(db).await?;
    rows.into_iter().map(Backfill::try_from).collect()
}

/// The backfill with this id, locked until the transaction ends. Whoever locks a batch of it as well does so
/// afterwards.
pub async fn lock(
    db: &impl ConnectionTrait,
    scope: Scope,
    id: BackfillId,
) -> Result<Option<Backfill>, Error> {
    let row = seen(scope).filter(Column::Id.eq(id.uuid())).lock_exclusive().one(db).await?;
    row.map(Backfill::try_from).transpose()
}

/// The backfill with this id, locked until the transaction ends; `None` where somebody else has it locked.
pub async fn lock_if_free(db: &impl ConnectionTrait, id: BackfillId) -> Result<Option<Backfill>, Error> {
    let select = Entity::find().filter(Column::Id.eq(id.uuid()));
    let select = select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    select.one(db).await?.map(Backfill::try_from).transpose()
}

/// The backfills of a schedule that have not ended, locked until the transaction ends, in the order of their ids.
pub async fn lock_active(db: &impl ConnectionTrait, schedule: ScheduleId) -> Result<Vec<Backfill>, Error> {
    let active = of(Scope::SLUICE, schedule).filter(Column::EndedAt.is_null());
    let rows = active.order_by_asc(Column::Id).lock_exclusive().all(db).await?;
    rows.into_iter().map(Backfill::try_from).collect()
}

/// The backfills that have not ended.
#[derive(Debug, Default)]
pub struct Active {
    /// Those about which something is to be done.
    pub ready: Vec<BackfillId>,
    /// How many others wait for a batch to end, of those that were looked at.
    pub held: usize,
}

#[derive(FromQueryResult)]
struct ActiveRow {
    id: Uuid,
    ready: bool,
}

/// What [`Backfill::work`] says, for all that have not ended: those first about which something is to be done.
pub async fn active(db: &impl ConnectionTrait, most: u64) -> Result<Active, Error> {
    let sql = format!(
        "SELECT id, ready FROM (
            SELECT id, running, CASE status
                WHEN 'running' THEN (todo > 0 AND running < max_parallel) OR (todo = 0 AND running = 0)
                WHEN 'paused' THEN todo = 0 AND running = 0
                ELSE running = 0 END AS ready
            FROM (SELECT id, status, max_parallel,
                windows - begun + (SELECT count(*) FROM backfill_windows
                    WHERE backfill_id = backfills.id AND backfill_windows.status = 'pending') AS todo,
                (SELECT count(*) FROM backfill_windows
                    WHERE backfill_id = backfills.id AND backfill_windows.status = 'running') AS running
                FROM backfills WHERE ended_at IS NULL) AS counted) AS judged
        WHERE ready OR running > 0 ORDER BY ready DESC, id LIMIT {most}"
    );
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = ActiveRow::find_by_statement(statement).all(db).await?;
    let ready: Vec<_> =
        rows.iter().filter(|row| row.ready).map(|row| BackfillId::from_uuid(row.id)).collect();
    Ok(Active { held: rows.len() - ready.len(), ready })
}

/// The rows of a page of a schedule's backfills, in the order in which it is walked.
pub async fn page(
    db: &impl ConnectionTrait,
    scope: Scope,
    schedule: ScheduleId,
    page: &Page,
) -> Result<Vec<Backfill>, Error> {
    let columns = SortColumns { field: None, id: Column::Id };
    let rows = keyset::cut(of(scope, schedule), page, columns).all(db).await?;
    rows.into_iter().map(Backfill::try_from).collect()
}

/// How many backfills a schedule has had.
pub async fn count(db: &impl ConnectionTrait, scope: Scope, schedule: ScheduleId) -> Result<u64, Error> {
    Ok(of(scope, schedule).count(db).await?)
}

/// The backfill that was made under this key.
pub async fn by_key(
    db: &impl ConnectionTrait,
    scope: Scope,
    schedule: ScheduleId,
    key: &IdempotencyKey,
) -> Result<Option<Backfill>, Error> {
    let row = of(scope, schedule).filter(Column::IdempotencyKey.eq(&**key)).one(db).await?;
    row.map(Backfill::try_from).transpose()
}

/// Adds a backfill. `Duplicate` when its key was used before, `Reference` when its schedule is missing.
pub async fn insert(
    db: &impl ConnectionTrait,
    backfill: &Backfill,
    key: Option<&IdempotencyKey>,
) -> Result<Written, Error> {
    let row = ActiveModel { idempotency_key: Set(key.map(|key| key.to_string())), ..row(backfill) };
    Written::from(Entity::insert(row).exec_without_returning(db).await)
}

/// What a backfill is before it is written.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    /// Its version.
    pub version: i32,
    /// How many of its windows were begun.
    pub begun: u32,
}

impl Left {
    /// What a backfill is now.
    pub fn of(backfill: &Backfill) -> Self {
        Self { version: backfill.version, begun: backfill.begun }
    }
}

/// Writes what has changed of a backfill, if it is still what is left.
pub async fn update(db: &impl ConnectionTrait, backfill: &Backfill, left: Left) -> Result<Guarded, Error> {
    let update = Entity::update_many().set(row(backfill)).filter(Column::Id.eq(backfill.id.uuid()));
    let update = update.filter(Column::Version.eq(left.version)).filter(Column::Begun.eq(left.begun as i32));
    Ok(Guarded::of_rows(update.exec(db).await?.rows_affected))
}

fn seen(scope: Scope) -> Select<Entity> {
    Entity::find().filter(seen_in(scope, Column::TenantId))
}

fn of(scope: Scope, schedule: ScheduleId) -> Select<Entity> {
    seen(scope).filter(Column::ScheduleId.eq(schedule.uuid()))
}

/// All columns but the idempotency key, which never changes.
fn row(backfill: &Backfill) -> ActiveModel {
    let Windows { from, to, step, zone, count } = &backfill.windows;
    let (paused_at, problems) = match &backfill.state {
        BackfillState::Paused { since, problems } => {
            let problems = (!problems.is_empty()).then(|| firings::problems_to_json(problems));
            (Some(*since), problems)
        }
        BackfillState::Running
        | BackfillState::Canceling
        | BackfillState::Succeeded { .. }
        | BackfillState::Failed { .. }
        | BackfillState::Canceled { .. } => (None, None),
    };
    ActiveModel {
        id: Set(backfill.id.uuid()),
        tenant_id: Set(backfill.tenant_id.uuid()),
        schedule_id: Set(backfill.schedule_id.uuid()),
        since: Set(from.instant()),
        until: Set(to.instant()),
        step: Set(step.to_string()),
        time_zone: Set(zone.name().to_owned()),
        windows: Set(*count as i32),
        run_order: Set(backfill.order.name().to_owned()),
        max_parallel: Set(backfill.max_parallel as i32),
        priority: Set(backfill.priority),
        moves_watermarks: Set(backfill.watermarks == Watermarks::Move),
        status: Set(backfill.state.status().name().to_owned()),
        paused_at: Set(paused_at),
        problems: Set(problems),
        begun: Set(backfill.begun as i32),
        idempotency_key: NotSet,
        version: Set(backfill.version),
        created_at: Set(backfill.created_at),
        started_at: Set(backfill.started_at),
        ended_at: Set(backfill.state.ended_at()),
        updated_at: Set(backfill.updated_at),
    }
}

impl TryFrom<Model> for Backfill {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let corrupt = |column| Error::Corrupt { table: "backfills", column, id: row.id };
        let natural = |number: i32, column| u32::try_from(number).map_err(|_| corrupt(column));
        Ok(Self {
            id: BackfillId::from_uuid(row.id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            schedule_id: ScheduleId::from_uuid(row.schedule_id),
            windows: windows(&row).map_err(corrupt)?,
            order: WindowOrder::named(&row.run_order).ok_or_else(|| corrupt("run_order"))?,
            max_parallel: natural(row.max_parallel, "max_parallel")?,
            priority: row.priority,
            watermarks: if row.moves_watermarks { Watermarks::Move } else { Watermarks::Stay },
            state: state(&row).map_err(corrupt)?,
            begun: natural(row.begun, "begun")?,
            version: row.version,
            created_at: row.created_at,
            started_at: row.started_at,
            updated_at: row.updated_at,
        })
    }
}

/// The windows of a row; an error names the column that is wrong.
fn windows(row: &Model) -> Result<Windows, &'static str> {
    Ok(Windows {
        from: Since::new(row.since).ok_or("since")?,
        to: Since::new(row.until).ok_or("until")?,
        step: Step::parse(&row.step, &At::Root).map_err(|_| "step")?,
        zone: TimeZone::parse(&row.time_zone, &At::Root).map_err(|_| "time_zone")?,
        count: u32::try_from(row.windows).map_err(|_| "windows")?,
    })
}

/// The state of a row; an error names the column that is wrong.
fn state(row: &Model) -> Result<BackfillState, &'static str> {
    let ended_at = row.ended_at.ok_or("ended_at");
    Ok(match BackfillStatus::named(&row.status).ok_or("status")? {
        BackfillStatus::Running => BackfillState::Running,
        BackfillStatus::Paused => BackfillState::Paused {
            since: row.paused_at.ok_or("paused_at")?,
            problems: match &row.problems {
                None | Some(Value::Null) => Vec::new(),
                Some(stored) => firings::problems_from_json(stored).ok_or("problems")?,
            },
        },
        BackfillStatus::Canceling => BackfillState::Canceling,
        BackfillStatus::Succeeded => BackfillState::Succeeded { ended_at: ended_at? },
        BackfillStatus::Failed => BackfillState::Failed { ended_at: ended_at? },
        BackfillStatus::Canceled => BackfillState::Canceled { ended_at: ended_at? },
    })
}
