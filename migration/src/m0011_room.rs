//! Room for changes, on PostgreSQL: a row whose indexed columns stay as they are is changed within its page,
//! if there is room, and no index is touched. A batch is changed with each of its jobs, and a job with each
//! of its requirements. And of the history's indexes one is as good as two.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        for sql in [
            "ALTER TABLE batches SET (fillfactor = 60)",
            "ALTER TABLE jobs SET (fillfactor = 80)",
            "ALTER TABLE events DROP CONSTRAINT events_pkey",
            "DROP INDEX events_order",
            "ALTER TABLE events ADD CONSTRAINT events_order PRIMARY KEY (xact, id)",
        ] {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }
}
