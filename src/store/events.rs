//! The history. Events are appended in the transaction that makes the change, and read in the order of
//! commits: on PostgreSQL that of the transactions' numbers, and none is read while an older
//! transaction could still add one before it.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Statement,
    sea_query::{Expr, ExprTrait, Order as SqlOrder, Query, SimpleExpr},
};
use serde_json::{Map, Value, json};

use super::{
    Error,
    keys::seen_in,
    many::{Changes, Insert},
    sent::{Kind, each, same},
    trim,
};
use crate::{
    domain::{
        access::Scope,
        attempt::JobError,
        event::{Actor, Change, Event, EventFilter, EventKind, EventPosition, NewEvent, Subject},
        id::{BackfillId, BatchId, JobId, ScheduleId, TenantId},
        list::Direction,
        page::Page,
        text::{Message, Text},
        veil::Veil,
    },
    entity::{
        backfill,
        event::{Column, Entity, Model},
        job,
    },
};

/// Appends events, in this order.
pub async fn append(db: &impl ConnectionTrait, events: &[NewEvent]) -> Result<(), Error> {
    let mut changes = Changes::default();
    append_with(&mut changes, events);
    changes.write(db).await
}

/// Appends events, in this order, when these changes are written.
pub fn append_with(changes: &mut Changes, events: &[NewEvent]) {
    static INSERT: Insert = Insert {
        table: "events",
        columns: &[
            same("at", Kind::Time),
            each("kind", Kind::Text),
            each("actor", Kind::Text),
            same("tenant_id", Kind::Uuid),
            each("batch_id", Kind::Uuid),
            each("job_id", Kind::Uuid),
            same("schedule_id", Kind::Uuid),
            same("backfill_id", Kind::Uuid),
            each("attempt", Kind::Int),
            same("data", Kind::Json),
        ],
    };
    let values = |event: &NewEvent| -> Vec<sea_orm::Value> {
        vec![
            event.at.into(),
            event.change.kind().name().into(),
            event.actor.to_string().into(),
            event.tenant_id.uuid().into(),
            event.subject.batch().map(BatchId::uuid).into(),
            event.subject.job().map(JobId::uuid).into(),
            event.subject.schedule().map(ScheduleId::uuid).into(),
            event.subject.backfill().map(BackfillId::uuid).into(),
            event.change.attempt().into(),
            data(&event.change).into(),
        ]
    };
    changes.insert(&INSERT, events.iter().map(values).collect());
}

/// The events after this position that the filter lets through, in order.
pub async fn after(
    db: &impl ConnectionTrait,
    veil: &Veil,
    scope: Scope,
    position: EventPosition,
    filter: &EventFilter,
    most: u64,
) -> Result<Vec<Event>, Error> {
    let select = visible(db, scope, filter).filter(beyond(db, position, Direction::Ascending));
    let rows = select.order_by_asc(Column::Xact).order_by_asc(Column::Id).limit(most).all(db).await?;
    rows.into_iter().map(|row| event(row, veil)).collect()
}

/// Where the history ends now, as readers see it.
pub async fn end(db: &impl ConnectionTrait) -> Result<EventPosition, Error> {
    let last = visible(db, Scope::SLUICE, &EventFilter::default())
        .order_by_desc(Column::Xact)
        .order_by_desc(Column::Id)
        .limit(1)
        .one(db)
        .await?;
    match last {
        Some(row) => Ok(EventPosition { transaction: row.xact, id: row.id }),
        // What there was may have been kept long enough.
        None => Ok(trim::start(db).await?.position),
    }
}

/// Whether there are events that no reader sees yet: an older transaction is still open.
pub async fn some_are_hidden(db: &impl ConnectionTrait) -> Result<bool, Error> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(false);
    }
    let hidden = Entity::find().filter(Expr::cust(format!("NOT ({VISIBLE})"))).limit(1).one(db).await?;
    Ok(hidden.is_some())
}

/// Between which positions the events of a page are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Between {
    /// Only those that follow it in the order of the list.
    pub after: Option<EventPosition>,
    /// Only those that precede it.
    pub before: Option<EventPosition>,
}

/// The rows of a page, in the order in which it is walked. Its keys are cursors: `between` is where they stand.
pub async fn page(
    db: &impl ConnectionTrait,
    veil: &Veil,
    scope: Scope,
    filter: &EventFilter,
    page: &Page,
    between: Between,
) -> Result<Vec<Event>, Error> {
    let mut select = visible(db, scope, filter).limit(page.rows_to_fetch());
    for (position, follows) in
        [(between.after, page.order.direction), (between.before, page.order.direction.reversed())]
    {
        if let Some(position) = position {
            select = select.filter(beyond(db, position, follows));
        }
    }
    let order = match page.walk() {
        Direction::Ascending => SqlOrder::Asc,
        Direction::Descending => SqlOrder::Desc,
    };
    let rows = select.order_by(Column::Xact, order.clone()).order_by(Column::Id, order).all(db).await?;
    rows.into_iter().map(|row| event(row, veil)).collect()
}

/// How many events the filter lets through.
pub async fn count(db: &impl ConnectionTrait, scope: Scope, filter: &EventFilter) -> Result<u64, Error> {
    Ok(visible(db, scope, filter).count(db).await?)
}

/// PostgreSQL: every transaction below this has ended.
const VISIBLE: &str = "xact < pg_snapshot_xmin(pg_current_snapshot())::text::bigint";

pub(super) fn visible(db: &impl ConnectionTrait, scope: Scope, filter: &EventFilter) -> Select<Entity> {
    let EventFilter { tenant_id, batch_id, job_id, schedule_id, backfill_id, kinds } = filter;
    let kinds = (!kinds.is_empty()).then(|| Column::Kind.is_in(kinds.iter().map(|kind| kind.name())));
    // By way of its batch, which has an index.
    let of_batch_of = |job: &JobId| {
        let batch = Query::select()
            .column(job::Column::BatchId)
            .from(job::Entity)
            .and_where(job::Column::Id.eq(job.uuid()))
            .to_owned();
        Column::BatchId.in_subquery(batch)
    };
    // By way of its schedule, as well.
    let of_schedule_of = |backfill: &BackfillId| {
        let schedule = Query::select()
            .column(backfill::Column::ScheduleId)
            .from(backfill::Entity)
            .and_where(backfill::Column::Id.eq(backfill.uuid()))
            .to_owned();
        Column::ScheduleId.in_subquery(schedule)
    };
    let visible = (db.get_database_backend() == DbBackend::Postgres).then(|| Expr::cust(VISIBLE));
    let all = Condition::all()
        .add_option(tenant_id.map(|tenant| Column::TenantId.eq(tenant.uuid())))
        .add_option(batch_id.map(|batch| Column::BatchId.eq(batch.uuid())))
        .add_option(job_id.as_ref().map(of_batch_of))
        .add_option(job_id.map(|job| Column::JobId.eq(job.uuid())))
        .add_option(schedule_id.map(|schedule| Column::ScheduleId.eq(schedule.uuid())))
        .add_option(backfill_id.as_ref().map(of_schedule_of))
        .add_option(backfill_id.map(|backfill| Column::BackfillId.eq(backfill.uuid())))
        .add_option(kinds)
        .add_option(visible);
    Entity::find().filter(seen_in(scope, Column::TenantId)).filter(all)
}

/// How an event stands to a position.
#[derive(Clone, Copy)]
pub(super) enum Stands {
    /// It precedes it.
    Before,
    /// It precedes it, or is the one.
    UpTo,
    /// It follows it.
    After,
}

fn beyond(db: &impl ConnectionTrait, position: EventPosition, direction: Direction) -> SimpleExpr {
    let stands = match direction {
        Direction::Ascending => Stands::After,
        Direction::Descending => Stands::Before,
    };
    stands.to(db, position)
}

impl Stands {
    /// The condition that it does.
    pub(super) fn to(self, db: &impl ConnectionTrait, position: EventPosition) -> SimpleExpr {
        let EventPosition { transaction, id } = position;
        match db.get_database_backend() {
            DbBackend::Postgres => {
                let columns = Expr::tuple([Expr::col(Column::Xact), Expr::col(Column::Id)]);
                self.compare(columns, Expr::tuple([Expr::val(transaction), Expr::val(id)]))
            }
            // All are of the same transaction. SQLite does not look up both columns where they are compared together,
            // and reads all events of that one.
            _ => Column::Xact.eq(transaction).and(self.compare(Expr::col(Column::Id), Expr::val(id))),
        }
    }

    fn compare(self, left: SimpleExpr, right: SimpleExpr) -> SimpleExpr {
        match self {
            Self::Before => left.lt(right),
            Self::UpTo => left.lte(right),
            Self::After => left.gt(right),
        }
    }
}

/// Puts a history that was restored into another PostgreSQL before all that is to come: there the
/// transactions' numbers may be lower than those that the events bear.
pub async fn rebase(db: &impl ConnectionTrait) -> Result<(), Error> {
    if db.get_database_backend() == DbBackend::Postgres {
        const LATER: &str = "xact >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
        for sql in [
            // First: events that were deleted must not seem to be later than what is left.
            format!(
                "UPDATE history_start SET xact = 0 WHERE {LATER} OR EXISTS (SELECT FROM events WHERE {LATER})"
            ),
            format!("UPDATE events SET xact = 0 WHERE EXISTS (SELECT FROM events WHERE {LATER})"),
        ] {
            db.execute_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        }
    }
    Ok(())
}

/// What a change holds beside the attempt.
fn data(change: &Change) -> Option<Value> {
    if let Some(object) = change.object() {
        return Some(json!({ "object": object }));
    }
    let error = change.error()?;
    let mut data = Map::new();
    data.insert("code".into(), json!(&*error.code));
    data.insert("message".into(), json!(&*error.message));
    if let Some(not_before) = change.not_before() {
        data.insert("not_before".into(), json!(not_before.timestamp_micros()));
    }
    Some(Value::Object(data))
}

/// The change that was stored; an error names the column that is wrong.
fn change(kind: EventKind, row: &Model) -> Result<Change, &'static str> {
    let attempt = row.attempt.ok_or("attempt");
    let text = |name| Some(row.data.as_ref()?.get(name)?.as_str()?.to_owned());
    let error = || -> Result<JobError, &'static str> {
        let (code, message) = text("code").zip(text("message")).ok_or("data")?;
        Ok(JobError { code: Text::stored(code), message: Message::stored(message), at: row.at })
    };
    let not_before = || {
        let micros = row.data.as_ref().and_then(|data| data.get("not_before")?.as_i64());
        micros.and_then(DateTime::<Utc>::from_timestamp_micros).ok_or("data")
    };
    Ok(match kind {
        EventKind::BatchCreated => Change::BatchCreated,
        EventKind::BatchReplaced => Change::BatchReplaced,
        EventKind::BatchDeleted => Change::BatchDeleted,
        EventKind::BatchStarted => Change::BatchStarted,
        EventKind::BatchCanceling => Change::BatchCanceling,
        EventKind::BatchRetried => Change::BatchRetried,
        EventKind::BatchSucceeded => Change::BatchSucceeded,
        EventKind::BatchFailed => Change::BatchFailed,
        EventKind::BatchCanceled => Change::BatchCanceled,
        EventKind::JobReady => Change::JobReady,
        EventKind::JobBlocked => Change::JobBlocked,
        EventKind::JobStarted => Change::JobStarted { attempt: attempt? },
        EventKind::LoadPublished => Change::LoadPublished { attempt: attempt? },
        EventKind::JobSucceeded => Change::JobSucceeded { attempt: attempt? },
        EventKind::AttemptFailed => {
            Change::AttemptFailed { attempt: attempt?, error: error()?, not_before: not_before()? }
        }
        EventKind::JobReleased => Change::JobReleased { attempt: attempt? },
        EventKind::JobFailed => Change::JobFailed { attempt: attempt?, error: error()? },
        EventKind::JobSkipped => Change::JobSkipped,
        EventKind::JobCanceled => Change::JobCanceled,
        EventKind::ScheduleCreated => Change::ScheduleCreated,
        EventKind::ScheduleUpdated => Change::ScheduleUpdated,
        EventKind::ScheduleDeleted => Change::ScheduleDeleted,
        EventKind::SchedulePaused => Change::SchedulePaused,
        EventKind::ScheduleResumed => Change::ScheduleResumed,
        EventKind::FiringQueued => Change::FiringQueued,
        EventKind::FiringSkipped => Change::FiringSkipped,
        EventKind::FiringFailed => {
            Change::FiringFailed { error: row.data.as_ref().map(|_| error()).transpose()? }
        }
        EventKind::WatermarkReset => {
            Change::WatermarkReset { object: text("object").map(Text::stored).ok_or("data")? }
        }
        EventKind::BackfillCreated => Change::BackfillCreated,
        EventKind::BackfillPaused => Change::BackfillPaused,
        EventKind::BackfillResumed => Change::BackfillResumed,
        EventKind::BackfillCanceling => Change::BackfillCanceling,
        EventKind::BackfillCanceled => Change::BackfillCanceled,
        EventKind::BackfillRetried => Change::BackfillRetried,
        EventKind::BackfillSucceeded => Change::BackfillSucceeded,
        EventKind::BackfillFailed => Change::BackfillFailed,
    })
}

fn subject(row: &Model) -> Option<Subject> {
    let schedule = row.schedule_id.map(ScheduleId::from_uuid);
    Some(match (row.batch_id, row.job_id, schedule, row.backfill_id) {
        (Some(batch), None, None, None) => Subject::Batch(BatchId::from_uuid(batch)),
        (Some(batch), Some(job), None, None) => {
            Subject::Job(BatchId::from_uuid(batch), JobId::from_uuid(job))
        }
        (None, None, Some(schedule), None) => Subject::Schedule(schedule),
        (None, None, Some(schedule), Some(backfill)) => {
            Subject::Backfill(schedule, BackfillId::from_uuid(backfill))
        }
        _ => return None,
    })
}

/// An event, with the cursor that this veil makes of its position.
fn event(row: Model, veil: &Veil) -> Result<Event, Error> {
    let position = EventPosition { transaction: row.xact, id: row.id };
    let corrupt = |column| Error::Corrupt { table: "events", column, id: position.key() };
    let kind = EventKind::named(&row.kind).ok_or_else(|| corrupt("kind"))?;
    Ok(Event {
        position,
        cursor: veil.cover(position.key()),
        event: NewEvent {
            at: row.at,
            actor: Actor::stored(&row.actor).ok_or_else(|| corrupt("actor"))?,
            tenant_id: TenantId::from_uuid(row.tenant_id),
            subject: subject(&row).ok_or_else(|| corrupt("batch_id"))?,
            change: change(kind, &row).map_err(corrupt)?,
        },
    })
}
