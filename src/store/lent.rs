//! Connections to PostgreSQL that go from one read to the next, without the pool in between.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use sea_orm::{
    ConnAcquireErr, DbErr, RuntimeErr, Statement, Values,
    sqlx::{self, AssertSqlSafe, PgPool, Postgres, pool::PoolConnection},
};
use sea_query_sqlx::SqlxValues;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    Error, WAIT,
    columns::{Columns, unreadable},
};

/// How long a connection goes from read to read, before the pool looks after it again.
const LENT_FOR: Duration = Duration::from_secs(1);

/// The connections that a pool has lent to reads.
#[derive(Debug)]
pub struct Lent {
    pool: PgPool,
    /// As many reads as run at once. Whoever waits for its turn gets the connection of a read before it.
    turns: Semaphore,
    /// Those that no read has at the moment; `None`: no more are kept.
    free: Mutex<Option<Vec<Connection>>>,
    /// How many wait for a connection of the pool, to do something else with it than to read.
    wanted: AtomicUsize,
}

#[derive(Debug)]
struct Connection {
    connection: PoolConnection<Postgres>,
    since: Instant,
}

/// Somebody waits for a connection of the pool, until this is dropped.
#[derive(Debug)]
pub struct Wanted<'a>(&'a Lent);

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.wanted.fetch_sub(1, SeqCst);
    }
}

impl Lent {
    /// Nothing is lent yet. Reads leave one connection of the pool to others, if it has more.
    pub fn new(pool: PgPool) -> Self {
        let most = pool.options().get_max_connections().saturating_sub(1).max(1);
        let turns = Semaphore::new(most as usize);
        Self { pool, turns, free: Mutex::new(Some(Vec::new())), wanted: AtomicUsize::new(0) }
    }

    /// Has `read` look at each row that the statement finds.
    pub async fn each_row(
        &self,
        statement: Statement,
        mut read: impl FnMut(&mut Columns<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let _turn = self.turn().await?;
        let mut lent = self.take().await?;
        let values = SqlxValues(statement.values.unwrap_or(Values(Vec::new())));
        let query = sqlx::query_with(AssertSqlSafe(statement.sql), values);
        let mut rows = query.fetch(&mut *lent.connection);
        while let Some(row) = rows.try_next().await.map_err(unreadable)? {
            read(&mut Columns::of_postgres(&row))?;
        }
        drop(rows);
        // One whose read was given up, or has failed, goes back to the pool, which finds out what is left to be done.
        self.leave(lent);
        Ok(())
    }

    /// Says that somebody waits for a connection of the pool. If it has too few, one is given back at once, or by the
    /// next read that ends.
    pub fn wanted(&self) -> Wanted<'_> {
        self.wanted.fetch_add(1, SeqCst);
        if self.pool_has_too_few() {
            drop(self.next_free());
        }
        Wanted(self)
    }

    fn pool_has_too_few(&self) -> bool {
        self.pool.num_idle() < self.wanted.load(SeqCst)
    }

    /// Gives back all connections, and keeps no more.
    pub fn close(&self) {
        drop(self.free.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, DbErr> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let turn = timeout(WAIT, self.turns.acquire()).await.map_err(|_| ConnAcquireErr::Timeout);
        let turn = turn.and_then(|turn| turn.map_err(|_| ConnAcquireErr::ConnectionClosed));
        turn.map_err(DbErr::ConnectionAcquire)
    }

    async fn take(&self) -> Result<Connection, DbErr> {
        while let Some(lent) = self.next_free() {
            if lent.since.elapsed() < LENT_FOR {
                return Ok(lent);
            }
        }
        let connection = self.pool.acquire().await.map_err(|error| match error {
            sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
            sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
            other => DbErr::Conn(RuntimeErr::SqlxError(other.into())),
        })?;
        Ok(Connection { connection, since: Instant::now() })
    }

    fn leave(&self, lent: Connection) {
        if self.pool_has_too_few() || lent.since.elapsed() >= LENT_FOR {
            return;
        }
        if let Some(free) = &mut *self.free.lock().unwrap_or_else(PoisonError::into_inner) {
            free.push(lent);
        }
    }

    fn next_free(&self) -> Option<Connection> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.pop()
    }
}
