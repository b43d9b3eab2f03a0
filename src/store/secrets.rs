//! Sealed credentials, and the keys that have sealed them. The envelopes are read here and nowhere else.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    Error, Guarded,
    keys::{is_any_of, seen_in},
    tenants,
};
use crate::{
    domain::{
        access::Scope,
        id::ConnectionId,
        keyring::{KeyId, Sealed, SecretKey},
    },
    entity::{
        connection::{Column, Entity},
        secret_key,
    },
};

/// The envelopes of these connections, those that have one.
pub async fn envelopes(
    db: &impl ConnectionTrait,
    scope: Scope,
    ids: &[ConnectionId],
) -> Result<Vec<(ConnectionId, Vec<u8>)>, Error> {
    let rows: Vec<(Uuid, Vec<u8>)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Credentials])
        .filter(is_any_of(Column::Id, ids))
        .filter(seen_in(scope, Column::TenantId))
        .filter(Column::Credentials.is_not_null())
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(id, envelope)| (ConnectionId::from_uuid(id), envelope)).collect())
}

/// The next connections after this one whose credentials were sealed by another key, with their envelopes.
pub async fn sealed_otherwise(
    db: &impl ConnectionTrait,
    current: &KeyId,
    after: Option<ConnectionId>,
    most: u64,
) -> Result<Vec<(ConnectionId, Vec<u8>)>, Error> {
    let after = after.map_or(Uuid::nil(), ConnectionId::uuid);
    let rows: Vec<(Uuid, Vec<u8>)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Credentials])
        .filter(Column::CredentialsKey.is_not_null())
        .filter(Column::CredentialsKey.ne(current.to_string()))
        .filter(Column::Id.gt(after))
        .order_by_asc(Column::Id)
        .limit(most)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(id, envelope)| (ConnectionId::from_uuid(id), envelope)).collect())
}

/// Puts an envelope in the place of the one that is left, if that one is still there. The credentials are the
/// same, so nothing else changes.
pub async fn reseal(
    db: &impl ConnectionTrait,
    id: ConnectionId,
    left: Vec<u8>,
    sealed: &Sealed,
) -> Result<Guarded, Error> {
    let update = Entity::update_many()
        .col_expr(Column::Credentials, Expr::value(sealed.envelope.clone()))
        .col_expr(Column::CredentialsKey, Expr::value(sealed.key.to_string()))
        .col_expr(Column::CredentialsFingerprint, Expr::value(sealed.fingerprint.bytes().to_vec()))
        .filter(Column::Id.eq(id.uuid()))
        .filter(Column::Credentials.eq(left));
    tenants::count_change(db, id).await?;
    Ok(Guarded::of_rows(update.exec(db).await?.rows_affected))
}

/// Which key is known under an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// This one.
    Same,
    /// Another one.
    Other,
}

/// Makes a key known under its id, unless there is one already.
pub async fn make_known(db: &impl ConnectionTrait, key: &SecretKey) -> Result<Known, Error> {
    let id = key.id().to_string();
    let row = secret_key::ActiveModel { id: Set(id.clone()), proof: Set(key.proof()) };
    let unless_known = OnConflict::column(secret_key::Column::Id).do_nothing().to_owned();
    secret_key::Entity::insert_many([row]).on_conflict(unless_known).exec_without_returning(db).await?;
    let known = secret_key::Entity::find_by_id(id).one(db).await?;
    Ok(if known.is_some_and(|known| known.proof == key.proof()) { Known::Same } else { Known::Other })
}

/// Whether any key is known.
pub async fn any_known(db: &impl ConnectionTrait) -> Result<bool, Error> {
    Ok(secret_key::Entity::find().limit(1).one(db).await?.is_some())
}

/// The keys by which credentials are sealed now.
pub async fn keys_in_use(db: &impl ConnectionTrait) -> Result<Vec<KeyId>, Error> {
    let ids: Vec<String> = Entity::find()
        .select_only()
        .column(Column::CredentialsKey)
        .distinct()
        .filter(Column::CredentialsKey.is_not_null())
        .into_tuple()
        .all(db)
        .await?;
    Ok(ids.into_iter().map(KeyId::stored).collect())
}
