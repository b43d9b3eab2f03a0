//! A database that is there for one run.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use sluice::{
    app,
    clock::Clock,
    config::{Access, Config, CrowdLimits, DatabaseConfig, DatabaseUrl, Demo, KeySource, Limits, LiveLimits},
    domain::{access::Openness, documents::DocumentLimits, draft::BatchLimits},
    services::{Services, Settings},
    store::Store,
};
use tokio_postgres::{Client, NoTls};

/// How many connections everyone has to PostgreSQL, or readers of SQLite.
pub const POOL: u32 = 10;
/// Where a PostgreSQL server is, unless `BENCH_POSTGRES` says otherwise.
const POSTGRES: &str = "postgres://postgres@127.0.0.1:5432/postgres";
/// The limits of the program where nobody says otherwise.
pub const LIMITS: BatchLimits = BatchLimits { jobs: 10_000, dependencies: 100_000 };

/// A database of its own. It is removed when this is dropped.
pub struct Scratch {
    /// Which database, for `DatabaseUrl`.
    pub url: String,
    remove: Remove,
}

enum Remove {
    Directory(PathBuf),
    Database { server: String, name: String },
}

impl Scratch {
    /// A new SQLite file.
    pub fn sqlite() -> Self {
        let directory = std::env::temp_dir().join(format!("sluice-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let url = format!("sqlite:{}", directory.join("bench.db").display());
        Self { url, remove: Remove::Directory(directory) }
    }

    /// A new database on the PostgreSQL server; says so when there is no server.
    pub async fn postgres() -> Option<Self> {
        let server = std::env::var("BENCH_POSTGRES").unwrap_or_else(|_| POSTGRES.into());
        let name = format!("sluice_bench_{}", std::process::id());
        let client = match tokio_postgres::connect(&server, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                client
            }
            Err(error) => {
                eprintln!("\n!!! PostgreSQL IS LEFT OUT: no server answers ({error}).");
                eprintln!("!!! Name one with BENCH_POSTGRES=postgres://user@host/database\n");
                return None;
            }
        };
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (host, _) = server.rsplit_once('/').expect("the URL of a server names a database");
        // Nobody encrypts: else Sluice would, where the server can, and the bare clients would not.
        let url = format!("{host}/{name}?sslmode=disable");
        Some(Self { url, remove: Remove::Database { server, name } })
    }

    /// What the databases of a run are called in its tables.
    pub fn title(&self) -> &'static str {
        match self.remove {
            Remove::Directory(_) => "SQLite",
            Remove::Database { .. } => "PostgreSQL",
        }
    }

    /// Brings the statistics up to date, so that no run measures the moment before and after.
    pub async fn analyze(&self) {
        if let Remove::Database { .. } = self.remove {
            postgres(&self.url).await.batch_execute("VACUUM ANALYZE").await.unwrap();
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        match &self.remove {
            Remove::Directory(directory) => drop(std::fs::remove_dir_all(directory)),
            Remove::Database { server, name } => {
                let sql = format!("DROP DATABASE {name} WITH (FORCE)");
                let server = server.clone();
                // A thread, since there may be a runtime already, which must not be blocked.
                let dropped = std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async { postgres(&server).await.batch_execute(&sql).await })
                });
                if !matches!(dropped.join(), Ok(Ok(()))) {
                    eprintln!("the database {name} could not be dropped");
                }
            }
        }
    }
}

/// Measures on each of the databases that are wanted, one after the other.
pub async fn on_each(measure: impl AsyncFn(&Scratch)) {
    let wanted = std::env::var("BENCH_DATABASES").unwrap_or_else(|_| "postgres,sqlite".into());
    if wanted.contains("postgres")
        && let Some(database) = Scratch::postgres().await
    {
        measure(&database).await;
    }
    if wanted.contains("sqlite") {
        measure(&Scratch::sqlite()).await;
    }
}

/// One connection to PostgreSQL.
pub async fn postgres(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The processes that serve a database, where those are known.
pub async fn backends(url: &str) -> Vec<u32> {
    if sqlite_path(url).is_some() {
        return Vec::new();
    }
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()";
    let rows = postgres(url).await.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, i32>(0).unsigned_abs()).collect()
}

/// The path of an SQLite file.
pub fn sqlite_path(url: &str) -> Option<&str> {
    url.strip_prefix("sqlite:")
}

/// What the server is configured with: one worker, a free port.
pub fn config(url: &str) -> Config {
    let url: DatabaseUrl = url.parse().unwrap();
    Config {
        database: DatabaseConfig { url, connections: POOL },
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        workers: 1,
        limits: Limits {
            body: 16 << 20,
            operations: 10,
            sending: Limits::SENDING,
            running: Limits::RUNNING,
            batch: LIMITS,
            documents: DocumentLimits::DEFAULT,
            crowd: CrowdLimits::DEFAULT,
            live: LiveLimits::DEFAULT,
        },
        graph_cache: 0,
        retention: Default::default(),
        demo: Demo::Off,
        access: Access::ByToken,
        keys: KeySource::Unnamed,
        issuer: None,
        operations: None,
        origins: Vec::new(),
    }
}

/// The database, brought up to date.
pub async fn open(url: &str) -> Store {
    app::open(&config(url)).await.unwrap()
}

/// The use cases on this store.
pub fn services(store: Store) -> Services {
    services_by(Clock::System, store)
}

/// The use cases on this store, by this clock.
pub fn services_by(clock: Clock, store: Store) -> Services {
    Services::new(
        store,
        clock,
        Settings {
            limits: LIMITS,
            openness: Openness::AtHome,
            issuer: None,
            keyring: None,
            graph_cache: 0,
            metrics: Arc::default(),
        },
    )
}
