//! Lanes: a narrow row for each job that can be claimed. With them no index of the jobs speaks of their state, and
//! PostgreSQL changes a job within its page and touches none. Who wants jobs in some state finds them by their
//! batches. How many jobs run, on which connection, is in the attempts.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // No foreign key: it would be checked for each job that becomes ready. Who removes jobs removes these.
        let ready = Table::create()
            .table("ready_jobs")
            .col(uuid("job_id").primary_key())
            .col(uuid("batch_id"))
            .col(string_len("type", 20))
            .col(uuid("connection_id"))
            .col(integer("priority"))
            .to_owned();
        manager.create_table(ready).await?;
        let db = manager.get_connection();
        for sql in [
            "INSERT INTO ready_jobs (job_id, batch_id, type, connection_id, priority)
                SELECT id, batch_id, type, connection_id, priority FROM jobs
                WHERE status = 'ready' AND not_before IS NULL",
            // A claim goes from connection to connection, and takes the first of each.
            "CREATE INDEX ready_jobs_lanes ON ready_jobs (type, connection_id, priority DESC, job_id)",
            "DROP INDEX jobs_claimable",
            "DROP INDEX jobs_running",
            "DROP INDEX jobs_status_id",
            // Whose jobs have failed, or never ran.
            "CREATE INDEX batches_unsuccessful ON batches (id) WHERE unsuccessful > 0",
            "DROP INDEX attempts_live",
        ] {
            db.execute_unprepared(sql).await?;
        }
        let column = match manager.get_database_backend() {
            DbBackend::Postgres => "uuid",
            // SQLite can't let a new column be empty for a while.
            _ => "uuid_text NOT NULL DEFAULT ''",
        };
        db.execute_unprepared(&format!("ALTER TABLE attempts ADD COLUMN connection_id {column}")).await?;
        db.execute_unprepared(
            "UPDATE attempts SET connection_id = (SELECT connection_id FROM jobs WHERE jobs.id = attempts.job_id)",
        )
        .await?;
        // Never two live leases of one job, which has one connection.
        db.execute_unprepared(
            "CREATE UNIQUE INDEX attempts_live ON attempts (connection_id, job_id) WHERE outcome IS NULL",
        )
        .await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared("ALTER TABLE attempts ALTER COLUMN connection_id SET NOT NULL").await?;
        }
        Ok(())
    }
}
