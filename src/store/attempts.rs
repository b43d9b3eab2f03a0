//! Attempts, with their leases, and what jobs have put out.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{OnConflict, SimpleExpr},
};
use serde_json::Value;

use super::{
    Error,
    keys::{is_any_of, seen_in},
    many::{Insert, Kind, Update},
};
use crate::{
    domain::{
        access::Scope,
        attempt::{Attempt, AttemptEnd, AttemptOutcome, JobError, Progress},
        id::{BatchId, JobId},
        lease::{LeaseDuration, LeaseHash},
        text::{Message, Text},
    },
    entity::{
        attempt::{Column, Entity, Model},
        job, output,
    },
};

/// The attempts with these leases, in no order.
pub async fn by_leases(db: &impl ConnectionTrait, leases: &[LeaseHash]) -> Result<Vec<Attempt>, Error> {
    let rows = Entity::find().filter(with_leases(leases)).all(db).await?;
    rows.into_iter().map(Attempt::try_from).collect()
}

/// The attempts with these leases that have neither ended nor expired, locked until the transaction
/// ends. Always in the same order, so that nobody waits in a circle.
pub async fn lock_running(
    db: &impl ConnectionTrait,
    leases: &[LeaseHash],
    now: DateTime<Utc>,
) -> Result<Vec<Attempt>, Error> {
    let rows = Entity::find()
        .filter(with_leases(leases))
        .filter(Column::Outcome.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .order_by_asc(Column::JobId)
        .lock_exclusive()
        .all(db)
        .await?;
    rows.into_iter().map(Attempt::try_from).collect()
}

/// `lease_hash IN (leases…)`, filled up like [`any_of`](super::keys::any_of) does.
pub(super) fn with_leases(leases: &[LeaseHash]) -> SimpleExpr {
    let padding = leases.last().into_iter().cycle();
    let hashes = leases.iter().chain(padding).take(leases.len().next_power_of_two());
    Column::LeaseHash.is_in(hashes.map(|hash| hash.bytes().to_vec()))
}

/// The attempts at these jobs, oldest first.
pub async fn of_jobs(db: &impl ConnectionTrait, scope: Scope, jobs: &[JobId]) -> Result<Vec<Attempt>, Error> {
    let select = Entity::find().filter(of_seen_jobs(Column::JobId, scope, jobs));
    let rows = select.order_by_asc(Column::JobId).order_by_asc(Column::Number).all(db).await?;
    rows.into_iter().map(Attempt::try_from).collect()
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

/// Adds attempts that have just started.
pub async fn insert(db: &impl ConnectionTrait, attempts: &[Attempt]) -> Result<(), Error> {
    const INSERT: Insert = Insert {
        table: "attempts",
        columns: &[
            ("job_id", Kind::Uuid),
            ("number", Kind::Int),
            ("batch_id", Kind::Uuid),
            ("lease_hash", Kind::Bytes),
            ("worker", Kind::Text),
            ("started_at", Kind::Time),
            ("lease_seconds", Kind::Int),
            ("expires_at", Kind::Time),
        ],
    };
    let values = |attempt: &Attempt| -> Vec<sea_orm::Value> {
        vec![
            attempt.job_id.uuid().into(),
            attempt.number.into(),
            attempt.batch_id.uuid().into(),
            attempt.lease_hash.bytes().to_vec().into(),
            (&*attempt.worker).into(),
            attempt.started_at.into(),
            attempt.lease_duration.seconds().into(),
            attempt.expires_at.into(),
        ]
    };
    INSERT.run(db, &attempts.iter().map(values).collect::<Vec<_>>()).await
}

/// Writes how attempts have ended, or how far they are. They must not have ended before.
pub async fn update(db: &impl ConnectionTrait, attempts: &[&Attempt]) -> Result<(), Error> {
    const UPDATE: Update = Update {
        table: "attempts",
        keys: &[("job_id", Kind::Uuid), ("number", Kind::Int)],
        columns: &[
            ("expires_at", Kind::Time),
            ("finished_at", Kind::Time),
            ("outcome", Kind::Text),
            ("error_code", Kind::Text),
            ("error_message", Kind::Text),
            ("records", Kind::BigInt),
            ("bytes", Kind::BigInt),
            ("total", Kind::BigInt),
            ("message", Kind::Text),
            ("progress_at", Kind::Time),
        ],
        guard: "attempts.outcome IS NULL",
    };
    let values = |attempt: &&Attempt| -> Vec<sea_orm::Value> {
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
    UPDATE.run(db, &attempts.iter().map(values).collect::<Vec<_>>()).await
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

impl TryFrom<Model> for Attempt {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let corrupt = |column| Error::Corrupt { table: "attempts", column, id: row.job_id };
        let end = match (row.finished_at, row.outcome) {
            (None, None) => None,
            (Some(at), Some(outcome)) => Some(AttemptEnd {
                at,
                outcome: AttemptOutcome::named(&outcome).ok_or_else(|| corrupt("outcome"))?,
                error: match (row.error_code, row.error_message) {
                    (None, None) => None,
                    (Some(code), Some(message)) => {
                        Some(JobError { code: Text::stored(code), message: Message::stored(message), at })
                    }
                    (Some(_), None) | (None, Some(_)) => return Err(corrupt("error_code")),
                },
            }),
            (Some(_), None) | (None, Some(_)) => return Err(corrupt("outcome")),
        };
        let progress = row.progress_at.map(|at| Progress {
            records: row.records,
            bytes: row.bytes,
            total: row.total,
            message: row.message.map(Message::stored),
            at,
        });
        Ok(Self {
            job_id: JobId::from_uuid(row.job_id),
            batch_id: BatchId::from_uuid(row.batch_id),
            number: row.number,
            lease_hash: LeaseHash::stored(row.lease_hash),
            lease_duration: LeaseDuration::stored(row.lease_seconds),
            worker: Text::stored(row.worker),
            started_at: row.started_at,
            expires_at: row.expires_at,
            end,
            progress,
        })
    }
}
