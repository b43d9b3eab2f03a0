//! Where the history begins. What has been kept long enough is deleted from its start on, so that what is left is
//! whole: whoever has seen the last event that was deleted, or a later one, misses nothing.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{LockBehavior, LockType},
};
use uuid::Uuid;

use super::{
    Error,
    events::{self, Stamp},
};
use crate::{
    domain::event::EventPosition,
    entity::history_start::{ActiveModel, Column, Entity, Model},
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
    let first = events::stamps(db, from, EVENTS).await?;
    let Some(Stamp { position: to, at }) = first.into_iter().take_while(|stamp| stamp.at < cut).last() else {
        return Ok(0);
    };
    let deleted = events::delete_between(db, from, to).await?;
    let moved =
        ActiveModel { xact: Set(to.transaction), event: Set(to.id), at: Set(Some(at)), ..Default::default() };
    let update = Entity::update_many().set(moved);
    let update = update.filter(Column::Xact.eq(from.transaction)).filter(Column::Event.eq(from.id));
    match update.exec(db).await?.rows_affected {
        1 => Ok(deleted),
        _ => Err(Error::Raced { table: "history_start" }),
    }
}

/// How many events would go with the cut.
pub async fn count(db: &impl ConnectionTrait, cut: DateTime<Utc>) -> Result<u64, Error> {
    events::count_until(db, cut).await
}

fn start_of(row: Model) -> Result<HistoryStart, Error> {
    let corrupt = |column| Error::Corrupt { table: "history_start", column, id: Uuid::nil() };
    match (row.event, row.at) {
        (0, None) | (1.., Some(_)) => {}
        _ => return Err(corrupt("at")),
    }
    Ok(HistoryStart { position: EventPosition { transaction: row.xact, id: row.event }, at: row.at })
}
