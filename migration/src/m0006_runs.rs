//! What running a batch leaves in its row and in those of its jobs.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// SQLite adds one column a statement.
async fn add(manager: &SchemaManager<'_>, table: &'static str, columns: Vec<ColumnDef>) -> Result<(), DbErr> {
    for column in columns {
        manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
    }
    Ok(())
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let batches = vec![
            // Jobs that have not ended: the batch ends when there are none left, and nobody counts rows.
            integer("unfinished").default(0).check(Expr::cust("unfinished >= 0")).to_owned(),
            // Jobs that have ended otherwise than by success.
            integer("unsuccessful").default(0).check(Expr::cust("unsuccessful >= 0")).to_owned(),
        ];
        add(manager, "batches", batches).await?;
        let jobs = vec![
            // The batch's: claims are sorted by it.
            integer("priority").default(0).to_owned(),
            // The number of the last attempt. `attempt` counts those since the last retry of the batch that
            // count against `max_attempts`; a job that was given back has more of these than of those.
            integer("last_attempt").default(0).check(Expr::cust("last_attempt >= attempt")).to_owned(),
            // When it came into the state that it is in.
            timestamp_with_time_zone("entered_at").default("1970-01-01 00:00:00+00:00").to_owned(),
            timestamp_with_time_zone_null("published_at")
                .check(Expr::cust("published_at IS NULL OR type = 'load'"))
                .to_owned(),
        ];
        add(manager, "jobs", jobs).await?;
        let db = manager.get_connection();
        for sql in [
            "UPDATE batches SET unfinished = (SELECT count(*) FROM jobs WHERE jobs.batch_id = batches.id)",
            "UPDATE jobs SET entered_at = created_at, \
             priority = (SELECT priority FROM batches WHERE batches.id = jobs.batch_id)",
            // A claim goes from connection to connection, and takes the first of each.
            "CREATE INDEX jobs_claimable ON jobs (type, connection_id, priority DESC, id) \
             WHERE status = 'ready' AND not_before IS NULL",
            "CREATE INDEX jobs_not_before ON jobs (not_before) WHERE not_before IS NOT NULL",
            "CREATE INDEX jobs_running ON jobs (tenant_id, connection_id) WHERE status = 'running'",
        ] {
            db.execute_unprepared(sql).await?;
        }
        Ok(())
    }
}
