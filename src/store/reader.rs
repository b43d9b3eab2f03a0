//! Where reads go that stand for themselves.
//!
//! A pool asks a connection whether it is still there whenever it is given back: to a short read that is a second way
//! to the database and back. SQLite's driver has a thread for each connection besides, to which every statement goes
//! and from which every row comes. So what reads rows by their columns ([`super::columns`]) takes a shorter way:
//! PostgreSQL's connections go from one read to the next ([`Lent`]), and an SQLite file is read where its rows
//! are wanted ([`File`]). All else goes through the pool, searches included: they may take long.

use std::{fmt, pin::Pin, sync::Arc, time::Instant};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    QueryStream, Statement, StreamTrait, TransactionOptions, TransactionTrait, metric,
    prelude::async_trait::async_trait,
};

use super::{
    Db, Error,
    columns::Columns,
    file::File,
    lent::{Lent, Wanted},
};

/// Reads, each of which sees the moment in which it comes.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: DatabaseConnection,
    way: Way,
    observer: Option<Observer>,
}

/// The shorter way.
#[derive(Debug, Clone)]
enum Way {
    Lent(Arc<Lent>),
    File(Arc<File>),
}

/// Is called after every statement.
#[derive(Clone)]
struct Observer(Arc<dyn Fn(&metric::Info<'_>) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

impl Reader {
    /// Reads from a PostgreSQL server, by the connections of this pool.
    pub fn of_server(pool: DatabaseConnection) -> Self {
        let lent = Lent::new(pool.get_postgres_connection_pool().clone());
        Self { pool, way: Way::Lent(Arc::new(lent)), observer: None }
    }

    /// Reads from an SQLite file, to which this pool has connections, too.
    pub fn of_file(pool: DatabaseConnection, file: File) -> Self {
        Self { pool, way: Way::File(Arc::new(file)), observer: None }
    }

    /// The pool.
    pub(super) fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// Said while somebody waits for a connection of the pool: then reads give back what they have of it.
    fn wanted(&self) -> Option<Wanted<'_>> {
        match &self.way {
            Way::Lent(lent) => Some(lent.wanted()),
            Way::File(_) => None,
        }
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self, options: TransactionOptions) -> Result<DatabaseTransaction, DbErr> {
        let _wanted = self.wanted();
        self.pool.begin_with_options(options).await
    }

    /// Calls `observer` after every statement.
    pub(super) fn observe(&mut self, observer: impl Fn(&metric::Info<'_>) + Send + Sync + Clone + 'static) {
        self.pool.set_metric_callback(observer.clone());
        self.observer = Some(Observer(Arc::new(observer)));
    }

    /// Closes all connections once they are given back.
    pub(super) async fn close(self) -> Result<(), DbErr> {
        match &self.way {
            Way::Lent(lent) => lent.close(),
            Way::File(file) => file.close(),
        }
        self.pool.close().await
    }
}

impl Db for Reader {
    async fn each_row(
        &self,
        statement: Statement,
        read: impl FnMut(&mut Columns<'_>) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let observed = self.observer.as_ref().map(|observer| (observer, statement.clone(), Instant::now()));
        let found = match &self.way {
            // In a box: what waits for it would be as large as it is, and be moved about.
            Way::Lent(lent) => Box::pin(lent.each_row(statement, read)).await,
            Way::File(file) => file.each_row(&statement, read),
        };
        if let Some((Observer(observe), statement, start)) = observed {
            let elapsed = start.elapsed();
            observe(&metric::Info { elapsed, statement: &statement, failed: found.is_err() });
        }
        found
    }
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        ConnectionTrait::get_database_backend(&self.pool)
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let _wanted = self.wanted();
        self.pool.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let _wanted = self.wanted();
        self.pool.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let _wanted = self.wanted();
        self.pool.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let _wanted = self.wanted();
        self.pool.query_all_raw(statement).await
    }
}

impl StreamTrait for Reader {
    type Stream<'a> = QueryStream;

    fn get_database_backend(&self) -> DbBackend {
        ConnectionTrait::get_database_backend(&self.pool)
    }

    fn stream_raw<'a>(
        &'a self,
        statement: Statement,
    ) -> Pin<Box<dyn Future<Output = Result<QueryStream, DbErr>> + Send + 'a>> {
        Box::pin(async {
            let _wanted = self.wanted();
            self.pool.stream_raw(statement).await
        })
    }
}
