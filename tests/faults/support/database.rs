//! A database for one test.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::Site;
use crate::common::{execute, server};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A database that only one test uses, with the directory in which its servers run. Channels, statistics
/// and locks belong to a database of PostgreSQL, so that a schema would not do.
pub struct Database {
    pub directory: Arc<tempfile::TempDir>,
    url: String,
    name: Option<String>,
}

impl Database {
    /// An empty one. `None` where there is no PostgreSQL; with `CI=true` that is a failure.
    pub fn create(engine: Engine) -> Option<Self> {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        if engine == Engine::Sqlite {
            return Some(Self { directory, url: "sqlite:sluice.db".into(), name: None });
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sluice_faults_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        match execute(&server(), &format!("CREATE DATABASE {name}")) {
            Ok(()) => {}
            Err(error) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
                panic!("there is no PostgreSQL at {}: {error}", server());
            }
            Err(error) => {
                eprintln!("NOT TESTED ON POSTGRESQL: there is none at {}: {error}", server());
                return None;
            }
        }
        let (host, _) =
            server_without_parameters().rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        Some(Self { directory, url: format!("{host}/{name}"), name: Some(name) })
    }

    /// One that is there already.
    pub fn at(url: String) -> Self {
        Self { directory: Arc::new(tempfile::tempdir().unwrap()), url, name: None }
    }

    /// Changes rows behind the servers' back.
    pub fn execute(&self, sql: &'static str) {
        let url = self.url.clone();
        std::thread::spawn(move || execute(&url, sql)).join().unwrap().unwrap();
    }

    /// Its name in PostgreSQL.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap()
    }

    pub fn site(&self) -> Site {
        Site::start(&self.directory, &self.url)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let name = name.clone();
            // Not on the thread of the test: there may be a runtime already.
            let drop = move || execute(&server(), &format!("DROP DATABASE {name} WITH (FORCE)"));
            let dropped = std::thread::spawn(drop).join();
            if !std::thread::panicking() {
                dropped.unwrap().unwrap();
            }
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("the servers logged last:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

fn server_without_parameters() -> String {
    server().split('?').next().unwrap_or_default().to_owned()
}

/// Looks at PostgreSQL from outside of the database of the test.
pub struct Observer(DatabaseConnection);

impl Observer {
    pub async fn connect() -> Self {
        let mut options = sea_orm::ConnectOptions::new(server());
        options.max_connections(1).sqlx_logging(false);
        Self(sea_orm::Database::connect(options).await.unwrap())
    }

    /// The number that a statement gives.
    pub async fn number(&self, sql: &str) -> i64 {
        let row = self.0.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
        row.unwrap().try_get_by_index(0).unwrap()
    }

    /// The texts in the first column of what a statement gives.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.0.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// Ends all connections of the servers to their database. There must be some.
    pub async fn cut_off(&self, database: &Database) {
        let lost = self
            .number(&format!(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE datname = '{}' AND application_name = 'sluice'",
                database.name()
            ))
            .await;
        assert!(lost > 0);
    }
}
