//! The columns of a row by their place, straight from the driver into what the domain has. Where a page
//! has thousands of rows, to find each column by its name, to write a message for each NULL, and to copy
//! a text that is only compared, costs more than the query.

use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DbErr, QueryResult, RuntimeErr,
    sea_query::SelectStatement,
    sqlx::{Decode, Error as SqlxError, Postgres, Row, Sqlite, Type},
};

use super::Error;

/// What both drivers can read. A text may be borrowed from the row.
pub trait Column<'r>: Decode<'r, Postgres> + Type<Postgres> + Decode<'r, Sqlite> + Type<Sqlite> {}

impl<'r, T> Column<'r> for T where T: Decode<'r, Postgres> + Type<Postgres> + Decode<'r, Sqlite> + Type<Sqlite>
{}

/// The columns of a row, one after the other.
pub struct Columns<'r> {
    row: &'r QueryResult,
    next: usize,
}

impl<'r> Columns<'r> {
    /// The next one. That its type fits is not asked for every row: it is the schema's.
    pub fn next<T: Column<'r>>(&mut self) -> Result<T, DbErr> {
        let index = self.next;
        self.next += 1;
        let value = match (self.row.try_as_pg_row(), self.row.try_as_sqlite_row()) {
            (Some(row), _) => row.try_get_unchecked(index),
            (None, Some(row)) => row.try_get_unchecked(index),
            (None, None) => Err(SqlxError::RowNotFound),
        };
        value.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))
    }

    /// Leaves out the next one.
    pub fn skip(&mut self) {
        self.next += 1;
    }
}

/// What a statement finds, each row made by `read` from its columns.
pub async fn read_all<T>(
    db: &impl ConnectionTrait,
    select: &SelectStatement,
    read: impl Fn(&mut Columns<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let rows = db.query_all(select).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.push(read(&mut Columns { row, next: 0 })?);
    }
    Ok(found)
}
