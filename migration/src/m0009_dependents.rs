//! Which jobs depend on a job, and how, from the index alone. Without `kind` and `dependent` in it,
//! SQLite takes the primary key instead and reads all edges of the batch.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let former = Index::drop().name("dependencies_batch_required").table("dependencies").to_owned();
        manager.drop_index(former).await?;
        let dependents = Index::create()
            .name("dependencies_dependents")
            .table("dependencies")
            .col("batch_id")
            .col("required")
            .col("kind")
            .col("dependent")
            .to_owned();
        manager.create_index(dependents).await
    }
}
