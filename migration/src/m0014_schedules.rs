//! Schedules, what became of each of their firings, and which batches they have made.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(schedules()).await?;
        manager.create_table(firings()).await?;
        for column in [
            // No foreign key: its batches stay when a schedule is removed, and say where they came from.
            uuid_null("schedule_id").to_owned(),
            string_len("trigger", 20)
                .default("manual")
                .check(Expr::cust("trigger IN ('manual', 'schedule')"))
                .to_owned(),
        ] {
            manager.alter_table(Table::alter().table("batches").add_column(column).to_owned()).await?;
        }
        let db = manager.get_connection();
        for sql in [
            "CREATE UNIQUE INDEX schedules_tenant_name ON schedules (tenant_id, name)",
            "CREATE INDEX schedules_tenant_id ON schedules (tenant_id, id)",
            // Whoever looks for what is due reads from its start.
            "CREATE INDEX schedules_next_at ON schedules (next_at, id) WHERE next_at IS NOT NULL",
            // Each instant at which a schedule is due leaves one record.
            "CREATE UNIQUE INDEX firings_due_once ON firings (schedule_id, due_at) WHERE cause = 'timetable'",
            "CREATE UNIQUE INDEX firings_key ON firings (schedule_id, idempotency_key) \
             WHERE idempotency_key IS NOT NULL",
            "CREATE INDEX firings_schedule_id ON firings (schedule_id, id)",
            "CREATE UNIQUE INDEX firings_queued ON firings (schedule_id) WHERE outcome = 'queued'",
            "CREATE INDEX batches_schedule_id ON batches (schedule_id, id) WHERE schedule_id IS NOT NULL",
            "CREATE INDEX batches_schedule_active ON batches (schedule_id) \
             WHERE schedule_id IS NOT NULL AND status IN ('pending', 'running', 'canceling')",
        ] {
            db.execute_unprepared(sql).await?;
        }
        Ok(())
    }
}

fn schedules() -> TableCreateStatement {
    Table::create()
        .table("schedules")
        .col(uuid("id").primary_key())
        .col(uuid("tenant_id"))
        .col(string_len("name", 255))
        // What `createBatch` takes. Its connections are looked up anew whenever it fires.
        .col(json("template"))
        .col(string_len_null("cron", 200))
        .col(string_len_null("time_zone", 100))
        .col(string_len_null("clock_gap", 20))
        .col(string_len_null("clock_overlap", 20))
        .col(string_len("overlap_policy", 20))
        .col(string_len("catch_up", 20))
        .col(integer("catch_up_seconds"))
        .col(timestamp_with_time_zone_null("paused_at"))
        .col(timestamp_with_time_zone_null("next_at"))
        .col(integer("version"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(
            ForeignKey::create().name("schedules_tenant").from("schedules", "tenant_id").to("tenants", "id"),
        )
        .check(("schedules_name_not_blank", Expr::cust("trim(name) <> ''")))
        .check((
            "schedules_timetable_whole",
            Expr::cust(
                "(cron IS NULL) = (time_zone IS NULL) AND (cron IS NULL) = (clock_gap IS NULL) \
                 AND (cron IS NULL) = (clock_overlap IS NULL)",
            ),
        ))
        .check(("schedules_clock_gap_known", Expr::cust("clock_gap IN ('shift', 'skip')")))
        .check(("schedules_clock_overlap_known", Expr::cust("clock_overlap IN ('first', 'last', 'both')")))
        .check((
            "schedules_overlap_policy_known",
            Expr::cust("overlap_policy IN ('skip', 'queue', 'cancel_previous', 'allow')"),
        ))
        .check(("schedules_catch_up_known", Expr::cust("catch_up IN ('none', 'latest', 'all')")))
        .check(("schedules_catch_up_seconds", Expr::cust("catch_up_seconds >= 0")))
        .check((
            "schedules_next_at_as_state",
            Expr::cust("next_at IS NULL OR (paused_at IS NULL AND cron IS NOT NULL)"),
        ))
        .check(("schedules_version_positive", Expr::cust("version >= 1")))
        .to_owned()
}

fn firings() -> TableCreateStatement {
    Table::create()
        .table("firings")
        .col(uuid("id").primary_key())
        .col(uuid("schedule_id"))
        .col(uuid("tenant_id"))
        .col(timestamp_with_time_zone("due_at"))
        .col(string_len("cause", 20))
        .col(timestamp_with_time_zone("at"))
        .col(string_len("outcome", 20))
        // Why it was left out.
        .col(string_len_null("reason", 20))
        .col(uuid_null("batch_id"))
        // What was wrong with the template.
        .col(json_null("problems"))
        .col(string_len_null("idempotency_key", 255))
        .foreign_key(
            ForeignKey::create()
                .name("firings_schedule")
                .from("firings", "schedule_id")
                .to("schedules", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .check(("firings_cause_known", Expr::cust("cause IN ('timetable', 'trigger')")))
        .check(("firings_outcome_known", Expr::cust("outcome IN ('fired', 'queued', 'skipped', 'failed')")))
        .check(("firings_batch_as_outcome", Expr::cust("(batch_id IS NOT NULL) = (outcome = 'fired')")))
        .check(("firings_reason_as_outcome", Expr::cust("(reason IS NOT NULL) = (outcome = 'skipped')")))
        .check(("firings_reason_known", Expr::cust("reason IN ('overlap', 'missed')")))
        .check(("firings_problems_as_outcome", Expr::cust("(problems IS NOT NULL) = (outcome = 'failed')")))
        .check(("firings_key_as_cause", Expr::cust("idempotency_key IS NULL OR cause = 'trigger'")))
        .to_owned()
}
