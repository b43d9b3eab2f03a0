//! Attempts: one try at a job each, with the lease under which it runs and what was last heard of it.
//! And what jobs have put out.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let attempts = Table::create()
            .table("attempts")
            .col(uuid("job_id"))
            .col(integer("number"))
            .col(uuid("batch_id"))
            .col(binary("lease_hash"))
            .col(string_len("worker", 255))
            .col(timestamp_with_time_zone("started_at"))
            // How long the lease lasts after each heartbeat, in seconds.
            .col(integer("lease_seconds"))
            .col(timestamp_with_time_zone("expires_at"))
            .col(timestamp_with_time_zone_null("finished_at"))
            .col(string_len_null("outcome", 20))
            .col(string_len_null("error_code", 100))
            .col(text_null("error_message"))
            .col(big_integer_null("records"))
            .col(big_integer_null("bytes"))
            .col(big_integer_null("total"))
            .col(text_null("message"))
            .col(timestamp_with_time_zone_null("progress_at"))
            .primary_key(Index::create().col("job_id").col("number"))
            .foreign_key(
                ForeignKey::create()
                    .name("attempts_job")
                    .from("attempts", "job_id")
                    .to("jobs", "id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .check(("attempts_number_positive", Expr::cust("number >= 1")))
            .check((
                "attempts_outcome_known",
                Expr::cust("outcome IN ('succeeded', 'failed', 'lost', 'released')"),
            ))
            .check((
                "attempts_finished_at_as_outcome",
                Expr::cust("(finished_at IS NULL) = (outcome IS NULL)"),
            ))
            .check((
                "attempts_error_whole",
                Expr::cust("(error_code IS NULL) = (error_message IS NULL) AND (error_code IS NULL OR outcome IS NOT NULL)"),
            ))
            .to_owned();
        manager.create_table(attempts).await?;
        let outputs = Table::create()
            .table("outputs")
            .col(uuid("job_id").primary_key())
            .col(json("output"))
            .foreign_key(
                ForeignKey::create()
                    .name("outputs_job")
                    .from("outputs", "job_id")
                    .to("jobs", "id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .to_owned();
        manager.create_table(outputs).await?;
        let db = manager.get_connection();
        for sql in [
            "CREATE UNIQUE INDEX attempts_lease_hash ON attempts (lease_hash)",
            // Never two live leases of one job.
            "CREATE UNIQUE INDEX attempts_live ON attempts (job_id) WHERE outcome IS NULL",
            "CREATE INDEX attempts_expires_at ON attempts (expires_at) WHERE outcome IS NULL",
        ] {
            db.execute_unprepared(sql).await?;
        }
        Ok(())
    }
}
