//! The columns of a row by their place, straight from the driver into what the domain has. Where a page
//! has thousands of rows, to find each column by its name, to write a message for each NULL, and to copy
//! a text that is only compared, costs more than the query. Where it has few, it costs as much to put a list of columns
//! together ([`SelectColumns`]).

use std::{
    pin::pin,
    sync::{Arc, LazyLock},
};

use futures_util::TryStreamExt;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait,
    RuntimeErr, Statement, StatementBuilder,
    sea_query::{Expr, Query, SelectStatement},
    sqlx::{Decode, Error as SqlxError, Postgres, Row, Sqlite, Type, postgres::PgRow, sqlite::SqliteRow},
};

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

/// What both drivers can read. A text may be borrowed from the row.
pub trait Column<'r>: Decode<'r, Postgres> + Type<Postgres> + Decode<'r, Sqlite> + Type<Sqlite> {}

impl<'r, T> Column<'r> for T where T: Decode<'r, Postgres> + Type<Postgres> + Decode<'r, Sqlite> + Type<Sqlite>
{}

/// The columns of a row, one after the other.
pub struct Columns<'r> {
    row: DriverRow<'r>,
    next: usize,
}

#[derive(Clone, Copy)]
enum DriverRow<'r> {
    Postgres(&'r PgRow),
    Sqlite(&'r SqliteRow),
}

impl<'r> Columns<'r> {
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
            DriverRow::Postgres(row) => row.try_get_unchecked(index),
            DriverRow::Sqlite(row) => row.try_get_unchecked(index),
        }
        .map_err(unreadable)
    }
}

#[cold]
fn unreadable(error: SqlxError) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

/// What a statement finds, each row made by `read` from its columns.
pub async fn read_all<T>(
    db: &impl Db,
    statement: &impl StatementBuilder,
    read: impl Fn(&mut Columns<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    for_each_row(db, statement, |columns| {
        found.push(read(columns)?);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Has `read` look at each row that a statement finds, as it comes: thousands of them, first gathered and
/// then looked at, would be out of the processor's cache again.
pub async fn for_each_row(
    db: &impl Db,
    statement: &impl StatementBuilder,
    read: impl FnMut(&mut Columns<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    for_each_row_of(db, db.backend().build(statement), read).await
}

/// The same, of a statement that is written out.
pub async fn for_each_row_of(
    db: &impl Db,
    statement: Statement,
    mut read: impl FnMut(&mut Columns<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut rows = pin!(db.stream_raw(statement).await?);
    while let Some(row) = rows.try_next().await? {
        read(&mut Columns::of(&row)?)?;
    }
    Ok(())
}
