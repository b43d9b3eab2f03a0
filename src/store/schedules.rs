//! Schedules.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
    sea_query::{LockBehavior, LockType},
};
use uuid::Uuid;

use super::{
    Error, Guarded, Written,
    keys::{is_any_of, seen_in},
    keyset::{self, SortColumns},
    templates,
};
use crate::{
    domain::{
        access::Scope,
        id::{ScheduleId, TenantId},
        list::ScheduleFilter,
        page::Page,
        problem::At,
        schedule::{CatchUp, Incremental, OverlapPolicy, Schedule, ScheduleState},
        text::Text,
        timetable::{ClockGap, ClockOverlap, Timetable, TimetableDraft},
    },
    entity::schedule::{ActiveModel, Column, Entity, Model},
};

/// The schedules with these ids, in no order.
pub async fn by_ids(
    db: &impl ConnectionTrait,
    scope: Scope,
    ids: &[ScheduleId],
) -> Result<Vec<Schedule>, Error> {
    let rows = seen(scope).filter(is_any_of(Column::Id, ids)).all(db).await?;
    rows.into_iter().map(Schedule::try_from).collect()
}

/// Whoever has a schedule locked waits for its batches, and whoever ends one of those keeps the schedule: each lets the
/// other one do so.
const LOCK: LockType = LockType::NoKeyUpdate;

/// The schedule with this id, locked until the transaction ends.
pub async fn lock(
    db: &impl ConnectionTrait,
    scope: Scope,
    id: ScheduleId,
) -> Result<Option<Schedule>, Error> {
    let row = seen(scope).filter(Column::Id.eq(id.uuid())).lock(LOCK).one(db).await?;
    row.map(Schedule::try_from).transpose()
}

/// The schedule with this id, locked until the transaction ends; `None` where somebody else has it locked: that
/// one does what is to be done.
pub async fn lock_if_free(db: &impl ConnectionTrait, id: ScheduleId) -> Result<Option<Schedule>, Error> {
    let select = Entity::find().filter(Column::Id.eq(id.uuid()));
    let select = select.lock_with_behavior(LOCK, LockBehavior::SkipLocked);
    select.one(db).await?.map(Schedule::try_from).transpose()
}

/// Those of these schedules that are incremental, kept from being deleted until the transaction ends. In the order of
/// their ids, so that nobody waits in a circle.
pub async fn keep_incremental(
    db: &impl ConnectionTrait,
    ids: &[ScheduleId],
) -> Result<HashSet<ScheduleId>, Error> {
    let incremental = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(is_any_of(Column::Id, ids))
        .filter(Column::OverlapSeconds.is_not_null())
        .order_by_asc(Column::Id)
        .lock(LockType::KeyShare);
    let rows: Vec<Uuid> = incremental.into_tuple().all(db).await?;
    Ok(rows.into_iter().map(ScheduleId::from_uuid).collect())
}

/// The rows of a page, in the order in which it is walked.
pub async fn page(
    db: &impl ConnectionTrait,
    scope: Scope,
    filter: &ScheduleFilter,
    page: &Page,
) -> Result<Vec<Schedule>, Error> {
    let columns = SortColumns { field: None, id: Column::Id };
    let rows = keyset::cut(matching(scope, filter), page, columns).all(db).await?;
    rows.into_iter().map(Schedule::try_from).collect()
}

/// How many schedules the filter lets through.
pub async fn count(db: &impl ConnectionTrait, scope: Scope, filter: &ScheduleFilter) -> Result<u64, Error> {
    Ok(matching(scope, filter).count(db).await?)
}

fn matching(scope: Scope, filter: &ScheduleFilter) -> Select<Entity> {
    let ScheduleFilter { tenant_id, name } = filter;
    let all = Condition::all()
        .add_option(tenant_id.map(|tenant| Column::TenantId.eq(tenant.uuid())))
        .add_option(name.as_ref().map(|name| Column::Name.eq(&**name)));
    seen(scope).filter(all)
}

fn seen(scope: Scope) -> Select<Entity> {
    Entity::find().filter(seen_in(scope, Column::TenantId))
}

/// Adds a schedule. `Duplicate` when its name is taken, `Reference` when its tenant is missing.
pub async fn insert(db: &impl ConnectionTrait, schedule: &Schedule) -> Result<Written, Error> {
    Written::from(Entity::insert(row(schedule)).exec_without_returning(db).await)
}

/// Writes a schedule that is locked. `Duplicate` when its name is taken.
pub async fn update(db: &impl ConnectionTrait, schedule: &Schedule) -> Result<Written, Error> {
    let update = Entity::update_many().set(row(schedule)).filter(Column::Id.eq(schedule.id.uuid()));
    Written::from(update.exec(db).await)
}

/// Writes when a schedule is due next, if it was due then before.
pub async fn advance(
    db: &impl ConnectionTrait,
    id: ScheduleId,
    left: DateTime<Utc>,
    next_at: Option<DateTime<Utc>>,
) -> Result<Guarded, Error> {
    let update = Entity::update_many().set(ActiveModel { next_at: Set(next_at), ..Default::default() });
    let update = update.filter(Column::Id.eq(id.uuid())).filter(Column::NextAt.eq(left));
    Ok(Guarded::of_rows(update.exec(db).await?.rows_affected))
}

/// Removes a schedule with the records of its firings. Its batches stay.
pub async fn delete(db: &impl ConnectionTrait, id: ScheduleId) -> Result<(), Error> {
    Entity::delete_by_id(id.uuid()).exec(db).await?;
    Ok(())
}

fn row(schedule: &Schedule) -> ActiveModel {
    let timetable = schedule.timetable.as_ref();
    let paused_at = match schedule.state {
        ScheduleState::Active { .. } => None,
        ScheduleState::Paused { since } => Some(since),
    };
    ActiveModel {
        id: Set(schedule.id.uuid()),
        tenant_id: Set(schedule.tenant_id.uuid()),
        name: Set(schedule.name.to_string()),
        template: Set(templates::to_json(&schedule.template)),
        cron: Set(timetable.map(|timetable| timetable.cron.to_string())),
        time_zone: Set(timetable.map(|timetable| timetable.zone.name().to_owned())),
        clock_gap: Set(timetable.map(|timetable| timetable.gap.name().to_owned())),
        clock_overlap: Set(timetable.map(|timetable| timetable.overlap.name().to_owned())),
        overlap_policy: Set(schedule.overlap_policy.name().to_owned()),
        catch_up: Set(schedule.catch_up.name().to_owned()),
        catch_up_seconds: Set(i32::try_from(schedule.catch_up_window.num_seconds()).unwrap_or(i32::MAX)),
        paused_at: Set(paused_at),
        next_at: Set(schedule.next_at()),
        version: Set(schedule.version),
        created_at: Set(schedule.created_at),
        updated_at: Set(schedule.updated_at),
        overlap_seconds: Set(schedule
            .incremental
            .map(|Incremental { overlap }| i32::try_from(overlap.num_seconds()).unwrap_or(i32::MAX))),
    }
}

impl TryFrom<Model> for Schedule {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let corrupt = |column| Error::Corrupt { table: "schedules", column, id: row.id };
        let timetable = timetable(&row).map_err(corrupt)?;
        Ok(Self {
            id: ScheduleId::from_uuid(row.id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            overlap_policy: OverlapPolicy::named(&row.overlap_policy)
                .ok_or_else(|| corrupt("overlap_policy"))?,
            catch_up: CatchUp::named(&row.catch_up).ok_or_else(|| corrupt("catch_up"))?,
            template: Arc::new(templates::from_json(row.template).ok_or_else(|| corrupt("template"))?),
            name: Text::stored(row.name),
            timetable,
            incremental: row
                .overlap_seconds
                .map(|seconds| Incremental { overlap: TimeDelta::seconds(seconds.into()) }),
            catch_up_window: TimeDelta::seconds(row.catch_up_seconds.into()),
            state: match row.paused_at {
                None => ScheduleState::Active { next_at: row.next_at },
                Some(since) => ScheduleState::Paused { since },
            },
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// The timetable of a row; an error names the column that is wrong.
fn timetable(row: &Model) -> Result<Option<Timetable>, &'static str> {
    let Some(cron) = row.cron.clone() else { return Ok(None) };
    let gap = row.clock_gap.as_deref().and_then(ClockGap::named).ok_or("clock_gap")?;
    let overlap = row.clock_overlap.as_deref().and_then(ClockOverlap::named).ok_or("clock_overlap")?;
    let draft = TimetableDraft { cron, time_zone: row.time_zone.clone(), gap, overlap };
    Timetable::parse(&draft, &At::Root, &mut Vec::new()).ok_or("cron").map(Some)
}
