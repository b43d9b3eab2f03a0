//! Tenants, and the built-in one that serves who names none.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use sea_orm_migration::{prelude::*, schema::*, sea_orm::prelude::Uuid};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// A UUIDv7 of the beginning of time, so that the default tenant sorts first.
const DEFAULT_TENANT: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000);

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    #[expect(clippy::disallowed_methods, reason = "the Clock is in a crate that this one never imports")]
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tenants = Table::create()
            .table("tenants")
            .col(uuid("id").primary_key())
            .col(string_len("name", 255).unique_key())
            .col(integer_null("max_concurrent_jobs"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone("updated_at"))
            .check(("tenants_name_not_blank", Expr::cust("trim(name) <> ''")))
            .check(("tenants_max_concurrent_jobs_positive", Expr::cust("max_concurrent_jobs >= 1")))
            .to_owned();
        manager.create_table(tenants).await?;

        let now = DateTime::<Utc>::from(SystemTime::now());
        let default_tenant = Query::insert()
            .into_table("tenants")
            .columns(["id", "name", "created_at", "updated_at"])
            .values_panic([DEFAULT_TENANT.into(), "default".into(), now.into(), now.into()])
            .to_owned();
        manager.execute(default_tenant).await
    }
}
