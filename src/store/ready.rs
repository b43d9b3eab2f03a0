//! The lanes: a narrow row for each job that can be claimed. Who claims goes by them, so that no index of the
//! jobs' own table speaks of what changes while they run, and PostgreSQL need not touch one.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, OnConflict, Query},
};

use super::{
    Db, Error,
    columns::read_all,
    keys::{CHUNK, is_any_of},
    many::{Changes, Delete, Insert},
    sent::{Kind, Row, each},
};
use crate::{
    domain::{
        id::{BatchId, ConnectionId, JobId},
        job::{Job, JobState, JobStatus, JobType},
    },
    entity::{
        job,
        ready_job::{Column, Entity},
    },
};

/// Adds jobs that have just become ready.
pub(super) static ADD: Insert = Insert {
    table: "ready_jobs",
    columns: &[
        each("job_id", Kind::Uuid),
        each("batch_id", Kind::Uuid),
        each("type", Kind::Text),
        each("connection_id", Kind::Uuid),
        each("priority", Kind::Int),
    ],
};

/// A row of [`ADD`].
pub(super) fn row(
    job: JobId,
    batch: BatchId,
    job_type: JobType,
    connection: ConnectionId,
    priority: i32,
) -> Row {
    vec![
        job.uuid().into(),
        batch.uuid().into(),
        job_type.name().into(),
        connection.uuid().into(),
        priority.into(),
    ]
}

/// Rows of [`ADD`] for those of these jobs that can be claimed.
pub(super) fn rows_of<'j>(jobs: impl Iterator<Item = &'j Job>) -> Vec<Row> {
    jobs.filter(|job| job.state == JobState::Ready { not_before: None })
        .map(|job| row(job.id, job.batch_id, job.job_type, job.connection_id, job.priority))
        .collect()
}

/// Puts those of these jobs into their lanes that can be claimed.
pub async fn add(db: &impl ConnectionTrait, jobs: &[JobId]) -> Result<(), Error> {
    for chunk in jobs.chunks(CHUNK) {
        let columns = [
            job::Column::Id,
            job::Column::BatchId,
            job::Column::Type,
            job::Column::ConnectionId,
            job::Column::Priority,
        ];
        let ready = job::Entity::find()
            .select_only()
            .columns(columns)
            .filter(is_any_of(job::Column::Id, chunk))
            .filter(job::Column::Status.eq(JobStatus::Ready.name()))
            .filter(job::Column::NotBefore.is_null())
            .into_query();
        let mut add = Query::insert();
        add.into_table(Entity)
            .columns([Column::JobId, Column::BatchId, Column::Type, Column::ConnectionId, Column::Priority])
            .on_conflict(OnConflict::column(Column::JobId).do_nothing().to_owned());
        add.select_from(ready).map_err(|error| sea_orm::DbErr::Type(error.to_string()))?;
        db.execute(&add).await?;
    }
    Ok(())
}

/// Takes jobs out of their lanes, those that stand there.
pub fn remove(changes: &mut Changes, jobs: &[JobId]) {
    static REMOVE: Delete = Delete { table: "ready_jobs", key: each("job_id", Kind::Uuid) };
    changes.delete(&REMOVE, jobs.iter().map(|job| vec![job.uuid().into()]).collect());
}

/// Takes all jobs of a batch out of their lanes.
pub async fn remove_batch(db: &impl ConnectionTrait, batch: BatchId) -> Result<(), Error> {
    let jobs = job::Entity::find().select_only().column(job::Column::Id);
    let jobs = jobs.filter(job::Column::BatchId.eq(batch.uuid())).into_query();
    Entity::delete_many().filter(Column::JobId.in_subquery(jobs)).exec(db).await?;
    Ok(())
}

/// Ends the backoff of jobs that have waited long enough, so that they stand in their lanes again.
pub async fn end_backoffs(db: &impl Db, now: DateTime<Utc>) -> Result<(), Error> {
    let mut end = job::Entity::update_many()
        .col_expr(job::Column::NotBefore, Expr::value(None::<DateTime<Utc>>))
        .filter(job::Column::NotBefore.lte(now))
        .into_query();
    end.returning(Query::returning().column(job::Column::Id));
    let ended = read_all(db, &end, |columns| Ok(JobId::from_uuid(columns.next()?))).await?;
    add(db, &ended).await
}
