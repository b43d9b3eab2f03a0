//! Bringing a database up to the schema that this program knows.

use std::{collections::HashSet, str::FromStr, sync::Arc};

use migration::{Migrator, MigratorTrait, SchemaManager};
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, IntoDatabaseExecutor, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sqlx::{self, ConnectOptions, postgres::PgConnectOptions, sqlite::SqliteConnectOptions},
};
use tokio::time::timeout;

use super::{Error, Role, WAIT, postgres, sqlite};
use crate::config::DatabaseUrl;

/// The changes of the schema, by name, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Those that the database has.
    pub applied: Vec<String>,
    /// Those that it lacks.
    pub pending: Vec<String>,
}

/// Makes all changes that the database lacks, and says which. Any number of processes may do so at
/// once: the others wait for the first, and then find nothing left to do.
pub async fn migrate(url: &DatabaseUrl) -> Result<Vec<String>, Error> {
    let connection = connect(url).await?;
    let result = locked_migrate(&connection).await;
    connection.close().await?;
    result
}

/// Which changes the database has and lacks. Changes nothing.
pub async fn migration_status(url: &DatabaseUrl) -> Result<MigrationStatus, Error> {
    if let DatabaseUrl::Sqlite(url) = url
        && !SqliteConnectOptions::from_str(url).map_err(because)?.get_filename().exists()
    {
        return split(HashSet::new());
    }
    let connection = connect(url).await?;
    let result = status(&connection).await;
    connection.close().await?;
    result
}

/// A pool of one, so that the advisory lock and the changes share a session.
async fn connect(url: &DatabaseUrl) -> Result<DatabaseConnection, Error> {
    let options = match url {
        DatabaseUrl::Sqlite(url) => sqlite(url, Role::Writer, 1),
        DatabaseUrl::Postgres(url) => {
            reach(url).await?;
            postgres(url, Role::Writer, 1)
        }
    };
    Ok(Database::connect(options).await?)
}

/// Connects to PostgreSQL once, to learn why that can't be done: a pool tries again until its time is
/// up, and then says only that it is.
async fn reach(url: &str) -> Result<(), Error> {
    let options = PgConnectOptions::from_str(url).map_err(because)?;
    let silent = |_| {
        let message = format!("it does not answer within {} seconds", WAIT.as_secs());
        Error::Database(DbErr::Conn(RuntimeErr::Internal(message)))
    };
    let connection = timeout(WAIT, options.connect()).await.map_err(silent)?.map_err(because)?;
    sqlx::Connection::close(connection).await.map_err(because)
}

/// Why there is no connection.
fn because(error: sqlx::Error) -> Error {
    Error::Database(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
}

/// Holds a lock that ends with the session (PostgreSQL: one for each schema of a database) or with a
/// transaction (SQLite).
async fn locked_migrate(connection: &DatabaseConnection) -> Result<Vec<String>, Error> {
    if connection.get_database_backend() == DbBackend::Postgres {
        let lock = "SELECT pg_advisory_lock(hashtext('sluice.migrate'), hashtext(current_schema()))";
        connection.execute_unprepared(lock).await?;
        return bring_up(connection).await;
    }
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = connection.begin_with_options(options).await?;
    let made = bring_up(&transaction).await?;
    transaction.commit().await?;
    Ok(made)
}

async fn bring_up<'c, C: ConnectionTrait>(connection: &'c C) -> Result<Vec<String>, Error>
where
    &'c C: IntoDatabaseExecutor<'c>,
{
    let MigrationStatus { pending, .. } = status(connection).await?;
    if !pending.is_empty() {
        Migrator::up(connection, None).await?;
    }
    Ok(pending)
}

async fn status<'c, C: ConnectionTrait>(connection: &'c C) -> Result<MigrationStatus, Error>
where
    &'c C: IntoDatabaseExecutor<'c>,
{
    let models = if SchemaManager::new(connection).has_table("seaql_migrations").await? {
        Migrator::get_migration_models(connection).await?
    } else {
        Vec::new()
    };
    split(models.into_iter().map(|model| model.version).collect())
}

/// Tells what is found from what is not, among the changes that this program knows.
fn split(found: HashSet<String>) -> Result<MigrationStatus, Error> {
    let known: Vec<String> =
        Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    if let Some(newer) = found.iter().find(|version| !known.contains(version)) {
        return Err(Error::Newer(newer.clone()));
    }
    let (applied, pending) = known.into_iter().partition(|version| found.contains(version));
    Ok(MigrationStatus { applied, pending })
}
