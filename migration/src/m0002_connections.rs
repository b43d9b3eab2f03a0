//! Connections: the configured access to source and destination systems.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connections = Table::create()
            .table("connections")
            .col(uuid("id").primary_key())
            .col(uuid("tenant_id"))
            .col(string_len("name", 255))
            .col(string_len("provider", 100))
            .col(json("config"))
            .col(integer_null("max_concurrent_jobs"))
            .col(timestamp_with_time_zone_null("archived_at"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone("updated_at"))
            .foreign_key(
                ForeignKey::create()
                    .name("connections_tenant")
                    .from("connections", "tenant_id")
                    .to("tenants", "id"),
            )
            .check(("connections_name_not_blank", Expr::cust("trim(name) <> ''")))
            .check(("connections_provider_not_blank", Expr::cust("trim(provider) <> ''")))
            .check(("connections_max_concurrent_jobs_positive", Expr::cust("max_concurrent_jobs >= 1")))
            .to_owned();
        manager.create_table(connections).await?;

        // Lists a tenant's connections, and lets batches and jobs refer to their own tenant's only.
        let of_tenant = Index::create()
            .name("connections_tenant_id")
            .table("connections")
            .col("tenant_id")
            .col("id")
            .unique()
            .to_owned();
        manager.create_index(of_tenant).await?;
        let name = Index::create()
            .name("connections_tenant_name")
            .table("connections")
            .col("tenant_id")
            .col("name")
            .unique()
            .to_owned();
        manager.create_index(name).await?;
        for column in ["name", "provider"] {
            let index = Index::create()
                .name(format!("connections_{column}"))
                .table("connections")
                .col(column)
                .col("id")
                .to_owned();
            manager.create_index(index).await?;
        }
        // The few among the many; who asks for the others walks the ids.
        let archived = Index::create()
            .name("connections_archived")
            .table("connections")
            .col("id")
            .and_where(Expr::col("archived_at").is_not_null())
            .to_owned();
        manager.create_index(archived).await
    }
}
