//! Rows that are sent with a statement. SQLite gets them as VALUES. To PostgreSQL, a parameter for each value would be
//! thousands, and another text of the statement for every number of rows, each to be parsed and planned: there a column
//! is one parameter, an array, or a single value where all rows have the same.

use sea_orm::{DbBackend, DbErr, Value};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A UUID.
    Uuid,
    /// A number of 32 bits.
    Int,
    /// A number of 64 bits.
    BigInt,
    /// A text.
    Text,
    /// A point in time.
    Time,
    /// Bytes.
    Bytes,
    /// A JSON document.
    Json,
}

impl Kind {
    /// What PostgreSQL calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Int => "int4",
            Self::BigInt => "int8",
            Self::Text => "text",
            Self::Time => "timestamptz",
            Self::Bytes => "bytea",
            Self::Json => "json",
        }
    }
}

/// A column of rows that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub(super) name: &'static str,
    kind: Kind,
    sent: Sent,
}

/// How often PostgreSQL is told what a column holds. Fixed for most columns, so that there are few texts of a
/// statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    ForEachRow,
    OnceWhereItIsTheSame,
}

/// A column that holds something else in each row.
pub const fn each(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, sent: Sent::ForEachRow }
}

/// A column that mostly holds the same in all rows.
pub const fn same(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, sent: Sent::OnceWhereItIsTheSame }
}

/// A row that is sent: a value for each of its columns.
pub type Row = Vec<Value>;

pub(super) fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// `($1, $2), ($3, $4)`: what stands behind VALUES, for this many rows of so many columns.
pub(super) fn parameters(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let parameters = (1..=columns).map(|column| format!("${}", row * columns + column));
        format!("({})", parameters.collect::<Vec<_>>().join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Rows to select from, under these names, and the parameters for that. Asked for again and again, for few
/// rows or many, this is one text on PostgreSQL; on SQLite it is one for each power of two, filled up with `filler`,
/// which must be a row that nothing fits.
pub fn rows(
    backend: DbBackend,
    columns: &[Column],
    mut rows: Vec<Row>,
    filler: &Row,
) -> Result<(String, Vec<Value>), DbErr> {
    let mut values = Vec::new();
    let sql = match backend {
        DbBackend::Postgres => as_arrays(columns, &rows, &mut values)?,
        _ => {
            rows.resize(rows.len().next_power_of_two(), filler.clone());
            let sql = format!("VALUES {}", parameters(rows.len(), columns.len()));
            values.extend(rows.into_iter().flatten());
            sql
        }
    };
    Ok((sql, values))
}

/// A query that gives the rows in their order: what differs from row to row is unnested from arrays. Adds its
/// parameters to `values`.
pub(super) fn as_arrays(columns: &[Column], rows: &[Row], values: &mut Vec<Value>) -> Result<String, DbErr> {
    let (mut selected, mut arrays, mut unnested) = (Vec::new(), Vec::new(), Vec::new());
    for (index, Column { name, kind, sent }) in columns.iter().enumerate() {
        let mut column = rows.iter().filter_map(|row| row.get(index));
        let (parameter, kind) = (values.len() + 1, kind.name());
        let the_same = match sent {
            Sent::ForEachRow => None,
            Sent::OnceWhereItIsTheSame => {
                column.clone().next().filter(|first| column.all(|value| value == *first))
            }
        };
        if let Some(value) = the_same {
            selected.push(format!("${parameter}::{kind}"));
            values.push(value.clone());
        } else {
            selected.push((*name).to_owned());
            unnested.push(*name);
            arrays.push(format!("${parameter}::text::{kind}[]"));
            values.push(array(rows.iter().filter_map(|row| row.get(index)))?.into());
        }
    }
    let (selected, arrays, unnested) = (selected.join(", "), arrays.join(", "), unnested.join(", "));
    Ok(format!(
        "SELECT {selected} FROM unnest({arrays}) WITH ORDINALITY AS given({unnested}, place) ORDER BY place"
    ))
}

/// `{1,NULL,"a b"}`: an array as PostgreSQL reads it from a text. Arrays that the driver sends have no NULLs.
fn array<'v>(values: impl Iterator<Item = &'v Value>) -> Result<String, DbErr> {
    let mut array = String::from("{");
    for (index, value) in values.enumerate() {
        if index > 0 {
            array.push(',');
        }
        match value {
            Value::Uuid(Some(id)) => array.push_str(id.hyphenated().encode_lower(&mut [0; 36])),
            Value::Int(Some(number)) => array.push_str(&number.to_string()),
            Value::BigInt(Some(number)) => array.push_str(&number.to_string()),
            Value::ChronoDateTimeUtc(Some(time)) => {
                array.push_str(&time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
            }
            Value::String(Some(text)) => quote(text, &mut array),
            Value::Json(Some(json)) => quote(&json.to_string(), &mut array),
            Value::Bytes(Some(bytes)) => {
                array.push_str("\\\\x");
                for byte in bytes {
                    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
                    array.extend([digit(byte >> 4), digit(byte & 15)]);
                }
            }
            Value::Uuid(None)
            | Value::Int(None)
            | Value::BigInt(None)
            | Value::ChronoDateTimeUtc(None)
            | Value::String(None)
            | Value::Json(None)
            | Value::Bytes(None) => array.push_str("NULL"),
            other => return Err(DbErr::Type(format!("no column is sent as {other:?}"))),
        }
    }
    array.push('}');
    Ok(array)
}

fn quote(text: &str, array: &mut String) {
    array.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            array.push('\\');
        }
        array.push(character);
    }
    array.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_gets_a_parameter_for_each_value() {
        let rows_of = vec![vec![1.into(), 2.into()], vec![3.into(), 4.into()], vec![5.into(), 6.into()]];
        let columns = [each("a", Kind::Int), each("b", Kind::Int)];
        let (sql, values) = rows(DbBackend::Sqlite, &columns, rows_of, &vec![0.into(), 0.into()]).unwrap();
        assert_eq!(sql, "VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8)");
        assert_eq!(values[4..], [5.into(), 6.into(), 0.into(), Value::from(0)]);
    }
}
