//! Jobs.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
    prelude::DateTimeUtc,
    sea_query::{Expr, SelectStatement, SimpleExpr},
    sqlx::types::Json,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Db, Error, Written,
    batches::window,
    columns::{self, ColumnList, Columns, SelectColumns, for_each_row, read_all, search},
    keys::{is_any_of, seen_in},
    keyset::{self, SortColumns},
    ready,
};
use crate::{
    domain::{
        access::Scope,
        batch::BatchStatus,
        graph::{Edge, JobGraph, Link},
        id::{BatchId, ConnectionId, JobId, TenantId},
        job::{Job, JobCounts, JobState, JobStatus, JobType, RequiredObjects, RequirementKind},
        list::JobFilter,
        page::Page,
        since::Since,
        text::Text,
    },
    entity::{
        batch,
        job::{ActiveModel, Column, Entity},
    },
};

/// A statement has at most 32,766 parameters on SQLite, and a row 28 columns.
const ROWS_PER_INSERT: usize = 1024;

/// The columns of which a [`Job`] is made, in the order in which [`job`] reads them.
pub(super) const COLUMNS: [Column; 25] = [
    Column::Id,
    Column::BatchId,
    Column::TenantId,
    Column::Position,
    Column::Revision,
    Column::Type,
    Column::Object,
    Column::Grain,
    Column::ConnectionId,
    Column::Since,
    Column::UpdatedSince,
    Column::AllowDelete,
    Column::Wave,
    Column::Status,
    Column::Attempt,
    Column::MaxAttempts,
    Column::NotBefore,
    Column::CreatedAt,
    Column::StartedAt,
    Column::FinishedAt,
    Column::Priority,
    Column::LastAttempt,
    Column::EnteredAt,
    Column::PublishedAt,
    Column::FromWatermark,
];

/// Selects what [`job`] reads.
pub(super) fn select() -> SelectColumns {
    static LIST: ColumnList = ColumnList::new(|| columns::list(COLUMNS));
    SelectColumns::of(Entity, &LIST)
}

/// Selects what [`whole_job`] reads.
pub(super) fn select_whole() -> SelectColumns {
    select().column(Column::RequiredObjects)
}

/// The jobs with these ids, in no order, with what they require by name.
pub async fn by_ids(db: &impl Db, scope: Scope, ids: &[JobId]) -> Result<Vec<Job>, Error> {
    let select = select_whole().filter(is_any_of(Column::Id, ids)).filter(seen_in(scope, Column::TenantId));
    let select = select.filter(of_batches_that_are_there());
    read_all(db, &select.into_query(), whole_job).await
}

/// A batch that is removed may still have jobs, which nobody sees any more.
fn of_batches_that_are_there() -> SimpleExpr {
    // There are next to none of these.
    let removed = batch::Entity::find().select_only().column(batch::Column::Id);
    let removed = removed.filter(batch::Column::RemovedAt.is_not_null()).into_query();
    Column::BatchId.not_in_subquery(removed)
}

/// What is wanted of the jobs of a batch, beside themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobParts {
    /// Which of them waits for which.
    pub edges: bool,
    /// What they require by name.
    pub required_objects: bool,
}

/// The jobs of one batch, in its order.
#[derive(Debug, Default)]
pub struct StoredJobs {
    /// The jobs.
    pub jobs: Vec<Arc<Job>>,
    /// Which of them waits for which; empty if that was not wanted.
    pub edges: Vec<Edge>,
}

impl StoredJobs {
    /// The graph of the jobs of this batch, if their edges were wanted.
    pub fn graph(&self, batch: BatchId) -> Result<JobGraph, Error> {
        let corrupt = Error::Corrupt { table: "jobs", column: "requires", id: batch.uuid() };
        JobGraph::new(self.jobs.len(), &self.edges).ok_or(corrupt)
    }
}

/// The jobs of these batches. Each where it will be shared from the beginning: a job is large, and not
/// moved for nothing.
pub async fn of_batches(
    db: &impl Db,
    scope: Scope,
    batches: &[BatchId],
    parts: JobParts,
) -> Result<HashMap<BatchId, StoredJobs>, Error> {
    let mut select = if parts.required_objects { select_whole() } else { select() };
    if parts.edges {
        select = select.column(Column::Requires);
    }
    let select = select
        .filter(is_any_of(Column::BatchId, batches))
        .filter(seen_in(scope, Column::TenantId))
        .order_by_asc(Column::BatchId)
        .order_by_asc(Column::Position);
    let mut found: HashMap<BatchId, StoredJobs> = HashMap::with_capacity(batches.len());
    for_each_row(db, &select.into_query(), |columns| {
        let job = Arc::new(if parts.required_objects { whole_job(columns)? } else { job(columns)? });
        let of_batch = found.entry(job.batch_id).or_default();
        if parts.edges {
            let corrupt = || Error::Corrupt { table: "jobs", column: "requires", id: job.id.uuid() };
            let required = columns.next::<Option<&str>>()?.unwrap_or_default();
            let edges = required.split_ascii_whitespace().map(|required| edge(job.position, required));
            for edge in edges {
                of_batch.edges.push(edge.ok_or_else(corrupt)?);
            }
        }
        of_batch.jobs.push(job);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// The rows of a page, in the order in which it is walked.
pub async fn page(db: &impl Db, scope: Scope, filter: &JobFilter, page: &Page) -> Result<Vec<Job>, Error> {
    let columns = SortColumns { field: None, id: Column::Id };
    let select = keyset::cut(select_whole().filter(matching(scope, filter)), page, columns);
    search(db, &select.into_query(), whole_job).await
}

/// How many jobs the filter lets through.
pub async fn count(db: &impl ConnectionTrait, scope: Scope, filter: &JobFilter) -> Result<u64, Error> {
    let all = Entity::find().select_only().column(Column::Id).filter(matching(scope, filter));
    Ok(all.count(db).await?)
}

fn matching(scope: Scope, filter: &JobFilter) -> Condition {
    let JobFilter { tenant_id, batch_id, connection_id, statuses, job_type, object } = filter;
    let in_state =
        (!statuses.is_empty()).then(|| Column::Status.is_in(statuses.iter().map(|status| status.name())));
    Condition::all()
        .add(seen_in(scope, Column::TenantId))
        .add_option(tenant_id.map(|tenant| Column::TenantId.eq(tenant.uuid())))
        .add_option(batch_id.map(|batch| Column::BatchId.eq(batch.uuid())))
        .add_option(connection_id.map(|connection| Column::ConnectionId.eq(connection.uuid())))
        .add_option(in_state)
        .add_option(batches_with(statuses).map(|batches| Column::BatchId.in_subquery(batches)))
        .add_option(job_type.map(|job_type| Column::Type.eq(job_type.name())))
        .add_option(object.as_deref().map(|object| Column::Object.eq(object)))
        .add(of_batches_that_are_there())
}

/// The batches that can have jobs in these states, where those are few among all: there is no index of the
/// jobs by their state, which changes all the time.
fn batches_with(statuses: &[JobStatus]) -> Option<SelectStatement> {
    let in_progress = [BatchStatus::Pending, BatchStatus::Running, BatchStatus::Canceling];
    let unfinished = batch::Column::Status.is_in(in_progress.map(BatchStatus::name));
    // As the partial index says it.
    let unsuccessful = Expr::cust("unsuccessful > 0");
    let batches = statuses.iter().map(|status| match status {
        JobStatus::Blocked | JobStatus::Ready | JobStatus::Running => Some(unfinished.clone()),
        JobStatus::Failed | JobStatus::Skipped | JobStatus::Canceled => Some(unsuccessful.clone()),
        JobStatus::Succeeded => None,
    });
    let conditions: Vec<SimpleExpr> = batches.collect::<Option<_>>()?;
    let any = conditions.into_iter().fold(Condition::any(), Condition::add);
    (!statuses.is_empty())
        .then(|| batch::Entity::find().select_only().column(batch::Column::Id).filter(any).into_query())
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
    scope: Scope,
    batches: &[BatchId],
) -> Result<HashMap<BatchId, CountedJobs>, Error> {
    let rows = Entity::find()
        .select_only()
        .columns([Column::BatchId, Column::Revision, Column::Status])
        .column_as(Column::Id.count(), "jobs")
        .filter(is_any_of(Column::BatchId, batches))
        .filter(seen_in(scope, Column::TenantId))
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

/// A job to be added. None of its requirements is satisfied yet.
pub struct NewRow<'a> {
    /// The job.
    pub job: &'a Job,
    /// What it waits for.
    pub requires: &'a [Link],
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
    ready::ADD.run(db, ready::rows_of(jobs.iter().map(|new| new.job))).await?;
    Ok(Written::Done)
}

/// Removes the jobs of a batch with their dependencies.
pub async fn delete_of_batch(db: &impl ConnectionTrait, batch: BatchId) -> Result<(), Error> {
    ready::remove_batch(db, batch).await?;
    Entity::delete_many().filter(Column::BatchId.eq(batch.uuid())).exec(db).await?;
    Ok(())
}

fn row(NewRow { job, requires }: &NewRow<'_>) -> ActiveModel {
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
        required_objects: Set(job.required_objects.as_deref().and_then(required_objects_to_json)),
        wave: Set(job.wave as i32),
        unsatisfied: Set(requires.len() as i32),
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
        requires: Set(requires_to_text(requires)),
        from_watermark: Set(job.from_watermark),
    }
}

/// `e0 l5 r7`: the extract at position 0, the load at 5, the result of the load at 7; nothing where
/// nothing is required.
fn requires_to_text(requires: &[Link]) -> Option<String> {
    let required = requires.iter().map(|Link { position, kind }| format!("{}{position}", letter(*kind)));
    (!requires.is_empty()).then(|| required.collect::<Vec<_>>().join(" "))
}

/// One of what [`requires_to_text`] has written.
fn edge(dependent: u32, required: &str) -> Option<Edge> {
    let kind = RequirementKind::ALL.into_iter().find(|kind| required.starts_with(letter(*kind)))?;
    Some(Edge { dependent, required: required.get(1..)?.parse().ok()?, kind })
}

fn letter(kind: RequirementKind) -> char {
    match kind {
        RequirementKind::Extract => 'e',
        RequirementKind::Load => 'l',
        RequirementKind::LoadResult => 'r',
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

/// A job with what it requires by name.
pub(super) fn whole_job(columns: &mut Columns<'_>) -> Result<Job, Error> {
    let job = job(columns)?;
    let corrupt = |_| Error::Corrupt { table: "jobs", column: "required_objects", id: job.id.uuid() };
    let names: Option<Json<RequiredNames>> = columns.next().map_err(corrupt)?;
    let required_objects = names.map(|Json(names)| names.into()).unwrap_or_default();
    Ok(Job { required_objects: Some(Box::new(required_objects)), ..job })
}

/// A job, from its [`COLUMNS`].
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
    let wave = natural(columns.next()?, "wave")?;
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
    let from_watermark = columns.next()?;
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
        from_watermark,
        allow_delete,
        priority,
        max_attempts,
        attempt,
        last_attempt,
        required_objects: None,
        wave,
        state,
        entered_at,
        published_at,
        created_at,
    })
}
