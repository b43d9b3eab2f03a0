//! Batches: one run each, from a source connection into a destination connection.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = |name: &'static str, column: &'static str| {
            ForeignKey::create()
                .name(name)
                .from("batches", ("tenant_id", column))
                .to("connections", ("tenant_id", "id"))
                .to_owned()
        };
        let batches = Table::create()
            .table("batches")
            .col(uuid("id").primary_key())
            .col(uuid("tenant_id"))
            .col(uuid("source_connection_id"))
            .col(uuid("destination_connection_id"))
            .col(timestamp_with_time_zone_null("since"))
            .col(timestamp_with_time_zone_null("updated_since"))
            .col(integer("priority"))
            .col(string_len("failure_policy", 20))
            .col(string_len("status", 20))
            .col(integer("version"))
            .col(integer("revision"))
            .col(string_len_null("idempotency_key", 255))
            .col(binary_null("request_hash"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone_null("started_at"))
            .col(timestamp_with_time_zone_null("finished_at"))
            .col(timestamp_with_time_zone("updated_at"))
            .foreign_key(ForeignKey::create().name("batches_tenant").from("batches", "tenant_id").to("tenants", "id"))
            .foreign_key(&mut connection("batches_source_connection", "source_connection_id"))
            .foreign_key(&mut connection("batches_destination_connection", "destination_connection_id"))
            .check(("batches_priority_in_range", Expr::cust("priority BETWEEN -1000 AND 1000")))
            .check(("batches_failure_policy_known", Expr::cust("failure_policy IN ('continue', 'cancel_batch')")))
            .check((
                "batches_status_known",
                Expr::cust("status IN ('pending', 'running', 'canceling', 'succeeded', 'failed', 'canceled')"),
            ))
            .check(("batches_version_positive", Expr::cust("version >= 1 AND revision >= 1")))
            .check((
                "batches_started_at_as_status",
                Expr::cust("CASE WHEN status = 'pending' THEN started_at IS NULL WHEN status = 'canceled' THEN TRUE ELSE started_at IS NOT NULL END"),
            ))
            .check((
                "batches_finished_at_as_status",
                Expr::cust("(finished_at IS NOT NULL) = (status IN ('succeeded', 'failed', 'canceled'))"),
            ))
            .check(("batches_key_has_hash", Expr::cust("(idempotency_key IS NULL) = (request_hash IS NULL)")))
            .to_owned();
        manager.create_table(batches).await?;

        // Lists a tenant's batches, and lets jobs refer to their own tenant's only.
        let of_tenant = Index::create()
            .name("batches_tenant_id")
            .table("batches")
            .col("tenant_id")
            .col("id")
            .unique()
            .to_owned();
        manager.create_index(of_tenant).await?;
        let key = Index::create()
            .name("batches_tenant_idempotency_key")
            .table("batches")
            .col("tenant_id")
            .col("idempotency_key")
            .unique()
            .to_owned();
        manager.create_index(key).await?;
        let lists: [&[&'static str]; 8] = [
            &["status"],
            &["tenant_id", "status"],
            &["source_connection_id"],
            &["destination_connection_id"],
            &["updated_at"],
            &["tenant_id", "updated_at"],
            &["priority"],
            &["tenant_id", "priority"],
        ];
        for columns in lists {
            let mut index =
                Index::create().name(format!("batches_{}_id", columns.join("_"))).table("batches").to_owned();
            for column in columns.iter().chain(&["id"]) {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
