//! Dependencies: one resolved requirement each. A job is named by its position in the batch, so
//! that a batch's edges are read as its graph without a look-up.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let job = |name: &'static str, column: &'static str| {
            ForeignKey::create()
                .name(name)
                .from("dependencies", ("batch_id", column))
                .to("jobs", ("batch_id", "position"))
                .on_delete(ForeignKeyAction::Cascade)
                .to_owned()
        };
        let dependencies = Table::create()
            .table("dependencies")
            .col(uuid("batch_id"))
            .col(integer("dependent"))
            .col(integer("required"))
            .col(string_len("kind", 20))
            .col(integer("revision"))
            .primary_key(Index::create().col("batch_id").col("dependent").col("required").col("kind"))
            .foreign_key(&mut job("dependencies_dependent", "dependent"))
            .foreign_key(&mut job("dependencies_required", "required"))
            .check(("dependencies_kind_known", Expr::cust("kind IN ('extract', 'load', 'load_result')")))
            .check(("dependencies_not_on_itself", Expr::cust("dependent <> required")))
            .to_owned();
        manager.create_table(dependencies).await?;

        let required = Index::create()
            .name("dependencies_batch_required")
            .table("dependencies")
            .col("batch_id")
            .col("required")
            .to_owned();
        manager.create_index(required).await
    }
}
