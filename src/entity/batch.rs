//! The table `batches`.

use sea_orm::entity::prelude::*;

/// A row of it.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "batches")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub source_connection_id: Uuid,
    pub destination_connection_id: Uuid,
    pub since: Option<DateTimeUtc>,
    pub updated_since: Option<DateTimeUtc>,
    pub priority: i32,
    pub failure_policy: String,
    pub status: String,
    pub version: i32,
    pub revision: i32,
    pub idempotency_key: Option<String>,
    pub request_hash: Option<Vec<u8>>,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
    pub updated_at: DateTimeUtc,
    pub unfinished: i32,
    pub unsuccessful: i32,
    pub schedule_id: Option<Uuid>,
    pub trigger: String,
    pub moves_watermarks: bool,
    pub until: Option<DateTimeUtc>,
    pub backfill_id: Option<Uuid>,
    pub removed_at: Option<DateTimeUtc>,
}

/// Rows are joined by hand, where the store needs it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
