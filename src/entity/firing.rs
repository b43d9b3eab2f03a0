//! The table `firings`.

use sea_orm::entity::prelude::*;

/// A row of it.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "firings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub schedule_id: Uuid,
    pub tenant_id: Uuid,
    pub due_at: DateTimeUtc,
    pub cause: String,
    pub at: DateTimeUtc,
    pub outcome: String,
    pub reason: Option<String>,
    pub batch_id: Option<Uuid>,
    pub problems: Option<Json>,
    pub idempotency_key: Option<String>,
}

/// Rows are joined by hand, where the store needs it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
