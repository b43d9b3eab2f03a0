//! What a change of a running job brings about in its batch. Whoever changes a job has locked its
//! batch before, so that all that happens in a batch happens one after the other.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Statement,
    Value, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    Db, Error,
    attempts::with_leases,
    batches,
    columns::read_all,
    keys::{CHUNK, among, is_any_of},
    many::{Changes, Update},
    ready,
    sent::{Column as Sent, Kind, Row, each, rows, same},
};
use crate::{
    domain::{
        access::Scope,
        batch::Batch,
        id::{BatchId, ConnectionId, JobId},
        job::{Job, JobStatus, JobType, RequirementKind},
        lease::LeaseHash,
    },
    entity::{
        attempt, batch,
        job::{Column, Entity},
    },
};

/// These batches, locked until the transaction ends. Always in the same order, so that nobody waits
/// in a circle.
pub async fn lock(db: &impl Db, scope: Scope, ids: &[BatchId]) -> Result<Vec<Batch>, Error> {
    let select = batches::seen(scope).filter(among(db.backend(), batch::Column::Id, ids));
    let select = select.order_by_asc(batch::Column::Id).lock_exclusive().into_query();
    read_all(db, &select, batches::batch).await
}

/// The batches to whose jobs these leases were given, locked like [`lock`] does.
pub async fn lock_by_leases(db: &impl Db, leases: &[LeaseHash]) -> Result<Vec<Batch>, Error> {
    let leased = attempt::Entity::find()
        .select_only()
        .column(attempt::Column::BatchId)
        .filter(with_leases(db.backend(), leases))
        .into_query();
    let select = batches::select().filter(batch::Column::Id.in_subquery(leased));
    let select = select.order_by_asc(batch::Column::Id).lock_exclusive().into_query();
    read_all(db, &select, batches::batch).await
}

/// Writes what has changed of batches that are locked.
pub fn write_batches(changes: &mut Changes, batches: &[Batch]) {
    static UPDATE: Update = Update {
        table: "batches",
        keys: &[each("id", Kind::Uuid)],
        columns: &[
            each("status", Kind::Text),
            each("version", Kind::Int),
            each("started_at", Kind::Time),
            each("finished_at", Kind::Time),
            each("updated_at", Kind::Time),
            each("unfinished", Kind::Int),
            each("unsuccessful", Kind::Int),
        ],
        guard: "batches.version < new.version",
    };
    let values = |batch: &Batch| -> Vec<Value> {
        vec![
            batch.id.uuid().into(),
            batch.state.status().name().into(),
            batch.version.into(),
            batch.state.started_at().into(),
            batch.state.finished_at().into(),
            batch.updated_at.into(),
            (batch.unfinished as i32).into(),
            (batch.unsuccessful as i32).into(),
        ]
    };
    changes.update(&UPDATE, batches.iter().map(values).collect());
}

/// Writes what has become of jobs that ran.
pub fn write_jobs(changes: &mut Changes, jobs: &[&Job]) {
    static UPDATE: Update = Update {
        table: "jobs",
        keys: &[each("id", Kind::Uuid)],
        columns: &[
            each("status", Kind::Text),
            each("attempt", Kind::Int),
            same("not_before", Kind::Time),
            same("started_at", Kind::Time),
            same("finished_at", Kind::Time),
            same("entered_at", Kind::Time),
            same("published_at", Kind::Time),
        ],
        guard: "jobs.status = 'running'",
    };
    let values = |job: &&Job| -> Vec<Value> {
        vec![
            job.id.uuid().into(),
            job.state.status().name().into(),
            job.attempt.into(),
            job.state.not_before().into(),
            job.state.started_at().into(),
            job.state.finished_at().into(),
            job.entered_at.into(),
            job.published_at.into(),
        ]
    };
    changes.update(&UPDATE, jobs.iter().map(values).collect());
    changes.insert(&ready::ADD, ready::rows_of(jobs.iter().copied()));
}

/// A job and one kind of requirement that others have towards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Required {
    /// The batch of the job.
    pub batch_id: BatchId,
    /// Its position there.
    pub position: u32,
    /// The kind of requirement.
    pub kind: RequirementKind,
}

/// A job that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The job.
    pub job_id: JobId,
    /// Its batch.
    pub batch_id: BatchId,
    /// How many of its requirements were not satisfied before.
    pub unsatisfied: i32,
    /// How many of those are now.
    pub satisfied: i32,
    /// Its type.
    pub job_type: JobType,
    /// The connection that it uses.
    pub connection_id: ConnectionId,
    /// The priority of its batch.
    pub priority: i32,
}

/// The blocked jobs that wait for these, in the order of their batches, and how many of their
/// requirements these are.
pub async fn waiting_for(db: &impl Db, required: &[Required]) -> Result<Vec<Waiting>, Error> {
    let mut waiting: Vec<Waiting> = Vec::new();
    for chunk in required.chunks(CHUNK) {
        let (rows, values) = sent(db, chunk)?;
        let sql = format!(
            "WITH required(batch_id, required, kind) AS ({rows})
            SELECT jobs.id, jobs.batch_id, jobs.unsatisfied, jobs.type, jobs.connection_id, jobs.priority,
                count(*) AS satisfied
            FROM required
            JOIN dependencies ON dependencies.batch_id = required.batch_id
                AND dependencies.required = required.required AND dependencies.kind = required.kind
            JOIN jobs ON jobs.batch_id = dependencies.batch_id AND jobs.position = dependencies.dependent
            WHERE jobs.status = 'blocked'
            GROUP BY jobs.id, jobs.batch_id, jobs.position, jobs.unsatisfied, jobs.type, jobs.connection_id,
                jobs.priority
            ORDER BY jobs.batch_id, jobs.position"
        );
        let statement = Statement::from_sql_and_values(db.backend(), sql, values);
        db.each_row(statement, |columns| {
            let job: Uuid = columns.next()?;
            let (batch_id, unsatisfied) = (BatchId::from_uuid(columns.next()?), columns.next()?);
            let corrupt = Error::Corrupt { table: "jobs", column: "type", id: job };
            let job_type = JobType::named(columns.next()?).ok_or(corrupt)?;
            let (connection_id, priority) = (ConnectionId::from_uuid(columns.next()?), columns.next()?);
            let satisfied = i32::try_from(columns.next::<i64>()?).unwrap_or(i32::MAX);
            let job_id = JobId::from_uuid(job);
            waiting.push(Waiting {
                job_id,
                batch_id,
                unsatisfied,
                satisfied,
                job_type,
                connection_id,
                priority,
            });
            Ok(())
        })
        .await?;
    }
    // One may wait for several of these, which were asked about in different statements.
    if required.len() > CHUNK {
        let mut sums: HashMap<JobId, i32> = HashMap::new();
        waiting.iter().for_each(|job| *sums.entry(job.job_id).or_default() += job.satisfied);
        waiting.retain_mut(|job| sums.remove(&job.job_id).map(|sum| job.satisfied = sum).is_some());
    }
    Ok(waiting)
}

/// Rows of `batch_id, required, kind`.
fn sent(db: &impl ConnectionTrait, required: &[Required]) -> Result<(String, Vec<Value>), Error> {
    const COLUMNS: [Sent; 3] =
        [each("batch_id", Kind::Uuid), each("required", Kind::Int), each("kind", Kind::Text)];
    let row = |Required { batch_id, position, kind }: &Required| -> Row {
        vec![batch_id.uuid().into(), (*position as i32).into(), kind.name().into()]
    };
    let no_job: Row = vec![Uuid::nil().into(), (-1).into(), "".into()];
    Ok(rows(db.get_database_backend(), &COLUMNS, required.iter().map(row).collect(), &no_job)?)
}

/// Writes that these jobs wait for less than they did; those that wait for nothing more are ready.
pub fn satisfy(changes: &mut Changes, waiting: &[Waiting], now: DateTime<Utc>) {
    static UPDATE: Update = Update {
        table: "jobs",
        keys: &[each("id", Kind::Uuid)],
        columns: &[
            same("status", Kind::Text),
            same("unsatisfied", Kind::Int),
            same("entered_at", Kind::Time),
        ],
        guard: "jobs.status = 'blocked' AND jobs.unsatisfied > new.unsatisfied",
    };
    static COUNT_DOWN: Update = Update {
        table: "jobs",
        keys: &[each("id", Kind::Uuid)],
        columns: &[each("unsatisfied", Kind::Int)],
        guard: "jobs.status = 'blocked' AND jobs.unsatisfied > new.unsatisfied",
    };
    let (ready, blocked): (Vec<&Waiting>, Vec<&Waiting>) =
        waiting.iter().partition(|job| job.unsatisfied <= job.satisfied);
    let values =
        |job: &&Waiting| vec![job.job_id.uuid().into(), JobStatus::Ready.name().into(), 0.into(), now.into()];
    changes.update(&UPDATE, ready.iter().map(values).collect());
    let lane =
        |job: &&Waiting| ready::row(job.job_id, job.batch_id, job.job_type, job.connection_id, job.priority);
    changes.insert(&ready::ADD, ready.iter().map(lane).collect());
    let values = |job: &&Waiting| vec![job.job_id.uuid().into(), (job.unsatisfied - job.satisfied).into()];
    changes.update(&COUNT_DOWN, blocked.iter().map(values).collect());
}

/// A job of a batch.
pub type Member = (BatchId, JobId);

/// The blocked jobs that can never start once these requirements can't be satisfied, and those that
/// require them in turn, in the order of their batches.
pub async fn doomed_by(db: &impl ConnectionTrait, required: &[Required]) -> Result<Vec<Member>, Error> {
    let mut doomed = Vec::new();
    for chunk in required.chunks(CHUNK) {
        let (rows, values) = sent(db, chunk)?;
        let sql = format!(
            "WITH RECURSIVE required(batch_id, required, kind) AS ({rows}),
            doomed(batch_id, position) AS (
                SELECT dependencies.batch_id, dependencies.dependent FROM required
                JOIN dependencies ON dependencies.batch_id = required.batch_id
                    AND dependencies.required = required.required AND dependencies.kind = required.kind
                UNION
                SELECT dependencies.batch_id, dependencies.dependent FROM doomed
                JOIN dependencies ON dependencies.batch_id = doomed.batch_id
                    AND dependencies.required = doomed.position
            )
            SELECT jobs.batch_id, jobs.id FROM doomed
            JOIN jobs ON jobs.batch_id = doomed.batch_id AND jobs.position = doomed.position
            WHERE jobs.status = 'blocked'
            ORDER BY jobs.batch_id, jobs.position"
        );
        let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
        for row in db.query_all_raw(statement).await? {
            let (batch, job): (Uuid, Uuid) = (row.try_get("", "batch_id")?, row.try_get("", "id")?);
            doomed.push((BatchId::from_uuid(batch), JobId::from_uuid(job)));
        }
    }
    doomed.sort_unstable();
    doomed.dedup();
    Ok(doomed)
}

/// Skips these blocked jobs.
pub async fn skip(db: &impl ConnectionTrait, jobs: &[JobId], now: DateTime<Utc>) -> Result<(), Error> {
    for chunk in jobs.chunks(CHUNK) {
        let skipped = Entity::update_many()
            .col_expr(Column::Status, Expr::value(JobStatus::Skipped.name()))
            .col_expr(Column::FinishedAt, Expr::value(now))
            .col_expr(Column::EnteredAt, Expr::value(now))
            .filter(is_any_of(Column::Id, chunk))
            .filter(Column::Status.eq(JobStatus::Blocked.name()))
            .exec(db)
            .await?;
        if skipped.rows_affected != chunk.len() as u64 {
            return Err(Error::Raced { table: "jobs" });
        }
    }
    Ok(())
}

/// Cancels the jobs of a batch that do not run and have not ended, and gives them in their order.
pub async fn cancel_waiting(
    db: &impl ConnectionTrait,
    batch: BatchId,
    now: DateTime<Utc>,
) -> Result<Vec<JobId>, Error> {
    let mut canceled = Entity::update_many()
        .col_expr(Column::Status, Expr::value(JobStatus::Canceled.name()))
        .col_expr(Column::NotBefore, Expr::value(None::<DateTime<Utc>>))
        .col_expr(Column::FinishedAt, Expr::value(now))
        .col_expr(Column::EnteredAt, Expr::value(now))
        .filter(Column::BatchId.eq(batch.uuid()))
        .filter(Column::Status.is_in([JobStatus::Blocked.name(), JobStatus::Ready.name()]))
        .exec_with_returning(db)
        .await?;
    ready::remove_batch(db, batch).await?;
    canceled.sort_by_key(|row| row.position);
    Ok(canceled.into_iter().map(|row| JobId::from_uuid(row.id)).collect())
}

/// Lets jobs start over that did not succeed, each with the number of requirements it must wait for.
pub async fn start_over(
    db: &impl ConnectionTrait,
    jobs: &[(&Job, usize)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    static UPDATE: Update = Update {
        table: "jobs",
        keys: &[each("id", Kind::Uuid)],
        columns: &[
            each("status", Kind::Text),
            each("unsatisfied", Kind::Int),
            each("attempt", Kind::Int),
            same("started_at", Kind::Time),
            same("finished_at", Kind::Time),
            same("entered_at", Kind::Time),
        ],
        guard: "jobs.status IN ('failed', 'skipped', 'canceled')",
    };
    let never = || Value::from(None::<DateTime<Utc>>);
    let values = |(job, unsatisfied): &(&Job, usize)| -> Vec<Value> {
        let status = if *unsatisfied == 0 { JobStatus::Ready } else { JobStatus::Blocked };
        vec![
            job.id.uuid().into(),
            status.name().into(),
            (*unsatisfied as i32).into(),
            0.into(),
            never(),
            never(),
            now.into(),
        ]
    };
    UPDATE.run(db, jobs.iter().map(values).collect()).await?;
    let ready = jobs.iter().filter(|(_, unsatisfied)| *unsatisfied == 0);
    ready::add(db, &ready.map(|(job, _)| job.id).collect::<Vec<_>>()).await
}
