//! The table `backfill_windows`.

use sea_orm::entity::prelude::*;

/// A row of it.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backfill_windows")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub backfill_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    pub tenant_id: Uuid,
    pub since: DateTimeUtc,
    pub until: DateTimeUtc,
    pub batch_id: Uuid,
    pub status: String,
}

/// Rows are joined by hand, where the store needs it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
