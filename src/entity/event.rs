//! The table `events`.

use sea_orm::entity::prelude::*;

/// A row of it.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub xact: i64,
    pub at: DateTimeUtc,
    pub kind: String,
    pub actor: String,
    pub tenant_id: Uuid,
    pub batch_id: Option<Uuid>,
    pub job_id: Option<Uuid>,
    pub attempt: Option<i32>,
    pub data: Option<Json>,
    pub schedule_id: Option<Uuid>,
    pub backfill_id: Option<Uuid>,
}

/// Rows are joined by hand, where the store needs it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
