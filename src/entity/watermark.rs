//! The table `watermarks`.

use sea_orm::entity::prelude::*;

/// A row of it.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "watermarks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub schedule_id: Uuid,
    pub tenant_id: Uuid,
    pub r#type: String,
    pub object: String,
    pub grain: String,
    pub connection_id: Uuid,
    pub at: Option<DateTimeUtc>,
    pub reset_at: Option<DateTimeUtc>,
}

/// Rows are joined by hand, where the store needs it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
