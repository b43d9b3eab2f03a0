//! More room for changes of jobs, on PostgreSQL. One transaction changes many jobs of a batch, which stand in the same
//! page, and what it leaves behind is not free before it ends: with a fifth of the page free, every third change went
//! to another page and into each index.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            let more = "ALTER TABLE jobs SET (fillfactor = 55)";
            manager.get_connection().execute_unprepared(more).await?;
        }
        Ok(())
    }
}
