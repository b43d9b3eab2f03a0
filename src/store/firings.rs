//! What became of the firings of schedules.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select, Statement,
    sea_query::{Expr, Query, UnionType},
};
use serde_json::{Value, json};

use super::{
    Error, Guarded, Written,
    batches::ACTIVE,
    keys::{is_any_of, seen_in},
    keyset::{self, SortColumns},
};
use crate::{
    domain::{
        access::Scope,
        firing::{Firing, FiringCause, FiringOutcome, FiringProblem, SkipReason},
        id::{BatchId, FiringId, ScheduleId, TenantId},
        page::Page,
        problem::ProblemCode,
        text::IdempotencyKey,
    },
    entity::firing::{ActiveModel, Column, Entity, Model},
};

/// A statement has at most 32,766 parameters on SQLite, and a row 11 columns.
const ROWS_PER_INSERT: usize = 1024;

const FIRED: &str = "fired";
const QUEUED: &str = "queued";
const SKIPPED: &str = "skipped";
const FAILED: &str = "failed";

/// The firings with these ids, in no order.
pub async fn by_ids(db: &impl ConnectionTrait, scope: Scope, ids: &[FiringId]) -> Result<Vec<Firing>, Error> {
    let rows = seen(scope).filter(is_any_of(Column::Id, ids)).all(db).await?;
    rows.into_iter().map(Firing::try_from).collect()
}

/// The last firing of each of these schedules.
pub async fn last_of(
    db: &impl ConnectionTrait,
    scope: Scope,
    schedules: &[ScheduleId],
) -> Result<Vec<Firing>, Error> {
    // A look into the index for each, in one statement. `SELECT` in a FROM of its own, since a part of a UNION
    // can't have an order and a limit.
    let mut lasts = schedules.iter().map(|schedule| {
        let last = of(scope, *schedule).select_only().column(Column::Id).order_by_desc(Column::Id).limit(1);
        Query::select().column("id").from_subquery(last.into_query(), "last").to_owned()
    });
    let Some(mut ids) = lasts.next() else { return Ok(Vec::new()) };
    for last in lasts {
        ids.union(UnionType::All, last);
    }
    let rows = Entity::find().filter(Column::Id.in_subquery(ids)).all(db).await?;
    rows.into_iter().map(Firing::try_from).collect()
}

/// The rows of a page of a schedule's firings, in the order in which it is walked.
pub async fn page(
    db: &impl ConnectionTrait,
    scope: Scope,
    schedule: ScheduleId,
    page: &Page,
) -> Result<Vec<Firing>, Error> {
    let columns = SortColumns { field: None, id: Column::Id };
    let rows = keyset::cut(of(scope, schedule), page, columns).all(db).await?;
    rows.into_iter().map(Firing::try_from).collect()
}

/// How many firings a schedule has had.
pub async fn count(db: &impl ConnectionTrait, scope: Scope, schedule: ScheduleId) -> Result<u64, Error> {
    Ok(of(scope, schedule).count(db).await?)
}

/// The firing that was triggered under this key.
pub async fn by_key(
    db: &impl ConnectionTrait,
    scope: Scope,
    schedule: ScheduleId,
    key: &IdempotencyKey,
) -> Result<Option<Firing>, Error> {
    let row = of(scope, schedule).filter(Column::IdempotencyKey.eq(&**key)).one(db).await?;
    row.map(Firing::try_from).transpose()
}

/// The last instant of its timetable at which a schedule has left a record, UTC.
pub async fn last_due(
    db: &impl ConnectionTrait,
    schedule: ScheduleId,
) -> Result<Option<DateTime<Utc>>, Error> {
    // The cause said as the index has it.
    let due = Entity::find().select_only().column(Column::DueAt).filter(Expr::cust("cause = 'timetable'"));
    let last = due.filter(Column::ScheduleId.eq(schedule.uuid())).order_by_desc(Column::DueAt).limit(1);
    Ok(last.into_tuple().one(db).await?)
}

/// The firing of a schedule that waits.
pub async fn queued(db: &impl ConnectionTrait, schedule: ScheduleId) -> Result<Option<Firing>, Error> {
    let waiting = Entity::find().filter(Expr::cust("outcome = 'queued'"));
    let row = waiting.filter(Column::ScheduleId.eq(schedule.uuid())).one(db).await?;
    row.map(Firing::try_from).transpose()
}

/// What there is to do for schedules.
#[derive(Debug, Default)]
pub struct Pending {
    /// Those that are due first, each with the instant at which it is, UTC, the first of them first.
    pub due: Vec<(DateTime<Utc>, ScheduleId)>,
    /// Those whose firing waits for nothing any more: their batches have ended.
    pub released: Vec<ScheduleId>,
    /// How many others have a firing that waits, of those that were looked at.
    pub held: usize,
}

/// The schedules that are due first, and those that have a firing that waits: of each kind so many. One statement,
/// since a server asks each time it wakes up. `SELECT`s in a FROM of their own, since a part of a UNION can't have an
/// order and a limit.
pub async fn pending(db: &impl ConnectionTrait, most: u64) -> Result<Pending, Error> {
    let sql = format!(
        "SELECT id, next_at, held FROM (
            SELECT id, next_at, CAST(NULL AS boolean) AS held FROM schedules
            WHERE next_at IS NOT NULL ORDER BY next_at, id LIMIT {most}
        ) AS due
        UNION ALL
        SELECT id, next_at, held FROM (
            SELECT schedule_id AS id, CAST(NULL AS timestamp with time zone) AS next_at, EXISTS (
                SELECT 1 FROM batches WHERE {ACTIVE} AND batches.schedule_id = firings.schedule_id
            ) AS held FROM firings
            WHERE outcome = 'queued' ORDER BY 3 LIMIT {most}
        ) AS waiting"
    );
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let mut pending = Pending::default();
    for row in db.query_all_raw(statement).await? {
        let id = ScheduleId::from_uuid(row.try_get("", "id")?);
        match (row.try_get("", "next_at")?, row.try_get("", "held")?) {
            (Some(next_at), _) => pending.due.push((next_at, id)),
            (None, Some(true)) => pending.held += 1,
            (None, Some(false) | None) => pending.released.push(id),
        }
    }
    pending.due.sort_unstable();
    Ok(pending)
}

/// Adds records. `Duplicate` when one of them is there already.
pub async fn insert(
    db: &impl ConnectionTrait,
    firings: &[Firing],
    key: Option<&IdempotencyKey>,
) -> Result<Written, Error> {
    for chunk in firings.chunks(ROWS_PER_INSERT) {
        let rows = chunk.iter().map(|firing| ActiveModel {
            idempotency_key: Set(key.map(|key| key.to_string())),
            ..row(firing)
        });
        match Written::from(Entity::insert_many(rows).exec_without_returning(db).await)? {
            Written::Done => {}
            refused @ (Written::Duplicate | Written::Reference) => return Ok(refused),
        }
    }
    Ok(Written::Done)
}

/// Writes what became of a firing that has waited.
pub async fn settle(db: &impl ConnectionTrait, firing: &Firing) -> Result<Guarded, Error> {
    let update = Entity::update_many().set(row(firing));
    let update = update.filter(Column::Id.eq(firing.id.uuid())).filter(Column::Outcome.eq(QUEUED));
    Ok(Guarded::of_rows(update.exec(db).await?.rows_affected))
}

fn seen(scope: Scope) -> Select<Entity> {
    Entity::find().filter(seen_in(scope, Column::TenantId))
}

fn of(scope: Scope, schedule: ScheduleId) -> Select<Entity> {
    seen(scope).filter(Column::ScheduleId.eq(schedule.uuid()))
}

/// All columns but the idempotency key, which never changes.
fn row(firing: &Firing) -> ActiveModel {
    let (outcome, reason, batch_id, problems) = match &firing.outcome {
        FiringOutcome::Fired { batch_id } => (FIRED, None, Some(batch_id.uuid()), None),
        FiringOutcome::Queued => (QUEUED, None, None, None),
        FiringOutcome::Skipped(reason) => (SKIPPED, Some(reason.name().to_owned()), None, None),
        FiringOutcome::Failed(problems) => (FAILED, None, None, Some(problems_to_json(problems))),
    };
    ActiveModel {
        id: Set(firing.id.uuid()),
        schedule_id: Set(firing.schedule_id.uuid()),
        tenant_id: Set(firing.tenant_id.uuid()),
        due_at: Set(firing.due_at),
        cause: Set(firing.cause.name().to_owned()),
        at: Set(firing.at),
        outcome: Set(outcome.to_owned()),
        reason: Set(reason),
        batch_id: Set(batch_id),
        problems: Set(problems),
        idempotency_key: NotSet,
    }
}

/// What was wrong with a template, to be stored.
pub(super) fn problems_to_json(problems: &[FiringProblem]) -> Value {
    problems.iter().map(problem_json).collect()
}

/// The problems that were stored, if they are some.
pub(super) fn problems_from_json(stored: &Value) -> Option<Vec<FiringProblem>> {
    stored.as_array()?.iter().map(problem).collect()
}

fn problem_json(problem: &FiringProblem) -> Value {
    let FiringProblem { code, message, path } = problem;
    json!({ "code": code.name(), "message": message, "path": path })
}

fn problem(stored: &Value) -> Option<FiringProblem> {
    let text = |name| Some(stored.get(name)?.as_str()?.to_owned());
    let path = stored.get("path")?.as_array()?.iter();
    Some(FiringProblem {
        code: ProblemCode::named(&text("code")?)?,
        message: text("message")?,
        path: path.map(|step| step.as_str().map(str::to_owned)).collect::<Option<_>>()?,
    })
}

impl TryFrom<Model> for Firing {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let corrupt = |column| Error::Corrupt { table: "firings", column, id: row.id };
        let outcome = match row.outcome.as_str() {
            FIRED => {
                let batch = row.batch_id.ok_or_else(|| corrupt("batch_id"))?;
                FiringOutcome::Fired { batch_id: BatchId::from_uuid(batch) }
            }
            QUEUED => FiringOutcome::Queued,
            SKIPPED => {
                let reason = row.reason.as_deref().and_then(SkipReason::named);
                FiringOutcome::Skipped(reason.ok_or_else(|| corrupt("reason"))?)
            }
            FAILED => {
                let problems = row.problems.as_ref().and_then(problems_from_json);
                FiringOutcome::Failed(problems.ok_or_else(|| corrupt("problems"))?)
            }
            _ => return Err(corrupt("outcome")),
        };
        Ok(Self {
            id: FiringId::from_uuid(row.id),
            schedule_id: ScheduleId::from_uuid(row.schedule_id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            due_at: row.due_at,
            cause: FiringCause::named(&row.cause).ok_or_else(|| corrupt("cause"))?,
            at: row.at,
            outcome,
        })
    }
}
