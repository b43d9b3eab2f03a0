//! How far the jobs of schedules have got. The rules are in [`crate::domain::watermark`].

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Select,
    sea_query::{Expr, ExprTrait, OnConflict, SimpleExpr},
};

use super::{
    Error,
    keys::{is_any_of, seen_in},
    keyset::{self, SortColumns},
};
use crate::{
    domain::{
        access::Scope,
        id::{ConnectionId, ScheduleId, TenantId},
        job::JobType,
        page::Page,
        text::Text,
        watermark::{JobIdentity, Level, Watermark},
    },
    entity::watermark::{ActiveModel, Column, Entity, Model},
};

/// A statement has at most 32,766 parameters on SQLite, and a row 9 columns.
const ROWS_PER_INSERT: usize = 1024;

/// The columns by which the watermark of a job is found.
const KEY: [Column; 5] =
    [Column::ScheduleId, Column::Type, Column::Object, Column::Grain, Column::ConnectionId];

/// All watermarks of these schedules.
pub async fn of_schedules(
    db: &impl ConnectionTrait,
    schedules: &[ScheduleId],
) -> Result<Vec<Watermark>, Error> {
    let rows = Entity::find().filter(is_any_of(Column::ScheduleId, schedules)).all(db).await?;
    rows.into_iter().map(Watermark::try_from).collect()
}

/// How far the jobs of a schedule have got, UTC, those that have.
pub async fn levels(
    db: &impl ConnectionTrait,
    schedule: ScheduleId,
) -> Result<HashMap<JobIdentity, DateTime<Utc>>, Error> {
    let all = of_schedules(db, &[schedule]).await?;
    Ok(all.into_iter().filter_map(|watermark| Some((watermark.job, watermark.level.at?))).collect())
}

/// The rows of a page of a schedule's watermarks, in the order in which it is walked.
pub async fn page(
    db: &impl ConnectionTrait,
    scope: Scope,
    schedule: ScheduleId,
    page: &Page,
) -> Result<Vec<Watermark>, Error> {
    let columns = SortColumns { field: None, id: Column::Id };
    let rows = keyset::cut(of(scope, schedule), page, columns).all(db).await?;
    rows.into_iter().map(Watermark::try_from).collect()
}

/// How many watermarks a schedule has.
pub async fn count(db: &impl ConnectionTrait, scope: Scope, schedule: ScheduleId) -> Result<u64, Error> {
    Ok(of(scope, schedule).count(db).await?)
}

fn of(scope: Scope, schedule: ScheduleId) -> Select<Entity> {
    let seen = Entity::find().filter(seen_in(scope, Column::TenantId));
    seen.filter(Column::ScheduleId.eq(schedule.uuid()))
}

/// Writes watermarks that have moved. One that somebody else has moved further meanwhile, or has reset, stays as it is.
pub async fn advance(db: &impl ConnectionTrait, moved: &[Watermark]) -> Result<(), Error> {
    let old = |column| Expr::col((Entity, column));
    let new = |column| Expr::col(("excluded", column));
    let lower = old(Column::At).is_null().or(old(Column::At).lt(new(Column::At)));
    let never_reset = old(Column::ResetAt).is_null().and(new(Column::ResetAt).is_null());
    let as_read = never_reset.or(old(Column::ResetAt).eq(new(Column::ResetAt)));
    write(db, moved, &[Column::At], Some(lower.and(as_read))).await
}

/// Writes watermarks that were reset.
pub async fn reset(db: &impl ConnectionTrait, reset: &[Watermark]) -> Result<(), Error> {
    write(db, reset, &[Column::At, Column::ResetAt], None).await
}

/// Adds watermarks, or changes these columns of those that are there. Always in the same order, so that nobody waits in
/// a circle.
async fn write(
    db: &impl ConnectionTrait,
    watermarks: &[Watermark],
    columns: &[Column],
    guard: Option<SimpleExpr>,
) -> Result<(), Error> {
    let mut watermarks: Vec<&Watermark> = watermarks.iter().collect();
    watermarks.sort_unstable_by_key(|watermark| (watermark.schedule_id, &watermark.job));
    let mut there = OnConflict::columns(KEY);
    there.update_columns(columns.iter().copied());
    if let Some(guard) = guard {
        there.action_and_where(guard);
    }
    for chunk in watermarks.chunks(ROWS_PER_INSERT) {
        let rows = chunk.iter().copied().map(row);
        Entity::insert_many(rows).on_conflict(there.clone()).exec_without_returning(db).await?;
    }
    Ok(())
}

fn row(watermark: &Watermark) -> ActiveModel {
    let Watermark { place, schedule_id, tenant_id, job, level } = watermark;
    ActiveModel {
        id: Set(*place),
        schedule_id: Set(schedule_id.uuid()),
        tenant_id: Set(tenant_id.uuid()),
        r#type: Set(job.job_type.name().to_owned()),
        object: Set(job.object.to_string()),
        grain: Set(job.grain.as_deref().unwrap_or_default().to_owned()),
        connection_id: Set(job.connection_id.uuid()),
        at: Set(level.at),
        reset_at: Set(level.reset_at),
    }
}

impl TryFrom<Model> for Watermark {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let corrupt = |column| Error::Corrupt { table: "watermarks", column, id: row.id };
        Ok(Self {
            place: row.id,
            schedule_id: ScheduleId::from_uuid(row.schedule_id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            job: JobIdentity {
                job_type: JobType::named(&row.r#type).ok_or_else(|| corrupt("type"))?,
                object: Text::stored(row.object),
                grain: (!row.grain.is_empty()).then(|| Text::stored(row.grain)),
                connection_id: ConnectionId::from_uuid(row.connection_id),
            },
            level: Level { at: row.at, reset_at: row.reset_at },
        })
    }
}
