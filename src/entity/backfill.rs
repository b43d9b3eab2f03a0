//! The table `backfills`.

use sea_orm::entity::prelude::*;

/// A row of it.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backfills")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub schedule_id: Uuid,
    pub since: DateTimeUtc,
    pub until: DateTimeUtc,
    pub step: String,
    pub time_zone: String,
    pub windows: i32,
    pub run_order: String,
    pub max_parallel: i32,
    pub priority: i32,
    pub moves_watermarks: bool,
    pub status: String,
    pub paused_at: Option<DateTimeUtc>,
    pub problems: Option<Json>,
    pub begun: i32,
    pub idempotency_key: Option<String>,
    pub version: i32,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub ended_at: Option<DateTimeUtc>,
    pub updated_at: DateTimeUtc,
}

/// Rows are joined by hand, where the store needs it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
