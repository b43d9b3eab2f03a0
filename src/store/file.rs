//! An SQLite file that is read where its rows are wanted: a short statement is over before another thread would have
//! taken it up, and a row is looked at where SQLite has it.
//!
//! Whoever reads here waits for nobody, but keeps its thread meanwhile: for as long as it takes to write what was read
//! into an answer. What may search for long has no place here.

use std::{
    path::PathBuf,
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use chrono::SecondsFormat;
use rusqlite::{
    Connection,
    Error::ToSqlConversionFailure,
    OpenFlags, ToSql, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, Statement, Value, sqlx::sqlite::SqliteConnectOptions};

use super::{Error, WAIT, columns::Columns};

/// How many statements each connection keeps prepared: as many as sqlx does.
const PREPARED: usize = 100;

/// The connections to a file that only read. There are as many as threads have read at once.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    /// Those that nobody reads with at the moment; `None`: no more are kept.
    free: Mutex<Option<Vec<Connection>>>,
}

impl File {
    /// The file of this URL, which is there.
    pub fn of(url: &str) -> Result<Self, Error> {
        let options = SqliteConnectOptions::from_str(url);
        let options = options.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
        Ok(Self { path: options.get_filename().to_owned(), free: Mutex::new(Some(Vec::new())) })
    }

    /// Has `read` look at each row that the statement finds.
    pub fn each_row(
        &self,
        statement: &Statement,
        read: impl FnMut(&mut Columns<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(Vec::pop);
        let connection = free.map_or_else(|| self.open(), Ok).map_err(failed)?;
        let found = each_row(&connection, statement, read);
        if let Some(free) = &mut *self.free.lock().unwrap_or_else(PoisonError::into_inner) {
            free.push(connection);
        }
        found
    }

    /// Closes all connections, and keeps no more.
    pub fn close(&self) {
        drop(self.free.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(WAIT)?;
        connection.pragma_update(None, "query_only", "ON")?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        Ok(connection)
    }
}

fn each_row(
    connection: &Connection,
    statement: &Statement,
    mut read: impl FnMut(&mut Columns<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let values = statement.values.iter().flat_map(|values| &values.0).map(Parameter);
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(failed)?;
    let mut rows = prepared.query(params_from_iter(values)).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        read(&mut Columns::of_file(row))?;
    }
    Ok(())
}

/// What SQLite says, as the other driver would have said it.
#[cold]
fn failed(error: rusqlite::Error) -> DbErr {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy) => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        Some(rusqlite::ErrorCode::CannotOpen) => DbErr::Conn(RuntimeErr::Internal(error.to_string())),
        Some(_) | None => DbErr::Query(RuntimeErr::Internal(error.to_string())),
    }
}

/// A parameter of a statement, as it is written into a file.
struct Parameter<'a>(&'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let borrowed = |value| Ok(ToSqlOutput::Borrowed(value));
        match self.0 {
            Value::Bool(Some(value)) => Ok((*value).into()),
            Value::Int(Some(value)) => Ok((*value).into()),
            Value::BigInt(Some(value)) => Ok((*value).into()),
            Value::BigUnsigned(Some(value)) => {
                let value = i64::try_from(*value).map_err(|error| ToSqlConversionFailure(error.into()))?;
                Ok(value.into())
            }
            Value::String(Some(value)) => borrowed(ValueRef::Text(value.as_bytes())),
            Value::Bytes(Some(value)) => borrowed(ValueRef::Blob(value)),
            Value::Uuid(Some(value)) => borrowed(ValueRef::Blob(value.as_bytes())),
            Value::ChronoDateTimeUtc(Some(value)) => {
                Ok(value.to_rfc3339_opts(SecondsFormat::AutoSi, false).into())
            }
            other => Err(ToSqlConversionFailure(format!("no way to bind {other:?}").into())),
        }
    }
}
