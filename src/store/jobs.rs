//! Jobs.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, prelude::DateTimeUtc, sqlx::types::Json,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Error, Written,
    batches::window,
    columns::{Columns, read_all},
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
    entity::job::{ActiveModel, Column, Entity},
};

/// A statement has at most 32,766 parameters on SQLite, and a row 26 columns.
const ROWS_PER_INSERT: usize = 1024;

/// The jobs with these ids, in no order.
pub async fn by_ids(db: &impl ConnectionTrait, ids: &[JobId]) -> Result<Vec<Job>, Error> {
    read_all(db, &Entity::find().filter(is_any_of(Column::Id, ids)).into_query(), job).await
}

/// The jobs of these batches, batch by batch, each in the order given. Each where it will be shared from
/// the beginning: a job is large, and not moved for nothing.
pub async fn of_batches(db: &impl ConnectionTrait, batches: &[BatchId]) -> Result<Vec<Arc<Job>>, Error> {
    let select = Entity::find()
        .filter(is_any_of(Column::BatchId, batches))
        .order_by_asc(Column::BatchId)
        .order_by_asc(Column::Position)
        .into_query();
    read_all(db, &select, |columns| Ok(Arc::new(job(columns)?))).await
}

/// The rows of a page, in the order in which it is walked.
pub async fn page(db: &impl ConnectionTrait, filter: &JobFilter, page: &Page) -> Result<Vec<Job>, Error> {
    let columns = SortColumns { field: None, id: Column::Id };
    read_all(db, &keyset::cut(matching(filter), page, columns).into_query(), job).await
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

/// What [`required_objects_to_json`] has written.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RequiredNames {
    extract: Vec<String>,
    load: Vec<String>,
    load_result: Vec<String>,
}

impl From<RequiredNames> for RequiredObjects {
    fn from(RequiredNames { extract, load, load_result }: RequiredNames) -> Self {
        let stored = |names: Vec<String>| names.into_iter().map(Text::stored).collect();
        Self { extract: stored(extract), load: stored(load), load_result: stored(load_result) }
    }
}

/// A whole row, in the order of its columns.
pub(super) fn job(columns: &mut Columns<'_>) -> Result<Job, Error> {
    let id: Uuid = columns.next()?;
    let corrupt = |column| Error::Corrupt { table: "jobs", column, id };
    let natural = |number: i32, column| u32::try_from(number).map_err(|_| corrupt(column));
    let batch_id = BatchId::from_uuid(columns.next()?);
    let tenant_id = TenantId::from_uuid(columns.next()?);
    let position = natural(columns.next()?, "position")?;
    let revision = columns.next()?;
    let job_type = JobType::named(columns.next()?).ok_or_else(|| corrupt("type"))?;
    let object = Text::stored(columns.next()?);
    let grain = columns.next::<Option<String>>()?.map(Text::stored);
    let connection_id = ConnectionId::from_uuid(columns.next()?);
    let window = window(columns.next()?, columns.next()?).map_err(corrupt)?;
    let allow_delete = columns.next()?;
    let required_objects: Option<Json<RequiredNames>> =
        columns.next().map_err(|_| corrupt("required_objects"))?;
    let wave = natural(columns.next()?, "wave")?;
    // `unsatisfied` is for who claims jobs.
    columns.skip();
    let status = JobStatus::named(columns.next()?).ok_or_else(|| corrupt("status"))?;
    let attempt = columns.next()?;
    let max_attempts = columns.next()?;
    let not_before = columns.next()?;
    let created_at = columns.next()?;
    let (started, finished): (Option<DateTimeUtc>, Option<DateTimeUtc>) = (columns.next()?, columns.next()?);
    let priority = columns.next()?;
    let last_attempt = columns.next()?;
    let entered_at = columns.next()?;
    let published_at = columns.next()?;
    let started_at = || started.ok_or_else(|| corrupt("started_at"));
    let finished_at = || finished.ok_or_else(|| corrupt("finished_at"));
    let state = match status {
        JobStatus::Blocked => JobState::Blocked,
        JobStatus::Ready => JobState::Ready { not_before },
        JobStatus::Running => JobState::Running { started_at: started_at()? },
        JobStatus::Succeeded => {
            JobState::Succeeded { started_at: started_at()?, finished_at: finished_at()? }
        }
        JobStatus::Failed => JobState::Failed { started_at: started_at()?, finished_at: finished_at()? },
        JobStatus::Skipped => JobState::Skipped { finished_at: finished_at()? },
        JobStatus::Canceled => JobState::Canceled { started_at: started, finished_at: finished_at()? },
    };
    Ok(Job {
        id: JobId::from_uuid(id),
        batch_id,
        tenant_id,
        position,
        revision,
        job_type,
        object,
        grain,
        connection_id,
        window,
        allow_delete,
        priority,
        max_attempts,
        attempt,
        last_attempt,
        required_objects: required_objects.map(|Json(names)| names.into()).unwrap_or_default(),
        wave,
        state,
        entered_at,
        published_at,
        created_at,
    })
}
