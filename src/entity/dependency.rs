//! The table `dependencies`.

use sea_orm::entity::prelude::*;

/// A row of it.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "dependencies")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub batch_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub dependent: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub required: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    pub revision: i32,
}

/// Rows are joined by hand, where the store needs it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
