//! What a claim must know, and what it writes. Claims are made one after the other: see
//! [`lock`]. The rules are in [`crate::domain::claim`].

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, JoinType, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, RelationDef, Statement,
    sea_query::{Expr, ExprTrait, OnConflict, Order, Query, SelectStatement, UnionType},
};
use uuid::Uuid;

use super::{
    Db, Error,
    columns::read_all,
    jobs,
    keys::{among, is_any_of},
    sent::{Column as Sent, Kind, Row, each, rows},
    tenants::concurrency,
};
use crate::{
    domain::{
        claim::{Candidate, FilledLane, Lane, OpenLane, Running, Wanted},
        id::{BatchId, ConnectionId, JobId, TenantId},
        job::{Job, JobStatus, JobType},
        tenant::Concurrency,
        text::Text,
    },
    entity::{
        attempt, connection,
        job::{Column, Entity},
        ready_job, worker_call,
    },
};

/// Waits for all other claims, on whichever server, and holds up those that come until the
/// transaction ends. On SQLite the transaction does so by itself.
pub async fn lock(db: &impl ConnectionTrait) -> Result<(), Error> {
    if db.get_database_backend() == DbBackend::Postgres {
        let lock = "SELECT pg_advisory_xact_lock(hashtext('sluice.claim'), hashtext(current_schema()))";
        let statement = Statement::from_string(DbBackend::Postgres, lock);
        db.execute_raw(statement).await?;
    }
    Ok(())
}

/// When the next backoff ends.
pub async fn next_backoff_end(db: &impl ConnectionTrait) -> Result<Option<DateTime<Utc>>, Error> {
    let waiting =
        Entity::find().select_only().column(Column::NotBefore).filter(Column::NotBefore.is_not_null());
    let next = waiting.order_by_asc(Column::NotBefore).limit(1).into_tuple::<DateTime<Utc>>().one(db).await?;
    Ok(next)
}

#[derive(FromQueryResult)]
struct LaneRow {
    r#type: String,
    connection_id: Uuid,
    provider: String,
    tenant_id: Uuid,
    connection_limit: Option<i32>,
    tenant_limit: Option<i32>,
    priority: i32,
    first: Uuid,
}

/// All lanes that have a job to be claimed. Goes from lane to lane by the index
/// `ready_jobs_lanes`, whatever the number of jobs in them.
pub async fn lanes(db: &impl ConnectionTrait) -> Result<Vec<Lane>, Error> {
    const SQL: &str = "
        WITH RECURSIVE lanes(type, connection_id) AS (
            SELECT types.type, (
                SELECT ready_jobs.connection_id FROM ready_jobs
                WHERE ready_jobs.type = types.type
                ORDER BY ready_jobs.connection_id LIMIT 1)
            FROM (SELECT 'extract' AS type UNION ALL SELECT 'load') AS types
            UNION ALL
            SELECT lanes.type, (
                SELECT ready_jobs.connection_id FROM ready_jobs
                WHERE ready_jobs.type = lanes.type AND ready_jobs.connection_id > lanes.connection_id
                ORDER BY ready_jobs.connection_id LIMIT 1)
            FROM lanes WHERE lanes.connection_id IS NOT NULL
        )
        SELECT lanes.type, lanes.connection_id, connections.provider, connections.tenant_id,
            connections.max_concurrent_jobs AS connection_limit, tenants.max_concurrent_jobs AS tenant_limit,
            coalesce((
                SELECT ready_jobs.priority FROM ready_jobs
                WHERE ready_jobs.type = lanes.type AND ready_jobs.connection_id = lanes.connection_id
                ORDER BY ready_jobs.priority DESC LIMIT 1), 0) AS priority,
            (
                SELECT ready_jobs.job_id FROM ready_jobs
                WHERE ready_jobs.type = lanes.type AND ready_jobs.connection_id = lanes.connection_id
                ORDER BY ready_jobs.priority DESC, ready_jobs.job_id LIMIT 1) AS first
        FROM lanes
        JOIN connections ON connections.id = lanes.connection_id
        JOIN tenants ON tenants.id = connections.tenant_id";
    let statement = Statement::from_string(db.get_database_backend(), SQL);
    let rows = LaneRow::find_by_statement(statement).all(db).await?;
    rows.into_iter().map(Lane::try_from).collect()
}

impl TryFrom<LaneRow> for Lane {
    type Error = Error;

    fn try_from(row: LaneRow) -> Result<Self, Error> {
        let limit = |limit, table, id| match concurrency(limit) {
            Ok(limit) => Ok(limit.map(|limit: Concurrency| limit.jobs().unsigned_abs() as usize)),
            Err(()) => Err(Error::Corrupt { table, column: "max_concurrent_jobs", id }),
        };
        Ok(Self {
            job_type: JobType::named(&row.r#type).ok_or(Error::Corrupt {
                table: "jobs",
                column: "type",
                id: row.connection_id,
            })?,
            connection_limit: limit(row.connection_limit, "connections", row.connection_id)?,
            tenant_limit: limit(row.tenant_limit, "tenants", row.tenant_id)?,
            connection_id: ConnectionId::from_uuid(row.connection_id),
            provider: Text::stored(row.provider),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            priority: row.priority,
            first: JobId::from_uuid(row.first),
        })
    }
}

/// How many jobs run, on each connection and for each tenant; of these tenants, or of all.
pub async fn running(db: &impl ConnectionTrait, tenants: Option<&[TenantId]>) -> Result<Running, Error> {
    let of_connection: RelationDef = attempt::Entity::belongs_to(connection::Entity)
        .from(attempt::Column::ConnectionId)
        .to(connection::Column::Id)
        .into();
    let of_tenants = tenants.map(|tenants| is_any_of(connection::Column::TenantId, tenants));
    let rows: Vec<(Uuid, Uuid, i64)> = attempt::Entity::find()
        .select_only()
        .column(connection::Column::TenantId)
        .column(attempt::Column::ConnectionId)
        .column_as(attempt::Column::JobId.count(), "jobs")
        .join(JoinType::InnerJoin, of_connection)
        // Said as the partial index says it.
        .filter(attempt::Column::Outcome.is_null())
        .filter(Condition::all().add_option(of_tenants))
        .group_by(connection::Column::TenantId)
        .group_by(attempt::Column::ConnectionId)
        .into_tuple()
        .all(db)
        .await?;
    let mut running = Running::default();
    for (tenant, connection, jobs) in rows {
        let jobs = usize::try_from(jobs).unwrap_or_default();
        running.add(TenantId::from_uuid(tenant), ConnectionId::from_uuid(connection), jobs);
    }
    Ok(running)
}

/// The first jobs of each lane, as many as could start.
pub async fn fill(db: &impl Db, lanes: Vec<OpenLane>) -> Result<Vec<FilledLane>, Error> {
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    let statement = match db.backend() {
        DbBackend::Postgres => first_of_each(&lanes)?,
        other => other.build(&first_of_all(&lanes)),
    };
    let mut filled: Vec<FilledLane> =
        lanes.into_iter().map(|open| FilledLane { lane: open.lane, candidates: Vec::new() }).collect();
    db.each_row(statement, |columns| {
        let lane: i32 = columns.next()?;
        let (job_id, batch_id) = (JobId::from_uuid(columns.next()?), BatchId::from_uuid(columns.next()?));
        let candidate = Candidate { job_id, batch_id, priority: columns.next()? };
        if let Some(filled) = filled.get_mut(lane as usize) {
            filled.candidates.push(candidate);
        }
        Ok(())
    })
    .await?;
    for filled in &mut filled {
        filled.candidates.sort_by_key(|job| (std::cmp::Reverse(job.priority), job.job_id));
    }
    Ok(filled)
}

/// On PostgreSQL: one text, however many lanes there are.
fn first_of_each(lanes: &[OpenLane]) -> Result<Statement, Error> {
    const COLUMNS: [Sent; 4] = [
        each("lane", Kind::Int),
        each("type", Kind::Text),
        each("connection_id", Kind::Uuid),
        each("jobs", Kind::Int),
    ];
    let row = |(number, OpenLane { lane, jobs }): (usize, &OpenLane)| -> Row {
        vec![
            (number as i32).into(),
            lane.job_type.name().into(),
            lane.connection_id.uuid().into(),
            i32::try_from(*jobs).unwrap_or(i32::MAX).into(),
        ]
    };
    let given = lanes.iter().enumerate().map(row).collect();
    let (rows, values) = rows(DbBackend::Postgres, &COLUMNS, given, &Row::new())?;
    let sql = format!(
        "WITH lanes(lane, type, connection_id, jobs) AS ({rows})
        SELECT lanes.lane, first.job_id, first.batch_id, first.priority
        FROM lanes CROSS JOIN LATERAL (
            SELECT job_id, batch_id, priority FROM ready_jobs
            WHERE ready_jobs.type = lanes.type AND ready_jobs.connection_id = lanes.connection_id
            ORDER BY priority DESC, job_id LIMIT lanes.jobs) AS first"
    );
    Ok(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
}

/// On SQLite, where what stands in FROM can't look at what stands beside it.
fn first_of_all(lanes: &[OpenLane]) -> SelectStatement {
    let mut selects = lanes.iter().enumerate().map(first_of);
    let mut union = selects.next().unwrap_or_default();
    for select in selects {
        union.union(UnionType::All, select);
    }
    union
}

/// `SELECT` in a FROM of its own, since a part of a UNION can't have an order and a limit.
fn first_of((number, open): (usize, &OpenLane)) -> SelectStatement {
    let OpenLane { lane, jobs } = open;
    let first = ready_job::Entity::find()
        .select_only()
        .columns([ready_job::Column::JobId, ready_job::Column::BatchId, ready_job::Column::Priority])
        .filter(ready_job::Column::Type.eq(lane.job_type.name()))
        .filter(ready_job::Column::ConnectionId.eq(lane.connection_id.uuid()))
        .order_by(ready_job::Column::Priority, Order::Desc)
        .order_by(ready_job::Column::JobId, Order::Asc)
        .limit(*jobs as u64)
        .into_query();
    Query::select()
        .expr_as(Expr::val(number as i32), "lane")
        .columns(["job_id", "batch_id", "priority"])
        .from_subquery(first, "first")
        .to_owned()
}

/// Starts these jobs, if they are still to be claimed, and gives those that were.
pub async fn start(db: &impl Db, jobs: &[JobId], now: DateTime<Utc>) -> Result<Vec<Job>, Error> {
    let mut start = Entity::update_many()
        .col_expr(Column::Status, Expr::value(JobStatus::Running.name()))
        .col_expr(Column::Attempt, Expr::col(Column::Attempt).add(1))
        .col_expr(Column::LastAttempt, Expr::col(Column::LastAttempt).add(1))
        .col_expr(Column::StartedAt, Expr::value(now))
        .col_expr(Column::EnteredAt, Expr::value(now))
        .filter(among(db.backend(), Column::Id, jobs))
        .filter(Column::Status.eq(JobStatus::Ready.name()))
        .filter(Column::NotBefore.is_null())
        .into_query();
    start.returning(Query::returning().columns(jobs::COLUMNS));
    read_all(db, &start, jobs::job).await
}

/// Stands for any provider and any tenant.
const ANY: &str = "";

/// Remembers that somebody has asked for such jobs.
pub async fn remember_calls(
    db: &impl ConnectionTrait,
    wanted: &[Wanted],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let mut rows = Vec::new();
    for Wanted { types, providers, tenant_id } in wanted {
        let providers: Vec<&str> = match providers {
            None => vec![ANY],
            Some(providers) => providers.iter().map(|provider| &**provider).collect(),
        };
        for job_type in types {
            rows.extend(providers.iter().map(|provider| worker_call::ActiveModel {
                tenant_id: sea_orm::Set(tenant_id.map_or(Uuid::nil(), TenantId::uuid)),
                provider: sea_orm::Set((*provider).to_owned()),
                r#type: sea_orm::Set(job_type.name().to_owned()),
                called_at: sea_orm::Set(now),
            }));
        }
    }
    rows.sort_by(|left, right| call_key(left).cmp(&call_key(right)));
    rows.dedup_by(|left, right| call_key(left) == call_key(right));
    if rows.is_empty() {
        return Ok(());
    }
    use worker_call::Column as Call;
    let again = OnConflict::columns([Call::TenantId, Call::Provider, Call::Type])
        .update_column(Call::CalledAt)
        .to_owned();
    worker_call::Entity::insert_many(rows).on_conflict(again).exec_without_returning(db).await?;
    Ok(())
}

fn call_key(row: &worker_call::ActiveModel) -> (&Uuid, &String, &String) {
    (row.tenant_id.as_ref(), row.provider.as_ref(), row.r#type.as_ref())
}

/// Who asked for which jobs, and when the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCall {
    /// The tenant whose jobs were asked for; `None`: any.
    pub tenant_id: Option<TenantId>,
    /// The provider; `None`: any.
    pub provider: Option<String>,
    /// The type.
    pub job_type: JobType,
    /// When, UTC.
    pub called_at: DateTime<Utc>,
}

/// The calls for jobs since then.
pub async fn calls_since(db: &impl ConnectionTrait, since: DateTime<Utc>) -> Result<Vec<WorkerCall>, Error> {
    let rows = worker_call::Entity::find().filter(worker_call::Column::CalledAt.gte(since)).all(db).await?;
    let call = |row: worker_call::Model| {
        let corrupt = Error::Corrupt { table: "worker_calls", column: "type", id: row.tenant_id };
        Ok(WorkerCall {
            tenant_id: (!row.tenant_id.is_nil()).then(|| TenantId::from_uuid(row.tenant_id)),
            provider: Some(row.provider).filter(|provider| provider != ANY),
            job_type: JobType::named(&row.r#type).ok_or(corrupt)?,
            called_at: row.called_at,
        })
    };
    rows.into_iter().map(call).collect()
}
