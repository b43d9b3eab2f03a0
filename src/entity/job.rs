//! The table `jobs`.

use sea_orm::entity::prelude::*;

/// A row of it.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub batch_id: Uuid,
    pub tenant_id: Uuid,
    pub position: i32,
    pub revision: i32,
    pub r#type: String,
    pub object: String,
    pub grain: Option<String>,
    pub connection_id: Uuid,
    pub since: Option<DateTimeUtc>,
    pub updated_since: Option<DateTimeUtc>,
    pub allow_delete: bool,
    pub required_objects: Option<Json>,
    pub wave: i32,
    pub unsatisfied: i32,
    pub status: String,
    pub attempt: i32,
    pub max_attempts: i32,
    pub not_before: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
    pub priority: i32,
    pub last_attempt: i32,
    pub entered_at: DateTimeUtc,
    pub published_at: Option<DateTimeUtc>,
    pub requires: Option<String>,
    pub from_watermark: bool,
}

/// Rows are joined by hand, where the store needs it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
