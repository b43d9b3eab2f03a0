//! How often the connections of a tenant have changed. Who keeps what a batch showed of its connections sees by that
//! whether it still holds.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = big_integer("connection_changes").default(0).to_owned();
        let tenants = Table::alter().table("tenants").add_column(column).to_owned();
        manager.alter_table(tenants).await
    }
}
