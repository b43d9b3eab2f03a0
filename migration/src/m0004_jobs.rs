//! Jobs: the extracts and loads of a batch, in the order given.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let jobs = Table::create()
            .table("jobs")
            .col(uuid("id").primary_key())
            .col(uuid("batch_id"))
            .col(uuid("tenant_id"))
            .col(integer("position"))
            .col(integer("revision"))
            .col(string_len("type", 20))
            .col(string_len("object", 255))
            .col(string_len_null("grain", 64))
            .col(uuid("connection_id"))
            .col(timestamp_with_time_zone_null("since"))
            .col(timestamp_with_time_zone_null("updated_since"))
            .col(boolean("allow_delete"))
            .col(json_null("required_objects"))
            .col(integer("wave"))
            .col(integer("unsatisfied"))
            .col(string_len("status", 20))
            .col(integer("attempt"))
            .col(integer("max_attempts"))
            .col(timestamp_with_time_zone_null("not_before"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone_null("started_at"))
            .col(timestamp_with_time_zone_null("finished_at"))
            .foreign_key(
                ForeignKey::create()
                    .name("jobs_batch")
                    .from("jobs", ("tenant_id", "batch_id"))
                    .to("batches", ("tenant_id", "id"))
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .foreign_key(
                ForeignKey::create()
                    .name("jobs_connection")
                    .from("jobs", ("tenant_id", "connection_id"))
                    .to("connections", ("tenant_id", "id")),
            )
            .check(("jobs_position_not_negative", Expr::cust("position >= 0")))
            .check(("jobs_type_known", Expr::cust("type IN ('extract', 'load')")))
            .check(("jobs_object_not_blank", Expr::cust("trim(object) <> ''")))
            .check(("jobs_only_loads_delete", Expr::cust("NOT allow_delete OR type = 'load'")))
            .check((
                "jobs_status_known",
                Expr::cust("status IN ('blocked', 'ready', 'running', 'succeeded', 'failed', 'skipped', 'canceled')"),
            ))
            .check(("jobs_waves_from_requirements", Expr::cust("wave >= 0 AND (wave = 0) = (required_objects IS NULL)")))
            .check(("jobs_unsatisfied_not_negative", Expr::cust("unsatisfied >= 0")))
            .check((
                "jobs_start_when_satisfied",
                Expr::cust(
                    "CASE WHEN status = 'blocked' THEN unsatisfied > 0 \
                     WHEN status IN ('ready', 'running', 'succeeded', 'failed') THEN unsatisfied = 0 ELSE TRUE END",
                ),
            ))
            .check(("jobs_attempts_in_range", Expr::cust("attempt >= 0 AND attempt <= max_attempts AND max_attempts BETWEEN 1 AND 100")))
            .check((
                "jobs_started_at_as_status",
                Expr::cust(
                    "CASE WHEN status IN ('blocked', 'ready', 'skipped') THEN started_at IS NULL \
                     WHEN status = 'canceled' THEN TRUE ELSE started_at IS NOT NULL END",
                ),
            ))
            .check((
                "jobs_finished_at_as_status",
                Expr::cust("(finished_at IS NOT NULL) = (status IN ('succeeded', 'failed', 'skipped', 'canceled'))"),
            ))
            .check(("jobs_not_before_when_ready", Expr::cust("not_before IS NULL OR status = 'ready'")))
            .to_owned();
        manager.create_table(jobs).await?;

        let position = Index::create()
            .name("jobs_batch_position")
            .table("jobs")
            .col("batch_id")
            .col("position")
            .unique()
            .to_owned();
        manager.create_index(position).await?;
        // A job without a grain is one with the same nothing: two NULLs would count as different.
        let identity = "CREATE UNIQUE INDEX jobs_identity ON jobs (batch_id, type, object, coalesce(grain, ''), connection_id)";
        manager.get_connection().execute_unprepared(identity).await?;
        for column in ["tenant_id", "connection_id", "status", "object"] {
            let index = Index::create()
                .name(format!("jobs_{column}_id"))
                .table("jobs")
                .col(column)
                .col("id")
                .to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
