//! Attempts, with their leases, and what jobs have put out.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, JoinType, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, RelationDef,
    prelude::DateTimeUtc,
    sea_query::{Expr, ExprTrait, OnConflict, SimpleExpr, extension::postgres::PgFunc},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Db, Error,
    columns::{self, ColumnList, Columns, SelectColumns, read_all},
    jobs,
    keys::{is_any_of, seen_in},
    many::{Changes, Insert, Update},
    sent::{Kind, Row, each, same},
};
use crate::{
    domain::{
        access::Scope,
        attempt::{Attempt, AttemptEnd, AttemptOutcome, JobError, Progress},
        id::{BatchId, ConnectionId, JobId},
        job::Job,
        lease::{LeaseDuration, LeaseHash},
        text::{Message, Text},
    },
    entity::{
        attempt::{Column, Entity},
        job, output,
    },
};

/// The columns of which an [`Attempt`] is made, in the order in which [`attempt`] reads them.
const COLUMNS: [Column; 17] = [
    Column::JobId,
    Column::Number,
    Column::BatchId,
    Column::LeaseHash,
    Column::Worker,
    Column::StartedAt,
    Column::LeaseSeconds,
    Column::ExpiresAt,
    Column::FinishedAt,
    Column::Outcome,
    Column::ErrorCode,
    Column::ErrorMessage,
    Column::Records,
    Column::Bytes,
    Column::Total,
    Column::Message,
    Column::ProgressAt,
];

/// The attempts with these leases, each with its job, in no order.
pub async fn with_jobs(db: &impl Db, leases: &[LeaseHash]) -> Result<Vec<(Attempt, Job)>, Error> {
    let of_job: RelationDef = job::Entity::belongs_to(Entity).from(job::Column::Id).to(Column::JobId).into();
    let select = jobs::select()
        .columns(COLUMNS)
        .join(JoinType::InnerJoin, of_job)
        .filter(with_leases(db.backend(), leases));
    read_all(db, &select.into_query(), |columns| {
        let job = jobs::job(columns)?;
        Ok((attempt(columns)?, job))
    })
    .await
}

/// The attempts with these leases that have neither ended nor expired, locked until the transaction
/// ends. Always in the same order, so that nobody waits in a circle.
pub async fn lock_running(
    db: &impl Db,
    leases: &[LeaseHash],
    now: DateTime<Utc>,
) -> Result<Vec<Attempt>, Error> {
    let running = select()
        .filter(with_leases(db.backend(), leases))
        .filter(Column::Outcome.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .order_by_asc(Column::JobId)
        .lock_exclusive();
    read_all(db, &running.into_query(), attempt).await
}

fn select() -> SelectColumns {
    static LIST: ColumnList = ColumnList::new(|| columns::list(COLUMNS));
    SelectColumns::of(Entity, &LIST)
}

/// `lease_hash IN (leases…)`, filled up like [`any_of`](super::keys::any_of) does; see
/// [`among`](super::keys::among).
pub(super) fn with_leases(backend: DbBackend, leases: &[LeaseHash]) -> SimpleExpr {
    if backend == DbBackend::Postgres {
        let hashes: Vec<Vec<u8>> = leases.iter().map(|hash| hash.bytes().to_vec()).collect();
        return Expr::col((Entity, Column::LeaseHash)).eq(PgFunc::any(hashes));
    }
    let padding = leases.last().into_iter().cycle();
    let hashes = leases.iter().chain(padding).take(leases.len().next_power_of_two());
    Column::LeaseHash.is_in(hashes.map(|hash| hash.bytes().to_vec()))
}

/// The attempts at these jobs, oldest first.
pub async fn of_jobs(db: &impl Db, scope: Scope, jobs: &[JobId]) -> Result<Vec<Attempt>, Error> {
    let select = select().filter(of_seen_jobs(Column::JobId, scope, jobs));
    let select = select.order_by_asc(Column::JobId).order_by_asc(Column::Number);
    read_all(db, &select.into_query(), attempt).await
}

/// Rows of those of these jobs that the scope contains. `job_id` is the column with the id of the row's job.
fn of_seen_jobs(job_id: impl ColumnTrait, scope: Scope, jobs: &[JobId]) -> Condition {
    let seen = scope.tenant().map(|_| {
        let seen = job::Entity::find().select_only().column(job::Column::Id);
        let seen =
            seen.filter(is_any_of(job::Column::Id, jobs)).filter(seen_in(scope, job::Column::TenantId));
        job_id.in_subquery(seen.into_query())
    });
    Condition::all().add(is_any_of(job_id, jobs)).add_option(seen)
}

/// The leases that have expired by now, those that did so first first.
pub async fn expired(
    db: &impl ConnectionTrait,
    now: DateTime<Utc>,
    most: u64,
) -> Result<Vec<LeaseHash>, Error> {
    let running = Entity::find().filter(Column::Outcome.is_null()).filter(Column::ExpiresAt.lte(now));
    let rows = running.order_by_asc(Column::ExpiresAt).limit(most).all(db).await?;
    Ok(rows.into_iter().map(|row| LeaseHash::stored(row.lease_hash)).collect())
}

/// When the next lease expires.
pub async fn next_expiry(db: &impl ConnectionTrait) -> Result<Option<DateTime<Utc>>, Error> {
    let running = Entity::find().filter(Column::Outcome.is_null());
    let next = running.order_by_asc(Column::ExpiresAt).limit(1).one(db).await?;
    Ok(next.map(|row| row.expires_at))
}

/// Adds attempts that have just started, each with the connection that its job uses.
pub fn insert(changes: &mut Changes, attempts: &[(Attempt, ConnectionId)]) {
    static INSERT: Insert = Insert {
        table: "attempts",
        columns: &[
            each("job_id", Kind::Uuid),
            each("number", Kind::Int),
            each("batch_id", Kind::Uuid),
            each("connection_id", Kind::Uuid),
            each("lease_hash", Kind::Bytes),
            same("worker", Kind::Text),
            same("started_at", Kind::Time),
            same("lease_seconds", Kind::Int),
            same("expires_at", Kind::Time),
        ],
    };
    let values = |(attempt, connection): &(Attempt, ConnectionId)| -> Row {
        vec![
            attempt.job_id.uuid().into(),
            attempt.number.into(),
            attempt.batch_id.uuid().into(),
            connection.uuid().into(),
            attempt.lease_hash.bytes().to_vec().into(),
            (&*attempt.worker).into(),
            attempt.started_at.into(),
            attempt.lease_duration.seconds().into(),
            attempt.expires_at.into(),
        ]
    };
    changes.insert(&INSERT, attempts.iter().map(values).collect());
}

/// Writes how attempts have ended, or how far they are. They must not have ended before.
pub fn update(changes: &mut Changes, attempts: &[&Attempt]) {
    static UPDATE: Update = Update {
        table: "attempts",
        keys: &[each("job_id", Kind::Uuid), each("number", Kind::Int)],
        columns: &[
            same("expires_at", Kind::Time),
            same("finished_at", Kind::Time),
            each("outcome", Kind::Text),
            same("error_code", Kind::Text),
            same("error_message", Kind::Text),
            same("records", Kind::BigInt),
            same("bytes", Kind::BigInt),
            same("total", Kind::BigInt),
            same("message", Kind::Text),
            same("progress_at", Kind::Time),
        ],
        // Not said as the partial indexes say it, for which PostgreSQL would go through all that run.
        guard: "attempts.finished_at IS NULL",
    };
    let values = |attempt: &&Attempt| -> Row {
        let end = attempt.end.as_ref();
        let error = end.and_then(|end| end.error.as_ref());
        let progress = attempt.progress.as_ref();
        vec![
            attempt.job_id.uuid().into(),
            attempt.number.into(),
            attempt.expires_at.into(),
            end.map(|end| end.at).into(),
            end.map(|end| end.outcome.name()).into(),
            error.map(|error| &*error.code).into(),
            error.map(|error| &*error.message).into(),
            progress.and_then(|progress| progress.records).into(),
            progress.and_then(|progress| progress.bytes).into(),
            progress.and_then(|progress| progress.total).into(),
            progress.and_then(|progress| progress.message.as_deref()).into(),
            progress.map(|progress| progress.at).into(),
        ]
    };
    // In the order in which heartbeats lock them.
    let mut attempts = attempts.to_vec();
    attempts.sort_unstable_by_key(|attempt| attempt.job_id);
    changes.update(&UPDATE, attempts.iter().map(values).collect());
}

/// What these jobs have put out, those that have.
pub async fn outputs(
    db: &impl ConnectionTrait,
    scope: Scope,
    jobs: &[JobId],
) -> Result<Vec<(JobId, Value)>, Error> {
    let rows =
        output::Entity::find().filter(of_seen_jobs(output::Column::JobId, scope, jobs)).all(db).await?;
    Ok(rows.into_iter().map(|row| (JobId::from_uuid(row.job_id), row.output)).collect())
}

/// Writes what jobs have put out, in place of what they put out before.
pub async fn put_out(db: &impl ConnectionTrait, outputs: Vec<(JobId, Value)>) -> Result<(), Error> {
    if outputs.is_empty() {
        return Ok(());
    }
    let rows = outputs
        .into_iter()
        .map(|(job, output)| output::ActiveModel { job_id: Set(job.uuid()), output: Set(output) });
    let replace = OnConflict::column(output::Column::JobId).update_column(output::Column::Output).to_owned();
    output::Entity::insert_many(rows).on_conflict(replace).exec_without_returning(db).await?;
    Ok(())
}

/// Forgets what these jobs have put out: they start over.
pub async fn forget_outputs(db: &impl ConnectionTrait, jobs: &[JobId]) -> Result<(), Error> {
    if jobs.is_empty() {
        return Ok(());
    }
    output::Entity::delete_many().filter(is_any_of(output::Column::JobId, jobs)).exec(db).await?;
    Ok(())
}

/// An attempt, from its [`COLUMNS`].
fn attempt(columns: &mut Columns<'_>) -> Result<Attempt, Error> {
    let job_id: Uuid = columns.next()?;
    let number = columns.next()?;
    let batch_id = BatchId::from_uuid(columns.next()?);
    let lease_hash = LeaseHash::stored(columns.next()?);
    let worker = Text::stored(columns.next()?);
    let started_at = columns.next()?;
    let lease_duration = LeaseDuration::stored(columns.next()?);
    let expires_at = columns.next()?;
    let (finished_at, outcome): (Option<DateTimeUtc>, Option<&str>) = (columns.next()?, columns.next()?);
    let (error_code, error_message): (Option<String>, Option<String>) = (columns.next()?, columns.next()?);
    let (records, bytes, total) = (columns.next()?, columns.next()?, columns.next()?);
    let (message, progress_at): (Option<String>, Option<DateTimeUtc>) = (columns.next()?, columns.next()?);
    let corrupt = |column| Error::Corrupt { table: "attempts", column, id: job_id };
    let end = match (finished_at, outcome) {
        (None, None) => None,
        (Some(at), Some(outcome)) => Some(AttemptEnd {
            at,
            outcome: AttemptOutcome::named(outcome).ok_or_else(|| corrupt("outcome"))?,
            error: match (error_code, error_message) {
                (None, None) => None,
                (Some(code), Some(message)) => {
                    Some(JobError { code: Text::stored(code), message: Message::stored(message), at })
                }
                (Some(_), None) | (None, Some(_)) => return Err(corrupt("error_code")),
            },
        }),
        (Some(_), None) | (None, Some(_)) => return Err(corrupt("outcome")),
    };
    let message = message.map(Message::stored);
    let progress = progress_at.map(|at| Progress { records, bytes, total, message, at });
    Ok(Attempt {
        job_id: JobId::from_uuid(job_id),
        batch_id,
        number,
        lease_hash,
        lease_duration,
        worker,
        started_at,
        expires_at,
        end,
        progress,
    })
}
