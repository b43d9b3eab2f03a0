//! What a job requires, on its own row: whoever reads a page of batches with all dependencies has them with
//! the jobs, and not in a row for each. The edges stay rows, too: those are for who runs jobs, and goes
//! along them in both directions.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let requires = Table::alter().table("jobs").add_column(text_null("requires")).to_owned();
        manager.alter_table(requires).await?;
        let joined = match manager.get_database_backend() {
            DbBackend::Postgres => "string_agg",
            _ => "group_concat",
        };
        // `e0 l5 r7`: the extract at position 0, the load at 5, the result of the load at 7.
        let fill = format!(
            "UPDATE jobs SET requires = (
                SELECT {joined}(
                    CASE kind WHEN 'extract' THEN 'e' WHEN 'load' THEN 'l' ELSE 'r' END
                        || CAST(required AS varchar(10)), ' ')
                FROM dependencies
                WHERE dependencies.batch_id = jobs.batch_id AND dependencies.dependent = jobs.position)
            WHERE wave > 0"
        );
        manager.get_connection().execute_unprepared(&fill).await?;
        Ok(())
    }
}
