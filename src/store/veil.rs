//! The key of the cursors of events: made by the first server of a database, and the same for all.

use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, sea_query::OnConflict};
use uuid::Uuid;

use super::Error;
use crate::{
    domain::veil::{KEY, Veil},
    entity::server_secret::{ActiveModel, Column, Entity},
};

/// Its name in the table.
const NAME: &str = "event_cursors";

/// The veil of this database.
pub async fn of(db: &impl ConnectionTrait) -> Result<Veil, Error> {
    if let Some(veil) = known(db).await? {
        return Ok(veil);
    }
    let mut key = [0; KEY];
    getrandom::fill(&mut key).map_err(|_| Error::Interrupted)?;
    let row = ActiveModel { name: Set(NAME.to_owned()), bytes: Set(key.to_vec()) };
    // Another server may be faster: then its key is taken.
    let faster = OnConflict::column(Column::Name).do_nothing().to_owned();
    Entity::insert(row).on_conflict(faster).exec_without_returning(db).await?;
    known(db).await?.ok_or(Error::Raced { table: "server_secrets" })
}

async fn known(db: &impl ConnectionTrait) -> Result<Option<Veil>, Error> {
    let Some(row) = Entity::find_by_id(NAME.to_owned()).one(db).await? else { return Ok(None) };
    let corrupt = Error::Corrupt { table: "server_secrets", column: "bytes", id: Uuid::nil() };
    let key: [u8; KEY] = row.bytes.try_into().map_err(|_| corrupt)?;
    Ok(Some(Veil::new(&key)))
}
