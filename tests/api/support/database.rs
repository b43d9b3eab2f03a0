//! A database for one test.

use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectionTrait, Database};
use sluice::config::DatabaseUrl;

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A database that only one test uses.
pub enum TestDatabase {
    Sqlite { directory: tempfile::TempDir },
    Postgres { schema: String },
}

const POSTGRES: &str = "postgres://postgres@127.0.0.1:5432/postgres";

impl TestDatabase {
    /// An empty database. `None` where there is no PostgreSQL; with `CI=true` that is a failure.
    pub async fn create(engine: Engine) -> Option<Self> {
        match engine {
            Engine::Sqlite => Some(Self::Sqlite { directory: tempfile::tempdir().unwrap() }),
            Engine::Postgres => {
                static NEXT: AtomicU32 = AtomicU32::new(0);
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let schema = format!("sluice_test_{}_{number}", std::process::id());
                match execute(&format!("CREATE SCHEMA {schema}")).await {
                    Ok(()) => Some(Self::Postgres { schema }),
                    Err(error) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
                        panic!("there is no PostgreSQL at {}: {error}", server());
                    }
                    Err(error) => {
                        eprintln!("NOT TESTED ON POSTGRESQL: there is none at {}: {error}", server());
                        None
                    }
                }
            }
        }
    }

    /// Where it is.
    pub fn url(&self) -> DatabaseUrl {
        let url = match self {
            Self::Sqlite { directory } => format!("sqlite:{}", directory.path().join("sluice.db").display()),
            // Nobody needs what a test has written once the machine has crashed.
            Self::Postgres { schema } => {
                let options = format!("-csearch_path%3D{schema}%20-csynchronous_commit%3Doff");
                // Every server opens ten connections, and a debug build is slow to encrypt them.
                format!("{}?sslmode=disable&options={options}", server())
            }
        };
        url.parse().unwrap()
    }

    /// Removes it.
    pub async fn remove(self) {
        match self {
            Self::Sqlite { directory } => directory.close().unwrap(),
            Self::Postgres { schema } => execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap(),
        }
    }
}

fn server() -> String {
    std::env::var("SLUICE_TEST_POSTGRES_URL").unwrap_or_else(|_| POSTGRES.to_owned())
}

async fn execute(sql: &str) -> Result<(), sea_orm::DbErr> {
    let connection = Database::connect(format!("{}?sslmode=disable", server())).await?;
    connection.execute_unprepared(sql).await?;
    connection.close().await
}
