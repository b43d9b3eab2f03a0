//! How far the jobs of incremental schedules have got, and what of that has gone into their batches.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [
            // Empty: the schedule is not incremental.
            (
                "schedules",
                integer_null("overlap_seconds").check(Expr::cust("overlap_seconds >= 0")).to_owned(),
            ),
            ("batches", boolean("moves_watermarks").default(false).to_owned()),
            // Where the job's `updated_since` comes from.
            ("jobs", boolean("from_watermark").default(false).to_owned()),
        ] {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        manager.create_table(watermarks()).await?;
        let db = manager.get_connection();
        for sql in [
            "CREATE UNIQUE INDEX watermarks_job \
             ON watermarks (schedule_id, type, object, grain, connection_id)",
            "CREATE INDEX watermarks_schedule_id ON watermarks (schedule_id, id)",
        ] {
            db.execute_unprepared(sql).await?;
        }
        Ok(())
    }
}

fn watermarks() -> TableCreateStatement {
    Table::create()
        .table("watermarks")
        .col(uuid("id").primary_key())
        .col(uuid("schedule_id"))
        .col(uuid("tenant_id"))
        .col(string_len("type", 20))
        .col(string_len("object", 255))
        // Blank where there is none: what is unknown would not be the same twice.
        .col(string_len("grain", 64))
        // No foreign key: a template may name a connection that is not there any more.
        .col(uuid("connection_id"))
        // Empty after a reset.
        .col(timestamp_with_time_zone_null("at"))
        .col(timestamp_with_time_zone_null("reset_at"))
        .foreign_key(
            ForeignKey::create()
                .name("watermarks_schedule")
                .from("watermarks", "schedule_id")
                .to("schedules", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .check(("watermarks_type_known", Expr::cust("type IN ('extract', 'load')")))
        .check(("watermarks_object_not_blank", Expr::cust("trim(object) <> ''")))
        .check(("watermarks_not_nothing", Expr::cust("at IS NOT NULL OR reset_at IS NOT NULL")))
        .to_owned()
}
