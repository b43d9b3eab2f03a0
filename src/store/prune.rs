//! Removing batches that have been kept long enough. Nobody sees them from one moment on, and then their rows go, a
//! bounded number in a transaction: to delete a large batch at once would keep others from writing for too long.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType},
};
use uuid::Uuid;

use super::{
    Changes, Error,
    keys::{among, is_any_of},
    ready,
};
use crate::{
    domain::{
        id::{BatchId, JobId, TenantId},
        retention::Pruned,
    },
    entity::{
        batch::{ActiveModel, Column, Entity},
        dependency, job,
    },
};

/// The most batches that are removed, or whose rows go, in one step.
const BATCHES: u64 = 100;
/// The most jobs that go in one step, each with its attempts and its output.
const JOBS: u64 = 500;
/// The most dependencies that go in one step.
const EDGES: u64 = 5_000;

/// Batches that ended before the cut. A backfill that has not ended may run its batches again, and counts what they
/// have read.
fn ended_before(cut: DateTime<Utc>) -> Condition {
    Condition::all().add(Column::FinishedAt.lt(cut)).add(Column::RemovedAt.is_null()).add(Expr::cust(
        "NOT EXISTS (SELECT 1 FROM backfills WHERE backfills.id = batches.backfill_id AND backfills.ended_at IS NULL)",
    ))
}

/// Removes some batches that ended before the cut, as far as anybody sees, the longest ended first. Those that
/// somebody else has locked are left out: one that is being run again does not count as ended any more.
pub async fn remove_ended(
    db: &impl ConnectionTrait,
    cut: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<(BatchId, TenantId)>, Error> {
    let ended: Vec<(Uuid, Uuid)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::TenantId])
        .filter(ended_before(cut))
        .order_by_asc(Column::FinishedAt)
        .order_by_asc(Column::Id)
        .limit(BATCHES)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(db)
        .await?;
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<BatchId> = ended.iter().map(|(id, _)| BatchId::from_uuid(*id)).collect();
    let removed = ActiveModel {
        removed_at: Set(Some(now)),
        // The key can be used again at once, as after any other removal.
        idempotency_key: Set(None),
        request_hash: Set(None),
        ..Default::default()
    };
    let update = Entity::update_many().set(removed).filter(is_any_of(Column::Id, &ids));
    let update = update.filter(Column::FinishedAt.lt(cut)).filter(Column::RemovedAt.is_null());
    if update.exec(db).await?.rows_affected != ids.len() as u64 {
        return Err(Error::Raced { table: "batches" });
    }
    Ok(ended.into_iter().map(|(id, tenant)| (BatchId::from_uuid(id), TenantId::from_uuid(tenant))).collect())
}

/// Batches that are removed, whose rows go next; locked until the transaction ends. Those that somebody else has
/// locked are left out.
#[derive(Debug)]
pub struct Remains(Vec<BatchId>);

/// Which rows go next: those of as many batches as have no more jobs together than can go in one step, or of a
/// larger one. `None`: there are none.
pub async fn lock_remains(db: &impl ConnectionTrait) -> Result<Option<Remains>, Error> {
    // From the ends of the index, whatever the number of jobs: those that are left stand one after the other.
    const JOBS_LEFT: &str = "coalesce((SELECT max(position) FROM jobs WHERE jobs.batch_id = batches.id), -1) \
        - coalesce((SELECT min(position) FROM jobs WHERE jobs.batch_id = batches.id), 0) + 1";
    let removed: Vec<(Uuid, i32)> = Entity::find()
        .select_only()
        .column(Column::Id)
        .expr_as(Expr::cust(JOBS_LEFT), "jobs")
        .filter(Column::RemovedAt.is_not_null())
        .order_by_asc(Column::Id)
        .limit(BATCHES)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(db)
        .await?;
    let mut jobs = 0;
    let fits = |(place, (_, of_batch)): &(usize, &(Uuid, i32))| {
        jobs += u64::from(of_batch.unsigned_abs());
        *place == 0 || jobs <= JOBS
    };
    let next = removed.iter().enumerate().take_while(fits).map(|(_, (id, _))| BatchId::from_uuid(*id));
    let next: Vec<BatchId> = next.collect();
    Ok((!next.is_empty()).then_some(Remains(next)))
}

/// Deletes rows of batches that are removed: first their dependencies, then their jobs, from the first one on, so that
/// whoever has read such a batch before sees that its jobs don't fit any more; at last the batches.
pub async fn delete_remains(db: &impl ConnectionTrait, Remains(batches): &Remains) -> Result<Pruned, Error> {
    let mut pruned = Pruned::default();
    if delete_edges(db, batches).await? == EDGES {
        return Ok(pruned);
    }
    let jobs: Vec<Uuid> = job::Entity::find()
        .select_only()
        .column(job::Column::Id)
        .filter(among(db.get_database_backend(), job::Column::BatchId, batches))
        .order_by_asc(job::Column::Position)
        .limit(JOBS)
        .into_tuple()
        .all(db)
        .await?;
    let jobs: Vec<JobId> = jobs.into_iter().map(JobId::from_uuid).collect();
    pruned.jobs = jobs.len() as u64;
    let mut lanes = Changes::default();
    ready::remove(&mut lanes, &jobs);
    lanes.write(db).await?;
    let of_jobs = among(db.get_database_backend(), job::Column::Id, &jobs);
    if !jobs.is_empty()
        && job::Entity::delete_many().filter(of_jobs).exec(db).await?.rows_affected != pruned.jobs
    {
        return Err(Error::Raced { table: "jobs" });
    }
    let left = "NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.batch_id = batches.id)";
    let gone = Entity::delete_many().filter(is_any_of(Column::Id, batches)).filter(Expr::cust(left));
    pruned.batches = gone.exec(db).await?.rows_affected;
    Ok(pruned)
}

/// Deletes dependencies of these batches, and says how many.
async fn delete_edges(db: &impl ConnectionTrait, batches: &[BatchId]) -> Result<u64, Error> {
    use dependency::Column as Edge;
    let key = [Edge::BatchId, Edge::Dependent, Edge::Required, Edge::Kind];
    let some = dependency::Entity::find()
        .select_only()
        .columns(key)
        .filter(among(db.get_database_backend(), Edge::BatchId, batches))
        .limit(EDGES)
        .into_query();
    let delete = dependency::Entity::delete_many().filter(Expr::tuple(key.map(Expr::col)).in_subquery(some));
    Ok(delete.exec(db).await?.rows_affected)
}

/// How many batches would go with the cut, and how many jobs; those included that are removed and still have rows.
pub async fn count(db: &impl ConnectionTrait, cut: DateTime<Utc>) -> Result<Pruned, Error> {
    let going = || -> Select<Entity> {
        Entity::find().filter(Condition::any().add(ended_before(cut)).add(Column::RemovedAt.is_not_null()))
    };
    let of_these = going().select_only().column(Column::Id).into_query();
    let jobs = job::Entity::find().filter(job::Column::BatchId.in_subquery(of_these)).count(db).await?;
    Ok(Pruned { batches: going().count(db).await?, jobs, events: 0 })
}
