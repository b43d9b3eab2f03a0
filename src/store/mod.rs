//! All SQL. Functions take any connection or transaction; rows become domain values on the way out.

pub mod attempts;
pub mod backfill_windows;
pub mod backfills;
pub mod batches;
pub mod claims;
mod columns;
pub mod connections;
pub mod dependencies;
mod error;
pub mod events;
mod file;
pub mod firings;
pub mod jobs;
mod keys;
mod keyset;
mod lent;
mod many;
mod migrate;
mod plans;
pub mod prune;
mod reader;
pub mod ready;
pub mod runs;
pub mod schedules;
pub mod secrets;
mod sent;
mod templates;
pub mod tenants;
pub mod tokens;
pub mod trim;
mod veil;
pub mod wakeups;
pub mod watermarks;

use std::time::Duration;

use futures_util::future::{try_join, try_join_all};
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction,
    DbBackend, IsolationLevel, SqliteTransactionMode, Statement, StreamTrait, TransactionOptions,
    TransactionTrait, metric,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};

pub use error::{Error, Guarded, Written};
pub use keys::CHUNK;
pub use many::Changes;
pub use migrate::{MigrationStatus, migrate, migration_status};
pub use reader::Reader;
pub use wakeups::Listener;

use columns::Columns;
use file::File;

use crate::{
    config::{DatabaseConfig, DatabaseUrl},
    domain::veil::Veil,
};

/// How long a request waits for a free connection, or for SQLite's write lock.
const WAIT: Duration = Duration::from_secs(5);
/// How many rows SQLite's thread may be ahead of the one that reads them. With few of them the two
/// wake each other all the time.
const ROWS_AHEAD: usize = 4096;
/// A connection that was idle for this long is tried before it is used: the server may have gone.
const PING_AFTER_IDLE: Duration = Duration::from_secs(30);

/// How many connections are kept open: enough for two nested pages, each of which sends two statements at
/// once.
const KEPT_OPEN: u32 = 5;

/// How many connections to PostgreSQL that write are kept open: one for claims, one for reports.
const WRITERS_KEPT_OPEN: u32 = 2;

/// The database: who reads and who writes. On SQLite one connection writes, since there can be only
/// one writer, and others read beside it; on PostgreSQL their statements are planned differently.
#[derive(Debug, Clone)]
pub struct Store {
    reader: Reader,
    writer: DatabaseConnection,
    veil: Veil,
}

impl Store {
    /// Connects. Makes an SQLite file that is not there yet.
    pub async fn open(config: &DatabaseConfig) -> Result<Self, Error> {
        match &config.url {
            DatabaseUrl::Sqlite(url) => {
                let writer = Database::connect(sqlite(url, Role::Writer, 1)).await?;
                let reader = connect(sqlite(url, Role::Reader, config.connections)).await?;
                let veil = veil::of(&writer).await?;
                Ok(Self { reader: Reader::of_file(reader, File::of(url)?), writer, veil })
            }
            DatabaseUrl::Postgres(url) => {
                let open = |role| connect(postgres(url, role, config.connections));
                let (reader, writer) = try_join(open(Role::Reader), open(Role::Writer)).await?;
                events::rebase(&writer).await?;
                let veil = veil::of(&writer).await?;
                Ok(Self { reader: Reader::of_server(reader), writer, veil })
            }
        }
    }

    /// Calls `observer` after every statement, for tests and benches that count them.
    pub fn observe(&mut self, observer: impl Fn(&metric::Info<'_>) + Send + Sync + Clone + 'static) {
        self.reader.observe(observer.clone());
        self.writer.set_metric_callback(observer);
    }

    /// Where reads go that stand for themselves.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// What hides the positions of events from clients.
    pub fn veil(&self) -> &Veil {
        &self.veil
    }

    /// Asks the database whether it is there.
    pub async fn ping(&self) -> Result<(), Error> {
        self.reader.execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// A transaction that sees one moment, however many statements it reads with.
    pub async fn snapshot(&self) -> Result<Transaction, Error> {
        let options = match self.reader.backend() {
            DbBackend::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
            _ => TransactionOptions::default(),
        };
        Ok(Transaction(self.reader.begin(options).await?))
    }

    /// A transaction that may write.
    pub async fn write(&self) -> Result<Transaction, Error> {
        let options = TransactionOptions {
            // A deferred transaction that turns to writing gets no second chance when another
            // process writes: the busy timeout holds only for the first lock.
            sqlite_transaction_mode: matches!(self.writer.get_database_backend(), DbBackend::Sqlite)
                .then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(Transaction(self.writer.begin_with_options(options).await?))
    }

    /// Closes all connections once they are given back.
    pub async fn close(self) -> Result<(), Error> {
        self.reader.close().await?;
        Ok(self.writer.close().await?)
    }
}

/// Anything that statements can be sent to: the reader or a transaction.
pub trait Db: ConnectionTrait + StreamTrait {
    /// Which database it is.
    fn backend(&self) -> DbBackend {
        ConnectionTrait::get_database_backend(self)
    }

    /// Has `read` look at each row that a short statement finds.
    fn each_row(
        &self,
        statement: Statement,
        read: impl FnMut(&mut Columns<'_>) -> Result<(), Error> + Send,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

impl Db for DatabaseTransaction {
    async fn each_row(
        &self,
        statement: Statement,
        read: impl FnMut(&mut Columns<'_>) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        columns::stream(self, statement, read).await
    }
}

/// A transaction. It is rolled back when it is dropped without a commit.
#[derive(Debug)]
pub struct Transaction(DatabaseTransaction);

impl Transaction {
    /// Where to send its statements.
    pub fn db(&self) -> &DatabaseTransaction {
        &self.0
    }

    /// Makes what was written last, and seen by others.
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.0.commit().await?)
    }
}

/// What a connection is for.
#[derive(Clone, Copy)]
enum Role {
    Reader,
    Writer,
}

/// A pool whose connections are open already: each of these statements needs one of its own.
async fn connect(options: ConnectOptions) -> Result<DatabaseConnection, Error> {
    let open_at_once = options.get_min_connections().unwrap_or(1);
    let pool = Database::connect(options).await?;
    try_join_all((0..open_at_once).map(|_| pool.execute_unprepared("SELECT 1"))).await?;
    Ok(pool)
}

fn sqlite(url: &str, role: Role, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(connections.min(KEPT_OPEN))
        .acquire_timeout(WAIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            let options = options
                .create_if_missing(true)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal)
                .busy_timeout(WAIT)
                .row_buffer_size(ROWS_AHEAD);
            match role {
                Role::Reader => options.pragma("query_only", "ON"),
                Role::Writer => options.optimize_on_close(true, None),
            }
        });
    options
}

fn postgres(url: &str, role: Role, connections: u32) -> ConnectOptions {
    let (connections, kept_open) = match role {
        Role::Reader => (connections, KEPT_OPEN),
        Role::Writer => (connections.div_ceil(2), WRITERS_KEPT_OPEN),
    };
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(connections.min(kept_open))
        .acquire_timeout(WAIT)
        .test_before_acquire_if_idle_for(PING_AFTER_IDLE)
        .set_application_name("sluice")
        .sqlx_logging(false)
        // PostgreSQL plans a foreign key's check once a session. Made while a table is almost empty, the
        // plan reads the whole table for every row of a large batch. Everything
        // here has an index, so there is nothing to lose. What reads a small table whole all the same counts as
        // costly then, and would be compiled first: that takes a hundred times as long as to run it.
        .map_sqlx_postgres_opts(move |options| {
            let options = options.options([("enable_seqscan", "off"), ("jit", "off")]);
            match role {
                Role::Reader => options,
                Role::Writer => options.options(plans::SETTINGS),
            }
        });
    match role {
        Role::Reader => &mut options,
        Role::Writer => options.map_sqlx_postgres_pool_opts(plans::forget_now_and_then),
    };
    options
}
