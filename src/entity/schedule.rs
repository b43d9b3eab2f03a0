//! The table `schedules`.

use sea_orm::entity::prelude::*;

/// A row of it.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "schedules")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub name: String,
    pub template: Json,
    pub cron: Option<String>,
    pub time_zone: Option<String>,
    pub clock_gap: Option<String>,
    pub clock_overlap: Option<String>,
    pub overlap_policy: String,
    pub catch_up: String,
    pub catch_up_seconds: i32,
    pub paused_at: Option<DateTimeUtc>,
    pub next_at: Option<DateTimeUtc>,
    pub version: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub overlap_seconds: Option<i32>,
}

/// Rows are joined by hand, where the store needs it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
