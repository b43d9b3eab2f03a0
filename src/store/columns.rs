//! The columns of a row by their place, straight from the driver. Where a page has thousands of rows,
//! to find each column by its name, and to write a message for each NULL, costs more than the query.

use std::sync::Arc;

use sea_orm::{
    DbErr, QueryResult, RuntimeErr,
    sqlx::{Decode, Error, Postgres, Row, Sqlite, Type},
};

/// What both drivers can read.
pub trait Column:
    for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>
{
}

/// The columns of a row, one after the other.
pub struct Columns<'r> {
    row: &'r QueryResult,
    next: usize,
}

impl<'r> Columns<'r> {
    /// From the first on.
    pub fn of(row: &'r QueryResult) -> Self {
        Self { row, next: 0 }
    }

    /// The next one. That its type fits is not asked for every row: it is the schema's.
    pub fn next<T: Column>(&mut self) -> Result<T, DbErr> {
        let index = self.next;
        self.next += 1;
        let value = match (self.row.try_as_pg_row(), self.row.try_as_sqlite_row()) {
            (Some(row), _) => row.try_get_unchecked(index),
            (None, Some(row)) => row.try_get_unchecked(index),
            (None, None) => Err(Error::RowNotFound),
        };
        value.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))
    }
}
