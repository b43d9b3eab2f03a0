//! Which rows: those with one of some keys, those that a scope contains.

use sea_orm::{
    ColumnTrait, Condition, DbBackend,
    sea_query::{Expr, ExprTrait, SimpleExpr, extension::postgres::PgFunc},
};
use type_safe_id::StaticType;
use uuid::Uuid;

use crate::domain::{access::Scope, id::Id};

/// The most keys in one statement. Databases bound the parameters of a statement (SQLite: 32,766);
/// past some hundreds there is nothing to gain anyway.
pub const CHUNK: usize = 1024;

/// Nothing but what the scope contains. `tenant` is the column with the id of the row's tenant.
pub fn seen_in(scope: Scope, tenant: impl ColumnTrait) -> Condition {
    Condition::all().add_option(scope.tenant().map(|own| tenant.eq(own.uuid())))
}

/// `column IN (keys…)`, see [`any_of`].
pub fn is_any_of<K: StaticType>(column: impl ColumnTrait, keys: &[Id<K>]) -> SimpleExpr {
    any_of(Expr::col((column.entity_name(), column)), keys)
}

/// `expression IN (keys…)`. The list is filled up to the next power of two with its last key: then
/// there are eleven texts of such a statement and not a thousand, and each connection keeps them
/// all prepared.
pub fn any_of<K: StaticType>(expression: SimpleExpr, keys: &[Id<K>]) -> SimpleExpr {
    let padding = keys.last().into_iter().cycle().take(keys.len().next_power_of_two() - keys.len());
    expression.is_in(keys.iter().chain(padding).map(|key| key.uuid()).collect::<Vec<Uuid>>())
}

/// `column IN (keys…)` for statements that are sent all the time: to PostgreSQL the keys are one parameter, so that it
/// plans the statement once, and as one about few rows.
pub fn among<K: StaticType>(backend: DbBackend, column: impl ColumnTrait, keys: &[Id<K>]) -> SimpleExpr {
    match backend {
        DbBackend::Postgres => {
            let keys: Vec<Uuid> = keys.iter().map(|key| key.uuid()).collect();
            Expr::col((column.entity_name(), column)).eq(PgFunc::any(keys))
        }
        _ => is_any_of(column, keys),
    }
}
