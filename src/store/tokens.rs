//! Tokens.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, Select,
    sea_query::{Expr, ExprTrait},
};

use super::{
    Error,
    keys::{is_any_of, seen_in},
    keyset::{self, SortColumns},
};
use crate::{
    domain::{
        access::{Role, Scope},
        id::{TenantId, TokenId},
        page::Page,
        text::Text,
        token::{SecretHash, Token},
    },
    entity::token::{ActiveModel, Column, Entity, Model},
};

/// How exactly it is known when a token was last used.
const EXACT_TO: TimeDelta = TimeDelta::minutes(1);

/// The tokens with these ids, in no order. One that is good for all tenants is seen by who sees all.
pub async fn by_ids(db: &impl ConnectionTrait, scope: Scope, ids: &[TokenId]) -> Result<Vec<Token>, Error> {
    let rows = seen(scope).filter(is_any_of(Column::Id, ids)).all(db).await?;
    rows.into_iter().map(Token::try_from).collect()
}

/// Whether there is a token, good or no longer so.
pub async fn any(db: &impl ConnectionTrait) -> Result<bool, Error> {
    Ok(Entity::find().limit(1).one(db).await?.is_some())
}

/// The token with this id, locked until the transaction ends.
pub async fn lock(db: &impl ConnectionTrait, scope: Scope, id: TokenId) -> Result<Option<Token>, Error> {
    let row = seen(scope).filter(Column::Id.eq(id.uuid())).lock_exclusive().one(db).await?;
    row.map(Token::try_from).transpose()
}

/// The rows of a page, in the order in which it is walked.
pub async fn page(db: &impl ConnectionTrait, scope: Scope, page: &Page) -> Result<Vec<Token>, Error> {
    let columns = SortColumns { field: None, id: Column::Id };
    let rows = keyset::cut(seen(scope), page, columns).all(db).await?;
    rows.into_iter().map(Token::try_from).collect()
}

/// How many tokens there are.
pub async fn count(db: &impl ConnectionTrait, scope: Scope) -> Result<u64, Error> {
    Ok(seen(scope).count(db).await?)
}

fn seen(scope: Scope) -> Select<Entity> {
    Entity::find().filter(seen_in(scope, Column::TenantId))
}

/// Adds a token.
pub async fn insert(db: &impl ConnectionTrait, token: &Token) -> Result<(), Error> {
    Entity::insert(row(token)).exec_without_returning(db).await?;
    Ok(())
}

/// Revokes a token, unless it is already.
pub async fn revoke(db: &impl ConnectionTrait, id: TokenId, now: DateTime<Utc>) -> Result<(), Error> {
    revoke_all(db, Condition::all().add(Column::Id.eq(id.uuid())), now).await
}

/// Revokes the tokens that are good for this tenant alone.
pub async fn revoke_of_tenant(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    revoke_all(db, Condition::all().add(Column::TenantId.eq(tenant.uuid())), now).await
}

async fn revoke_all(db: &impl ConnectionTrait, which: Condition, now: DateTime<Utc>) -> Result<(), Error> {
    let revoke = Entity::update_many().col_expr(Column::RevokedAt, Expr::value(now));
    revoke.filter(which).filter(Column::RevokedAt.is_null()).exec(db).await?;
    Ok(())
}

/// Remembers that a token was used, unless it was within the last minute.
pub async fn used(db: &impl ConnectionTrait, id: TokenId, now: DateTime<Utc>) -> Result<(), Error> {
    let longer_ago = Column::LastUsedAt.is_null().or(Column::LastUsedAt.lte(now - EXACT_TO));
    let update = Entity::update_many().col_expr(Column::LastUsedAt, Expr::value(now));
    update.filter(Column::Id.eq(id.uuid())).filter(longer_ago).exec(db).await?;
    Ok(())
}

/// Whether [`used`] would write something.
pub fn is_use_news(token: &Token, now: DateTime<Utc>) -> bool {
    token.last_used_at.is_none_or(|last| last <= now - EXACT_TO)
}

fn row(token: &Token) -> ActiveModel {
    ActiveModel {
        id: Set(token.id.uuid()),
        name: Set(token.name.to_string()),
        role: Set(token.role.name().to_owned()),
        tenant_id: Set(token.tenant_id.map(TenantId::uuid)),
        hash: Set(token.hash.bytes().to_vec()),
        created_at: Set(token.created_at),
        expires_at: Set(token.expires_at),
        revoked_at: Set(token.revoked_at),
        last_used_at: Set(token.last_used_at),
    }
}

impl TryFrom<Model> for Token {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let corrupt = |column| Error::Corrupt { table: "tokens", column, id: row.id };
        Ok(Self {
            id: TokenId::from_uuid(row.id),
            role: Role::named(&row.role).ok_or_else(|| corrupt("role"))?,
            name: Text::stored(row.name),
            tenant_id: row.tenant_id.map(TenantId::from_uuid),
            hash: SecretHash::stored(row.hash),
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        })
    }
}
