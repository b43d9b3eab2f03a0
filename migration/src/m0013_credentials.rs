//! Credentials of connections, sealed. And by which keys they may be sealed: a key is known by what it
//! makes of a fixed text, so that another key under the same id is noticed before it seals anything.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let keys = Table::create()
            .table("secret_keys")
            .col(string_len("id", 32).primary_key())
            .col(binary("proof"))
            .to_owned();
        manager.create_table(keys).await?;
        let (bytes, time) = match manager.get_database_backend() {
            DbBackend::Postgres => ("bytea", "timestamptz"),
            _ => ("blob", "timestamp_with_timezone_text"),
        };
        // SQLite adds one column a statement, and no constraint to a table that is there: whether all
        // four are there, or none, is said with the last of them.
        for column in [
            format!("credentials {bytes}"),
            "credentials_key varchar(32) REFERENCES secret_keys (id)".into(),
            format!("credentials_fingerprint {bytes}"),
            format!(
                "credentials_updated_at {time} CONSTRAINT connections_credentials_whole CHECK (
                    (credentials IS NULL) = (credentials_updated_at IS NULL)
                    AND (credentials IS NULL) = (credentials_key IS NULL)
                    AND (credentials IS NULL) = (credentials_fingerprint IS NULL))"
            ),
        ] {
            let sql = format!("ALTER TABLE connections ADD COLUMN {column}");
            manager.get_connection().execute_unprepared(&sql).await?;
        }
        manager
            .get_connection()
            .execute_unprepared(
                "CREATE INDEX connections_credentials_key ON connections (credentials_key, id)
                WHERE credentials_key IS NOT NULL",
            )
            .await?;
        Ok(())
    }
}
