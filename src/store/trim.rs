//! Where the history begins. What has been kept long enough is deleted from its start on, so that what is left is
//! whole: whoever has seen the last event that was deleted, or a later one, misses nothing.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{LockBehavior, LockType},
};
use uuid::Uuid;

use super::{
    Error,
    events::{Stands, visible},
};
use crate::{
    domain::{
        access::Scope,
        event::{EventFilter, EventPosition},
    },
    entity::{
        event,
        history_start::{ActiveModel, Column, Entity, Model},
    },
};

/// The most events that go in one step.
const EVENTS: u64 = 2_000;

/// Where the history begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryStart {
    /// The last event that was deleted; all before it were, too. The beginning of time where none was.
    pub position: EventPosition,
    /// When that happened, UTC.
    pub at: Option<DateTime<Utc>>,
}

/// Where the history begins. Read it after the events that follow some position: then none of them is missing, unless
/// this is beyond that position.
pub async fn start(db: &impl ConnectionTrait) -> Result<HistoryStart, Error> {
    start_of(Entity::find().one(db).await?.ok_or(Error::Raced { table: "history_start" })?)
}

/// Deletes events that happened before the cut, from the start of the history on, and says how many. One at a time
/// does so: none are deleted while somebody else does.
pub async fn trim(db: &impl ConnectionTrait, cut: DateTime<Utc>) -> Result<u64, Error> {
    let lock = Entity::find().lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let Some(row) = lock.one(db).await? else { return Ok(0) };
    let from = start_of(row)?.position;
    let first = stamps(db, from, EVENTS).await?;
    let Some(Stamp { position: to, at }) = first.into_iter().take_while(|stamp| stamp.at < cut).last() else {
        return Ok(0);
    };
    let deleted = delete_between(db, from, to).await?;
    let moved =
        ActiveModel { xact: Set(to.transaction), event: Set(to.id), at: Set(Some(at)), ..Default::default() };
    let update = Entity::update_many().set(moved);
    let update = update.filter(Column::Xact.eq(from.transaction)).filter(Column::Event.eq(from.id));
    match update.exec(db).await?.rows_affected {
        1 => Ok(deleted),
        _ => Err(Error::Raced { table: "history_start" }),
    }
}

/// Where an event stands in the history, and when it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    /// Where it stands.
    position: EventPosition,
    /// When it happened, UTC.
    at: DateTime<Utc>,
}

/// The next events after this position, whatever they are about, in order; only those that readers can see.
async fn stamps(db: &impl ConnectionTrait, position: EventPosition, most: u64) -> Result<Vec<Stamp>, Error> {
    let all = visible(db, Scope::SLUICE, &EventFilter::default());
    let rows: Vec<(i64, i64, DateTime<Utc>)> = all
        .filter(Stands::After.to(db, position))
        .select_only()
        .columns([event::Column::Xact, event::Column::Id, event::Column::At])
        .order_by_asc(event::Column::Xact)
        .order_by_asc(event::Column::Id)
        .limit(most)
        .into_tuple()
        .all(db)
        .await?;
    let stamp = |(transaction, id, at)| Stamp { position: EventPosition { transaction, id }, at };
    Ok(rows.into_iter().map(stamp).collect())
}

/// Deletes the events after one position up to another one, which goes as well. Gives how many.
async fn delete_between(
    db: &impl ConnectionTrait,
    after: EventPosition,
    last: EventPosition,
) -> Result<u64, Error> {
    let between = Condition::all().add(Stands::After.to(db, after)).add(Stands::UpTo.to(db, last));
    Ok(event::Entity::delete_many().filter(between).exec(db).await?.rows_affected)
}

/// How many events would go with the cut: those that happened before it, up to the first that did not.
pub async fn count(db: &impl ConnectionTrait, cut: DateTime<Utc>) -> Result<u64, Error> {
    let all = || visible(db, Scope::SLUICE, &EventFilter::default());
    let first_kept: Option<(i64, i64)> = all()
        .filter(event::Column::At.gte(cut))
        .select_only()
        .columns([event::Column::Xact, event::Column::Id])
        .order_by_asc(event::Column::Xact)
        .order_by_asc(event::Column::Id)
        .limit(1)
        .into_tuple()
        .one(db)
        .await?;
    let before = first_kept.map(|(transaction, id)| Stands::Before.to(db, EventPosition { transaction, id }));
    Ok(all().filter(Condition::all().add_option(before)).count(db).await?)
}

fn start_of(row: Model) -> Result<HistoryStart, Error> {
    let corrupt = |column| Error::Corrupt { table: "history_start", column, id: Uuid::nil() };
    match (row.event, row.at) {
        (0, None) | (1.., Some(_)) => {}
        _ => return Err(corrupt("at")),
    }
    Ok(HistoryStart { position: EventPosition { transaction: row.xact, id: row.event }, at: row.at })
}
