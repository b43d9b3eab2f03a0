//! What all servers of a database know and nobody else, by its name: the key of the cursors of events, for instance.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let secrets = Table::create()
            .table("server_secrets")
            .col(string_len("name", 40).primary_key())
            .col(binary("bytes"))
            .check(("server_secrets_whole", Expr::cust("length(bytes) = 64")))
            .to_owned();
        manager.create_table(secrets).await
    }
}
