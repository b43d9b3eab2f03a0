//! The history: every change of state, in the order in which it was committed. And who asked for work
//! when, so that a job can say that nobody comes for it.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // PostgreSQL hands out ids out of the order of commits. The order is that of transactions,
        // and nobody reads an event while an older transaction could still add one before it.
        // SQLite writes one transaction at a time: there the id alone is the order.
        let xact = match manager.get_database_backend() {
            DbBackend::Postgres => {
                big_integer("xact").default(Expr::cust("(pg_current_xact_id()::text::bigint)")).to_owned()
            }
            _ => big_integer("xact").default(0).to_owned(),
        };
        // No foreign keys: the history outlives what it speaks of.
        let events = Table::create()
            .table("events")
            .col(big_pk_auto("id"))
            .col(xact)
            .col(timestamp_with_time_zone("at"))
            .col(string_len("kind", 40))
            .col(string_len("actor", 300))
            .col(uuid("tenant_id"))
            .col(uuid("batch_id"))
            .col(uuid_null("job_id"))
            .col(integer_null("attempt"))
            .col(json_null("data"))
            .to_owned();
        manager.create_table(events).await?;
        let lists: [(&str, &[&'static str]); 3] =
            [("events_order", &[]), ("events_batch", &["batch_id"]), ("events_tenant", &["tenant_id"])];
        for (name, columns) in lists {
            let mut index = Index::create().name(name).table("events").to_owned();
            for column in columns.iter().chain(&["xact", "id"]) {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        let calls = Table::create()
            .table("worker_calls")
            // The tenant, provider and type that were asked for; the nil id and empty texts stand for any.
            .col(uuid("tenant_id"))
            .col(string_len("provider", 100))
            .col(string_len("type", 20))
            .col(timestamp_with_time_zone("called_at"))
            .primary_key(Index::create().col("tenant_id").col("provider").col("type"))
            .to_owned();
        manager.create_table(calls).await
    }
}
