//! The columns of a row by their place, straight from the driver into what the domain has. Where a page
//! has thousands of rows, to find each column by its name, to write a message for each NULL, and to copy
//! a text that is only compared, costs more than the query. Where it has few, it costs as much to put a list of columns
//! together ([`SelectColumns`]).

use std::{
    pin::pin,
    sync::{Arc, LazyLock},
};

use futures_util::TryStreamExt;
use rusqlite::types::{FromSqlError, FromSqlResult, ValueRef};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait,
    RuntimeErr, Statement, StatementBuilder, StreamTrait,
    prelude::DateTimeUtc,
    sea_query::{Expr, Query, SelectStatement},
    sqlx::{
        Decode, Error as SqlxError, Postgres, Row, Sqlite, Type, ValueRef as _, postgres::PgRow,
        sqlite::SqliteRow, types::Json,
    },
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Db, Error};

/// A list of columns as SQL has it, put together once.
pub type ColumnList = LazyLock<String>;

/// These columns of a table, in this order.
pub fn list<C: ColumnTrait, const N: usize>(columns: [C; N]) -> String {
    let name = |column: C| {
        let table = column.entity_name();
        format!("\"{}\".\"{}\"", table.inner(), column.as_str())
    };
    columns.map(name).join(", ")
}

/// A SELECT of a list of columns from their table.
#[derive(Debug)]
pub struct SelectColumns(SelectStatement);

impl SelectColumns {
    /// Selects the columns from all rows of the table.
    pub fn of(table: impl EntityTrait, columns: &'static ColumnList) -> Self {
        let mut select = Query::select();
        select.expr(Expr::cust(columns.as_str())).from(table);
        Self(select)
    }
}

impl QuerySelect for SelectColumns {
    type QueryStatement = SelectStatement;

    fn query(&mut self) -> &mut SelectStatement {
        &mut self.0
    }
}

impl QueryFilter for SelectColumns {
    type QueryStatement = SelectStatement;

    fn query(&mut self) -> &mut SelectStatement {
        &mut self.0
    }
}

impl QueryOrder for SelectColumns {
    type QueryStatement = SelectStatement;

    fn query(&mut self) -> &mut SelectStatement {
        &mut self.0
    }
}

impl QueryTrait for SelectColumns {
    type QueryStatement = SelectStatement;

    fn query(&mut self) -> &mut SelectStatement {
        &mut self.0
    }

    fn as_query(&self) -> &SelectStatement {
        &self.0
    }

    fn into_query(self) -> SelectStatement {
        self.0
    }
}

/// What all drivers can read. A text may be borrowed from the row.
pub trait Column<'r>: Decode<'r, Postgres> + Type<Postgres> + Decode<'r, Sqlite> + Type<Sqlite> {
    /// From a row of PostgreSQL.
    fn of_postgres(row: &'r PgRow, index: usize) -> Result<Self, SqlxError> {
        row.try_get_unchecked(index)
    }

    /// From a row of a file that is read directly.
    fn of_file(value: ValueRef<'r>) -> FromSqlResult<Self>;
}

impl<'r> Column<'r> for bool {
    fn of_file(value: ValueRef<'r>) -> FromSqlResult<Self> {
        value.as_i64().map(|number| number != 0)
    }
}

impl<'r> Column<'r> for i32 {
    fn of_file(value: ValueRef<'r>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        number.try_into().map_err(|_| FromSqlError::OutOfRange(number))
    }
}

impl<'r> Column<'r> for i64 {
    fn of_file(value: ValueRef<'r>) -> FromSqlResult<Self> {
        value.as_i64()
    }
}

impl<'r> Column<'r> for &'r str {
    fn of_file(value: ValueRef<'r>) -> FromSqlResult<Self> {
        value.as_str()
    }
}

impl<'r> Column<'r> for String {
    fn of_file(value: ValueRef<'r>) -> FromSqlResult<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl<'r> Column<'r> for Vec<u8> {
    fn of_file(value: ValueRef<'r>) -> FromSqlResult<Self> {
        value.as_blob().map(<[u8]>::to_vec)
    }
}

impl<'r> Column<'r> for Uuid {
    fn of_file(value: ValueRef<'r>) -> FromSqlResult<Self> {
        Self::from_slice(value.as_blob()?).map_err(FromSqlError::other)
    }
}

/// The year 2000, from which PostgreSQL counts, in microseconds since 1970.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

impl<'r> Column<'r> for DateTimeUtc {
    /// As the number that it is: sqlx goes by way of the calendar.
    fn of_postgres(row: &'r PgRow, index: usize) -> Result<Self, SqlxError> {
        time_of_postgres(row.try_get_unchecked(index)?)
    }

    fn of_file(value: ValueRef<'r>) -> FromSqlResult<Self> {
        let time = chrono::DateTime::parse_from_rfc3339(value.as_str()?);
        time.map(|time| time.to_utc()).map_err(FromSqlError::other)
    }
}

impl<'r, T: Deserialize<'r> + 'r> Column<'r> for Json<T>
where
    Self: Decode<'r, Postgres> + Type<Postgres> + Decode<'r, Sqlite> + Type<Sqlite>,
{
    fn of_file(value: ValueRef<'r>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Json).map_err(FromSqlError::other)
    }
}

impl<'r, T: Column<'r>> Column<'r> for Option<T>
where
    Self: Decode<'r, Postgres> + Type<Postgres> + Decode<'r, Sqlite> + Type<Sqlite>,
{
    fn of_postgres(row: &'r PgRow, index: usize) -> Result<Self, SqlxError> {
        if row.try_get_raw(index)?.is_null() { Ok(None) } else { T::of_postgres(row, index).map(Some) }
    }

    fn of_file(value: ValueRef<'r>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(None),
            there => T::of_file(there).map(Some),
        }
    }
}

fn time_of_postgres(microseconds: i64) -> Result<DateTimeUtc, SqlxError> {
    let time = microseconds.checked_add(POSTGRES_EPOCH).and_then(DateTimeUtc::from_timestamp_micros);
    time.ok_or_else(|| SqlxError::Decode("a time that no calendar has".into()))
}

/// The columns of a row, one after the other.
pub struct Columns<'r> {
    row: DriverRow<'r>,
    next: usize,
}

#[derive(Clone, Copy)]
enum DriverRow<'r> {
    Postgres(&'r PgRow),
    Sqlite(&'r SqliteRow),
    File(&'r rusqlite::Row<'r>),
}

impl<'r> Columns<'r> {
    /// Of a row from PostgreSQL.
    pub fn of_postgres(row: &'r PgRow) -> Self {
        Self { row: DriverRow::Postgres(row), next: 0 }
    }

    /// Of a row of an SQLite file that is read directly.
    pub fn of_file(row: &'r rusqlite::Row<'r>) -> Self {
        Self { row: DriverRow::File(row), next: 0 }
    }

    fn of(row: &'r QueryResult) -> Result<Self, DbErr> {
        let postgres = row.try_as_pg_row().map(DriverRow::Postgres);
        let row = postgres.or_else(|| row.try_as_sqlite_row().map(DriverRow::Sqlite));
        Ok(Self { row: row.ok_or_else(|| unreadable(SqlxError::RowNotFound))?, next: 0 })
    }

    /// The next one. That its type fits is not asked for every row: it is the schema's.
    pub fn next<T: Column<'r>>(&mut self) -> Result<T, DbErr> {
        let index = self.next;
        self.next += 1;
        match self.row {
            DriverRow::Postgres(row) => T::of_postgres(row, index).map_err(unreadable),
            DriverRow::Sqlite(row) => row.try_get_unchecked(index).map_err(unreadable),
            DriverRow::File(row) => {
                let value = row.get_ref(index).map_err(|error| unfit(&error))?;
                T::of_file(value).map_err(|error| unfit(&error))
            }
        }
    }
}

/// A statement failed, or a column is not what it should be.
#[cold]
pub fn unreadable(error: SqlxError) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

#[cold]
fn unfit(error: &dyn std::error::Error) -> DbErr {
    DbErr::Query(RuntimeErr::Internal(error.to_string()))
}

/// What a statement finds, each row made by `read` from its columns.
pub async fn read_all<T: Send>(
    db: &impl Db,
    statement: &impl StatementBuilder,
    read: impl FnMut(&mut Columns<'_>) -> Result<T, Error> + Send,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    for_each_row(db, statement, into(&mut found, read)).await?;
    Ok(found)
}

/// The same for a statement that may go through many rows for the few that it finds.
pub async fn search<T: Send>(
    db: &impl Db,
    statement: &impl StatementBuilder,
    read: impl FnMut(&mut Columns<'_>) -> Result<T, Error> + Send,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    stream(db, db.backend().build(statement), into(&mut found, read)).await?;
    Ok(found)
}

/// Adds what `read` makes of each row to what was found.
fn into<T>(
    found: &mut Vec<T>,
    mut read: impl FnMut(&mut Columns<'_>) -> Result<T, Error>,
) -> impl FnMut(&mut Columns<'_>) -> Result<(), Error> {
    move |columns| {
        found.push(read(columns)?);
        Ok(())
    }
}

/// Has `read` look at each row that a statement finds, as it comes: thousands of them, first gathered and
/// then looked at, would be out of the processor's cache again.
pub async fn for_each_row(
    db: &impl Db,
    statement: &impl StatementBuilder,
    read: impl FnMut(&mut Columns<'_>) -> Result<(), Error> + Send,
) -> Result<(), Error> {
    db.each_row(db.backend().build(statement), read).await
}

/// Has `read` look at each row that a statement finds, over any connection.
pub async fn stream(
    db: &impl StreamTrait,
    statement: Statement,
    mut read: impl FnMut(&mut Columns<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut rows = pin!(db.stream_raw(statement).await?);
    while let Some(row) = rows.try_next().await? {
        read(&mut Columns::of(&row)?)?;
    }
    Ok(())
}
