//! What can go wrong between Sluice and its database.

use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};
use uuid::Uuid;

use crate::domain::keyring::Unopened;

/// The store could not do what it should: our fault or the database's, never a client's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused a statement or could not be reached.
    #[error("{}", reason(.0))]
    Database(#[from] DbErr),
    /// A row holds something that the domain does not know.
    #[error("corrupt row: table {table}, column {column}, id {id}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id.
        id: Uuid,
    },
    /// Rows that were locked, or that nobody else may change, have changed all the same.
    #[error("rows of the table {table} changed under a lock")]
    Raced {
        /// The table.
        table: &'static str,
    },
    /// Sealed credentials can't be opened.
    #[error("connection {connection}: {reason}")]
    Unopened {
        /// The connection whose they are.
        connection: Uuid,
        /// Why not.
        reason: Unopened,
    },
    /// The work was given up before it was done: the server stops.
    #[error("the work was interrupted")]
    Interrupted,
    /// The database has changes that this program does not know.
    #[error("this database was written by a newer version of Sluice (it has {0}); use that version")]
    Newer(String),
}

/// What the database or the system said, without the names of the layers it came through.
fn reason(error: &DbErr) -> String {
    let (DbErr::Conn(cause) | DbErr::Exec(cause) | DbErr::Query(cause)) = error else {
        return error.to_string();
    };
    match cause {
        RuntimeErr::SqlxError(error) => match error.as_ref() {
            sqlx::Error::Database(error) => error.message().to_owned(),
            sqlx::Error::Io(error) => error.to_string(),
            other => other.to_string(),
        },
        RuntimeErr::Internal(message) => message.clone(),
    }
}

impl Error {
    /// Whether the database can't be reached at the moment, so that trying again may help.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Database(DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) => true,
            Self::Database(
                DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)),
            ) => {
                match error.as_ref() {
                    sqlx::Error::Io(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed => true,
                    // Class 57: operator intervention, a shutdown for instance. SQLite 5: busy.
                    sqlx::Error::Database(error) => {
                        error.code().is_some_and(|code| code.starts_with("57P") || code == "5")
                    }
                    _ => false,
                }
            }
            Self::Interrupted => true,
            Self::Database(_)
            | Self::Corrupt { .. }
            | Self::Raced { .. }
            | Self::Unopened { .. }
            | Self::Newer(_) => false,
        }
    }
}

/// How a write ended, where a constraint of the database may stand against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was done.
    Done,
    /// Another row has the same unique values.
    Duplicate,
    /// A row that it refers to is missing, or a row still refers to it.
    Reference,
}

impl Written {
    /// Tells what a constraint forbade from what failed.
    pub fn from<T>(result: Result<T, DbErr>) -> Result<Self, Error> {
        match result {
            Ok(_) => Ok(Self::Done),
            Err(error) => match error.sql_err() {
                Some(SqlErr::UniqueConstraintViolation(_)) => Ok(Self::Duplicate),
                Some(SqlErr::ForeignKeyConstraintViolation(_)) => Ok(Self::Reference),
                _ => Err(error.into()),
            },
        }
    }
}

/// How a write ended that was guarded by the version or the state it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Guarded {
    /// The row was as expected, and was written.
    Done,
    /// The row was not as expected; nothing was written.
    Changed,
}

impl Guarded {
    pub(super) fn of_rows(rows: u64) -> Self {
        if rows == 1 { Self::Done } else { Self::Changed }
    }
}
