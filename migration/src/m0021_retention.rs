//! Retention: which batches have ended longest ago, which are removed and still have rows, and from where on the
//! history is kept.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Since when nobody sees the batch any more. Its rows go in small steps.
        let removed = timestamp_with_time_zone_null("removed_at")
            .check((
                "batches_removed_when_finished",
                Expr::cust("removed_at IS NULL OR finished_at IS NOT NULL"),
            ))
            .to_owned();
        manager.alter_table(Table::alter().table("batches").add_column(removed).to_owned()).await?;
        let start = Table::create()
            .table("history_start")
            // There is one row.
            .col(integer("one").primary_key())
            // The last event that was removed, and all before it; zeros: none was.
            .col(big_integer("xact"))
            .col(big_integer("event"))
            .col(timestamp_with_time_zone_null("at"))
            .check(("history_start_one", Expr::cust("one = 1")))
            .check(("history_start_at_as_event", Expr::cust("(at IS NULL) = (event = 0)")))
            .to_owned();
        manager.create_table(start).await?;
        let db = manager.get_connection();
        for sql in [
            "INSERT INTO history_start (one, xact, event) VALUES (1, 0, 0)",
            "CREATE INDEX batches_finished_at ON batches (finished_at, id) \
             WHERE finished_at IS NOT NULL AND removed_at IS NULL",
            "CREATE INDEX batches_removed ON batches (id) WHERE removed_at IS NOT NULL",
        ] {
            db.execute_unprepared(sql).await?;
        }
        Ok(())
    }
}
