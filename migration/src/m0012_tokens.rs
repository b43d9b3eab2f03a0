//! Tokens: what programs and people show to say who they are.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // A tenant that is removed leaves its tokens behind, revoked: that there were some is never
        // forgotten, since a server without any is open.
        let tokens = Table::create()
            .table("tokens")
            .col(uuid("id").primary_key())
            .col(string_len("name", 255))
            .col(string_len("role", 20))
            .col(uuid_null("tenant_id"))
            .col(binary("hash"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone_null("expires_at"))
            .col(timestamp_with_time_zone_null("revoked_at"))
            .col(timestamp_with_time_zone_null("last_used_at"))
            .check(("tokens_name_not_blank", Expr::cust("trim(name) <> ''")))
            .check(("tokens_role_known", Expr::cust("role IN ('viewer', 'operator', 'admin', 'worker')")))
            .check(("tokens_hash_whole", Expr::cust("length(hash) = 32")))
            .to_owned();
        manager.create_table(tokens).await?;
        manager
            .get_connection()
            .execute_unprepared("CREATE INDEX tokens_tenant ON tokens (tenant_id, id)")
            .await?;
        Ok(())
    }
}
