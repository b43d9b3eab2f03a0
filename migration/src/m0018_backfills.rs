//! Backfills, and the windows that they have begun.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(backfills()).await?;
        manager.create_table(backfill_windows()).await?;
        for (table, column) in [
            (
                "batches",
                timestamp_with_time_zone_null("until")
                    .check(Expr::cust("until IS NULL OR since IS NULL OR until > since"))
                    .to_owned(),
            ),
            // No foreign key: batches stay when their schedule is removed with its backfills.
            ("batches", uuid_null("backfill_id").to_owned()),
            ("events", uuid_null("backfill_id").to_owned()),
        ] {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        let db = manager.get_connection();
        let backend = manager.get_database_backend();
        for sql in triggers(backend).iter().chain(&INDEXES) {
            db.execute_unprepared(sql).await?;
        }
        Ok(())
    }
}

/// Lets a batch be made by a backfill. SQLite can't change what a column may hold: it gets another one.
fn triggers(backend: DbBackend) -> &'static [&'static str] {
    match backend {
        DbBackend::Postgres => &[
            "ALTER TABLE batches DROP CONSTRAINT batches_trigger_check",
            "ALTER TABLE batches ADD CONSTRAINT batches_trigger_check \
             CHECK (trigger IN ('manual', 'schedule', 'backfill'))",
        ],
        _ => &[
            "ALTER TABLE batches RENAME COLUMN trigger TO trigger_before",
            "ALTER TABLE batches ADD COLUMN trigger varchar(20) NOT NULL DEFAULT 'manual' \
             CHECK (trigger IN ('manual', 'schedule', 'backfill'))",
            "UPDATE batches SET trigger = trigger_before WHERE trigger <> trigger_before",
            "ALTER TABLE batches DROP COLUMN trigger_before",
        ],
    }
}

const INDEXES: [&str; 7] = [
    // A backfill keeps no firing of its schedule from going on.
    "DROP INDEX batches_schedule_active",
    "CREATE INDEX batches_schedule_active ON batches (schedule_id) \
     WHERE schedule_id IS NOT NULL AND backfill_id IS NULL AND status IN ('pending', 'running', 'canceling')",
    "CREATE INDEX backfills_schedule_id ON backfills (schedule_id, id)",
    "CREATE UNIQUE INDEX backfills_key ON backfills (schedule_id, idempotency_key) \
     WHERE idempotency_key IS NOT NULL",
    // Whoever looks for what is to be done reads those that have not ended.
    "CREATE INDEX backfills_active ON backfills (id) WHERE ended_at IS NULL",
    "CREATE UNIQUE INDEX backfill_windows_batch ON backfill_windows (batch_id)",
    "CREATE INDEX backfill_windows_status ON backfill_windows (backfill_id, status, position)",
];

fn backfills() -> TableCreateStatement {
    Table::create()
        .table("backfills")
        .col(uuid("id").primary_key())
        .col(uuid("tenant_id"))
        .col(uuid("schedule_id"))
        .col(timestamp_with_time_zone("since"))
        .col(timestamp_with_time_zone("until"))
        .col(string_len("step", 100))
        // By whose clocks the steps go: the schedule's may become others.
        .col(string_len("time_zone", 100))
        .col(integer("windows"))
        .col(string_len("run_order", 20))
        .col(integer("max_parallel"))
        .col(integer("priority"))
        .col(boolean("moves_watermarks"))
        .col(string_len("status", 20))
        .col(timestamp_with_time_zone_null("paused_at"))
        // What was wrong with the template, where it was paused for that.
        .col(json_null("problems"))
        .col(integer("begun"))
        .col(string_len_null("idempotency_key", 255))
        .col(integer("version"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("started_at"))
        .col(timestamp_with_time_zone_null("ended_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(
            ForeignKey::create()
                .name("backfills_schedule")
                .from("backfills", "schedule_id")
                .to("schedules", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .check(("backfills_not_empty", Expr::cust("until > since")))
        .check(("backfills_windows_in_range", Expr::cust("windows BETWEEN 1 AND 10000")))
        .check(("backfills_begun_in_range", Expr::cust("begun BETWEEN 0 AND windows")))
        .check(("backfills_order_known", Expr::cust("run_order IN ('oldest_first', 'newest_first')")))
        .check(("backfills_parallel_in_range", Expr::cust("max_parallel BETWEEN 1 AND 100")))
        .check(("backfills_priority_in_range", Expr::cust("priority BETWEEN -1000 AND 1000")))
        .check((
            "backfills_status_known",
            Expr::cust("status IN ('running', 'paused', 'canceling', 'succeeded', 'failed', 'canceled')"),
        ))
        .check(("backfills_paused_as_status", Expr::cust("(paused_at IS NOT NULL) = (status = 'paused')")))
        .check(("backfills_problems_as_status", Expr::cust("problems IS NULL OR status = 'paused'")))
        .check((
            "backfills_ended_as_status",
            Expr::cust("(ended_at IS NOT NULL) = (status IN ('succeeded', 'failed', 'canceled'))"),
        ))
        .check(("backfills_started_as_begun", Expr::cust("(started_at IS NOT NULL) = (begun > 0)")))
        .check(("backfills_version_positive", Expr::cust("version >= 1")))
        .to_owned()
}

fn backfill_windows() -> TableCreateStatement {
    Table::create()
        .table("backfill_windows")
        .col(uuid("backfill_id"))
        // Its place among all windows of the backfill, begun or not, the earliest first.
        .col(integer("position"))
        .col(uuid("tenant_id"))
        .col(timestamp_with_time_zone("since"))
        .col(timestamp_with_time_zone("until"))
        .col(uuid("batch_id"))
        // How its batch has ended, which it may outlive.
        .col(string_len("status", 20))
        .primary_key(Index::create().col("backfill_id").col("position"))
        .foreign_key(
            ForeignKey::create()
                .name("backfill_windows_backfill")
                .from("backfill_windows", "backfill_id")
                .to("backfills", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .check(("backfill_windows_position", Expr::cust("position >= 0")))
        .check(("backfill_windows_not_empty", Expr::cust("until > since")))
        .check((
            "backfill_windows_status_known",
            Expr::cust("status IN ('pending', 'running', 'succeeded', 'failed', 'canceled')"),
        ))
        .to_owned()
}
