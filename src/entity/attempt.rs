//! The table `attempts`.

use sea_orm::entity::prelude::*;

/// A row of it.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "attempts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub job_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    pub batch_id: Uuid,
    pub lease_hash: Vec<u8>,
    pub worker: String,
    pub started_at: DateTimeUtc,
    pub lease_seconds: i32,
    pub expires_at: DateTimeUtc,
    pub finished_at: Option<DateTimeUtc>,
    pub outcome: Option<String>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub records: Option<i64>,
    pub bytes: Option<i64>,
    pub total: Option<i64>,
    pub message: Option<String>,
    pub progress_at: Option<DateTimeUtc>,
    pub connection_id: Uuid,
}

/// Rows are joined by hand, where the store needs it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
