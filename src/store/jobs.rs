//! Jobs.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult,
    PaginatorTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, Select,
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Error, Written,
    batches::window,
    columns::Columns,
    keys::is_any_of,
    keyset::{self, SortColumns},
};
use crate::{
    domain::{
        id::{BatchId, ConnectionId, JobId, TenantId},
        job::{Job, JobCounts, JobState, JobStatus, JobType, RequiredObjects, RequirementKind},
        list::JobFilter,
        page::Page,
        since::Since,
        text::Text,
    },
    entity::job::{ActiveModel, Column, Entity, Model},
};

/// A statement has at most 32,766 parameters on SQLite, and a row 26 columns.
const ROWS_PER_INSERT: usize = 1024;

/// The jobs with these ids, in no order.
pub async fn by_ids(db: &impl ConnectionTrait, ids: &[JobId]) -> Result<Vec<Job>, Error> {
    let rows = Entity::find().filter(is_any_of(Column::Id, ids)).all(db).await?;
    rows.into_iter().map(Job::try_from).collect()
}

/// The jobs of these batches, batch by batch, each in the order given.
pub async fn of_batches(db: &impl ConnectionTrait, batches: &[BatchId]) -> Result<Vec<Job>, Error> {
    let select = Entity::find()
        .filter(is_any_of(Column::BatchId, batches))
        .order_by_asc(Column::BatchId)
        .order_by_asc(Column::Position)
        .into_query();
    db.query_all(&select).await?.iter().map(|row| Job::try_from(model(row)?)).collect()
}

/// A whole row, in the order of its columns.
fn model(row: &QueryResult) -> Result<Model, DbErr> {
    let columns = &mut Columns::of(row);
    Ok(Model {
        id: columns.next()?,
        batch_id: columns.next()?,
        tenant_id: columns.next()?,
        position: columns.next()?,
        revision: columns.next()?,
        r#type: columns.next()?,
        object: columns.next()?,
        grain: columns.next()?,
        connection_id: columns.next()?,
        since: columns.next()?,
        updated_since: columns.next()?,
        allow_delete: columns.next()?,
        required_objects: columns.next()?,
        wave: columns.next()?,
        unsatisfied: columns.next()?,
        status: columns.next()?,
        attempt: columns.next()?,
        max_attempts: columns.next()?,
        not_before: columns.next()?,
        created_at: columns.next()?,
        started_at: columns.next()?,
        finished_at: columns.next()?,
        priority: columns.next()?,
        last_attempt: columns.next()?,
        entered_at: columns.next()?,
        published_at: columns.next()?,
    })
}

/// The rows of a page, in the order in which it is walked.
pub async fn page(db: &impl ConnectionTrait, filter: &JobFilter, page: &Page) -> Result<Vec<Job>, Error> {
    let columns = SortColumns { field: None, id: Column::Id };
    let rows = keyset::cut(matching(filter), page, columns).all(db).await?;
    rows.into_iter().map(Job::try_from).collect()
}

/// How many jobs the filter lets through.
pub async fn count(db: &impl ConnectionTrait, filter: &JobFilter) -> Result<u64, Error> {
    Ok(matching(filter).count(db).await?)
}

fn matching(filter: &JobFilter) -> Select<Entity> {
    let JobFilter { tenant_id, batch_id, connection_id, statuses, job_type, object } = filter;
    let statuses =
        (!statuses.is_empty()).then(|| Column::Status.is_in(statuses.iter().map(|status| status.name())));
    let all = Condition::all()
        .add_option(tenant_id.map(|tenant| Column::TenantId.eq(tenant.uuid())))
        .add_option(batch_id.map(|batch| Column::BatchId.eq(batch.uuid())))
        .add_option(connection_id.map(|connection| Column::ConnectionId.eq(connection.uuid())))
        .add_option(statuses)
        .add_option(job_type.map(|job_type| Column::Type.eq(job_type.name())))
        .add_option(object.as_deref().map(|object| Column::Object.eq(object)));
    Entity::find().filter(all)
}

/// How many jobs of a batch are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedJobs {
    /// The revision of the definition that they belong to.
    pub revision: i32,
    /// The counts.
    pub counts: JobCounts,
}

#[derive(FromQueryResult)]
struct StatusCount {
    batch_id: Uuid,
    revision: i32,
    status: String,
    jobs: i64,
}

/// How many jobs of each of these batches are in each state.
pub async fn counts(
    db: &impl ConnectionTrait,
    batches: &[BatchId],
) -> Result<HashMap<BatchId, CountedJobs>, Error> {
    let rows = Entity::find()
        .select_only()
        .columns([Column::BatchId, Column::Revision, Column::Status])
        .column_as(Column::Id.count(), "jobs")
        .filter(is_any_of(Column::BatchId, batches))
        .group_by(Column::BatchId)
        .group_by(Column::Revision)
        .group_by(Column::Status)
        .into_model::<StatusCount>()
        .all(db)
        .await?;
    let mut counted: HashMap<BatchId, CountedJobs> = HashMap::new();
    for StatusCount { batch_id, revision, status, jobs } in rows {
        let status = JobStatus::named(&status).ok_or(Error::Corrupt {
            table: "jobs",
            column: "status",
            id: batch_id,
        })?;
        let none = CountedJobs { revision, counts: JobCounts::default() };
        let of_batch = counted.entry(BatchId::from_uuid(batch_id)).or_insert(none);
        of_batch.counts.add(status, u32::try_from(jobs).unwrap_or(u32::MAX));
    }
    Ok(counted)
}

/// A job to be added, and how many of its requirements are not satisfied yet.
pub struct NewRow<'a> {
    /// The job.
    pub job: &'a Job,
    /// How many dependencies it waits for.
    pub unsatisfied: usize,
}

/// Adds jobs; `Reference` when a connection is missing.
pub async fn insert(db: &impl ConnectionTrait, jobs: &[NewRow<'_>]) -> Result<Written, Error> {
    for chunk in jobs.chunks(ROWS_PER_INSERT) {
        let rows = chunk.iter().map(row);
        match Written::from(Entity::insert_many(rows).exec_without_returning(db).await)? {
            Written::Done => {}
            refused @ (Written::Duplicate | Written::Reference) => return Ok(refused),
        }
    }
    Ok(Written::Done)
}

/// Removes the jobs of a batch with their dependencies.
pub async fn delete_of_batch(db: &impl ConnectionTrait, batch: BatchId) -> Result<(), Error> {
    Entity::delete_many().filter(Column::BatchId.eq(batch.uuid())).exec(db).await?;
    Ok(())
}

fn row(NewRow { job, unsatisfied }: &NewRow<'_>) -> ActiveModel {
    ActiveModel {
        id: Set(job.id.uuid()),
        batch_id: Set(job.batch_id.uuid()),
        tenant_id: Set(job.tenant_id.uuid()),
        position: Set(job.position as i32),
        revision: Set(job.revision),
        r#type: Set(job.job_type.name().into()),
        object: Set(job.object.to_string()),
        grain: Set(job.grain.as_ref().map(ToString::to_string)),
        connection_id: Set(job.connection_id.uuid()),
        since: Set(job.window.since.map(Since::instant)),
        updated_since: Set(job.window.updated_since.map(Since::instant)),
        allow_delete: Set(job.allow_delete),
        required_objects: Set(required_objects_to_json(&job.required_objects)),
        wave: Set(job.wave as i32),
        unsatisfied: Set(*unsatisfied as i32),
        status: Set(job.state.status().name().into()),
        attempt: Set(job.attempt),
        max_attempts: Set(job.max_attempts),
        not_before: Set(job.state.not_before()),
        created_at: Set(job.created_at),
        started_at: Set(job.state.started_at()),
        finished_at: Set(job.state.finished_at()),
        priority: Set(job.priority),
        last_attempt: Set(job.last_attempt),
        entered_at: Set(job.entered_at),
        published_at: Set(job.published_at),
    }
}

/// `{"extract": ["Account"]}`: the kinds that require something; nothing where none does.
fn required_objects_to_json(required: &RequiredObjects) -> Option<Value> {
    let kinds = RequirementKind::ALL.into_iter().filter(|kind| !required.of(*kind).is_empty());
    let json: Map<String, Value> = kinds
        .map(|kind| {
            let objects = required.of(kind).iter().map(|object| Value::from(&**object)).collect();
            (kind.name().to_owned(), Value::Array(objects))
        })
        .collect();
    (!json.is_empty()).then_some(Value::Object(json))
}

fn required_objects_from_json(json: Option<Value>) -> Option<RequiredObjects> {
    let mut required = RequiredObjects::default();
    let Some(json) = json else { return Some(required) };
    let Value::Object(kinds) = json else { return None };
    for (kind, objects) in kinds {
        let Value::Array(objects) = objects else { return None };
        let text = |object| match object {
            Value::String(object) => Some(Text::stored(object)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        };
        *required.of_mut(RequirementKind::named(&kind)?) =
            objects.into_iter().map(text).collect::<Option<_>>()?;
    }
    Some(required)
}

impl TryFrom<Model> for Job {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let corrupt = |column| Error::Corrupt { table: "jobs", column, id: row.id };
        let natural = |number: i32, column| u32::try_from(number).map_err(|_| corrupt(column));
        let status = JobStatus::named(&row.status).ok_or_else(|| corrupt("status"))?;
        let started_at = || row.started_at.ok_or_else(|| corrupt("started_at"));
        let finished_at = || row.finished_at.ok_or_else(|| corrupt("finished_at"));
        let state = match status {
            JobStatus::Blocked => JobState::Blocked,
            JobStatus::Ready => JobState::Ready { not_before: row.not_before },
            JobStatus::Running => JobState::Running { started_at: started_at()? },
            JobStatus::Succeeded => {
                JobState::Succeeded { started_at: started_at()?, finished_at: finished_at()? }
            }
            JobStatus::Failed => JobState::Failed { started_at: started_at()?, finished_at: finished_at()? },
            JobStatus::Skipped => JobState::Skipped { finished_at: finished_at()? },
            JobStatus::Canceled => {
                JobState::Canceled { started_at: row.started_at, finished_at: finished_at()? }
            }
        };
        Ok(Self {
            id: JobId::from_uuid(row.id),
            batch_id: BatchId::from_uuid(row.batch_id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            position: natural(row.position, "position")?,
            revision: row.revision,
            job_type: JobType::named(&row.r#type).ok_or_else(|| corrupt("type"))?,
            window: window(row.since, row.updated_since).map_err(corrupt)?,
            required_objects: required_objects_from_json(row.required_objects)
                .ok_or_else(|| corrupt("required_objects"))?,
            wave: natural(row.wave, "wave")?,
            object: Text::stored(row.object),
            grain: row.grain.map(Text::stored),
            connection_id: ConnectionId::from_uuid(row.connection_id),
            allow_delete: row.allow_delete,
            max_attempts: row.max_attempts,
            priority: row.priority,
            attempt: row.attempt,
            last_attempt: row.last_attempt,
            state,
            entered_at: row.entered_at,
            published_at: row.published_at,
            created_at: row.created_at,
        })
    }
}
