//! Events of schedules, which are about no batch.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let schedule = Table::alter().table("events").add_column(uuid_null("schedule_id")).to_owned();
        manager.alter_table(schedule).await?;
        match manager.get_database_backend() {
            DbBackend::Postgres => {
                db.execute_unprepared("ALTER TABLE events ALTER COLUMN batch_id DROP NOT NULL").await?;
            }
            _ => rebuild(db).await?,
        }
        db.execute_unprepared(
            "CREATE INDEX events_schedule ON events (schedule_id, xact, id) WHERE schedule_id IS NOT NULL",
        )
        .await?;
        Ok(())
    }
}

/// SQLite can't let a column be empty that could not be: the table is made anew. Its numbers go on.
async fn rebuild(db: &SchemaManagerConnection<'_>) -> Result<(), DbErr> {
    for sql in [
        "CREATE TABLE events_anew (
            id integer NOT NULL PRIMARY KEY AUTOINCREMENT,
            xact integer NOT NULL DEFAULT 0,
            at timestamp_with_timezone_text NOT NULL,
            kind varchar(40) NOT NULL,
            actor varchar(300) NOT NULL,
            tenant_id uuid_text NOT NULL,
            batch_id uuid_text,
            job_id uuid_text,
            attempt integer,
            data json_text,
            schedule_id uuid_text)",
        "INSERT INTO events_anew (id, xact, at, kind, actor, tenant_id, batch_id, job_id, attempt, data, schedule_id)
            SELECT id, xact, at, kind, actor, tenant_id, batch_id, job_id, attempt, data, schedule_id FROM events",
        "DELETE FROM sqlite_sequence WHERE name = 'events_anew'",
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'events_anew', seq FROM sqlite_sequence WHERE name = 'events'",
        "DROP TABLE events",
        "ALTER TABLE events_anew RENAME TO events",
        "CREATE INDEX events_order ON events (xact, id)",
        "CREATE INDEX events_batch ON events (batch_id, xact, id)",
        "CREATE INDEX events_tenant ON events (tenant_id, xact, id)",
    ] {
        db.execute_unprepared(sql).await?;
    }
    Ok(())
}
