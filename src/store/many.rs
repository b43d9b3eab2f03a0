//! Many rows added or changed by one statement, each to values of its own.
//!
//! SQLite gets them as VALUES. To PostgreSQL, a parameter for each value would be thousands, and another text of
//! the statement for every number of rows, each to be parsed and planned: there a column is one parameter, an
//! array, or a single value where all rows have the same.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};

use super::{Error, keys::CHUNK};

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

/// A column of rows that are sent: its name, and what it holds.
pub type Column = (&'static str, Kind);

/// What is changed: `UPDATE table SET column = … FROM rows WHERE key = … AND guard`.
pub struct Update {
    /// The table.
    pub table: &'static str,
    /// The columns by which a row is found.
    pub keys: &'static [Column],
    /// The columns that are set.
    pub columns: &'static [Column],
    /// What else must hold of a row: the state that it leaves. The new values are there as `new`.
    pub guard: &'static str,
}

impl Update {
    /// Sets the columns of many rows, each given as its keys and then its columns. Fails when not
    /// every row was as the guard wants it: the caller has locked what it changes.
    pub async fn run(&self, db: &impl ConnectionTrait, rows: &[Vec<Value>]) -> Result<(), Error> {
        for chunk in rows.chunks(CHUNK) {
            let Rows { sql, values } = match db.get_database_backend() {
                DbBackend::Postgres => as_arrays(&self.sent(), chunk)?,
                _ => as_values(chunk, chunk.len().next_power_of_two()),
            };
            let statement = Statement::from_sql_and_values(db.get_database_backend(), self.sql(&sql), values);
            let changed = db.execute_raw(statement).await?.rows_affected();
            if changed != chunk.len() as u64 {
                return Err(Error::Raced { table: self.table });
            }
        }
        Ok(())
    }

    fn sent(&self) -> Vec<Column> {
        self.keys.iter().chain(self.columns).copied().collect()
    }

    fn sql(&self, rows: &str) -> String {
        let Self { table, keys, columns, guard } = self;
        let set: Vec<String> = columns.iter().map(|(column, _)| format!("{column} = new.{column}")).collect();
        let found: Vec<String> = keys.iter().map(|(key, _)| format!("{table}.{key} = new.{key}")).collect();
        format!(
            "WITH new({}) AS ({rows}) UPDATE {table} SET {} FROM new WHERE {} AND {guard}",
            names(&self.sent()),
            set.join(", "),
            found.join(" AND "),
        )
    }
}

/// What is added: `INSERT INTO table (columns) rows`.
pub struct Insert {
    /// The table.
    pub table: &'static str,
    /// The columns of the rows; the others get what is their default.
    pub columns: &'static [Column],
}

impl Insert {
    /// Adds rows, in this order.
    pub async fn run(&self, db: &impl ConnectionTrait, rows: &[Vec<Value>]) -> Result<(), Error> {
        let Self { table, columns } = self;
        for chunk in rows.chunks(CHUNK) {
            let Rows { sql, values } = match db.get_database_backend() {
                DbBackend::Postgres => as_arrays(columns, chunk)?,
                _ => as_values(chunk, chunk.len()),
            };
            let sql = format!("INSERT INTO {table} ({}) {sql}", names(columns));
            db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
        }
        Ok(())
    }
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// A query that gives some rows, and its parameters.
struct Rows {
    sql: String,
    values: Vec<Value>,
}

/// As in [`any_of`](super::keys::any_of), filled up with the last row, so that there are few texts of the statement.
fn as_values(rows: &[Vec<Value>], filled_up_to: usize) -> Rows {
    let padding = rows.last().into_iter().cycle();
    let values = rows.iter().chain(padding).take(filled_up_to).flatten().cloned().collect();
    Rows { sql: format!("VALUES {}", parameters(filled_up_to, rows.first().map_or(0, Vec::len))), values }
}

/// `($1, $2), ($3, $4)`: what stands behind VALUES, for this many rows of so many columns.
pub fn parameters(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let parameters = (1..=columns).map(|column| format!("${}", row * columns + column));
        format!("({})", parameters.collect::<Vec<_>>().join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// The rows in their order: what differs from row to row unnested from arrays, what is the same in all beside it.
fn as_arrays(columns: &[Column], rows: &[Vec<Value>]) -> Result<Rows, DbErr> {
    let mut values = Vec::with_capacity(columns.len() + 1);
    let (mut selected, mut arrays, mut unnested) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (name, kind)) in columns.iter().enumerate() {
        let mut column = rows.iter().filter_map(|row| row.get(index));
        let (parameter, kind) = (values.len() + 1, kind.name());
        match column.clone().next() {
            Some(first) if column.all(|value| value == first) => {
                selected.push(format!("${parameter}::{kind}"));
                values.push(first.clone());
            }
            Some(_) | None => {
                selected.push((*name).to_owned());
                unnested.push(*name);
                arrays.push(format!("${parameter}::text::{kind}[]"));
                values.push(array(rows.iter().filter_map(|row| row.get(index)))?.into());
            }
        }
    }
    let selected = selected.join(", ");
    let sql = if arrays.is_empty() {
        values.push((rows.len() as i32).into());
        format!("SELECT {selected} FROM generate_series(1, ${})", values.len())
    } else {
        let (arrays, unnested) = (arrays.join(", "), unnested.join(", "));
        format!(
            "SELECT {selected} FROM unnest({arrays}) WITH ORDINALITY AS given({unnested}, place) ORDER BY place"
        )
    };
    Ok(Rows { sql, values })
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

    const UPDATE: Update = Update {
        table: "t",
        keys: &[("id", Kind::Int)],
        columns: &[("a", Kind::Text), ("b", Kind::Text)],
        guard: "t.a = 'x'",
    };

    fn rows() -> Vec<Vec<Value>> {
        vec![
            vec![1.into(), "same".into(), "{\"\\}".into()],
            vec![2.into(), "same".into(), None::<String>.into()],
        ]
    }

    #[test]
    fn sqlite_gets_a_parameter_for_each_value() {
        let Rows { sql, values } = as_values(&rows(), 4);
        assert_eq!(
            UPDATE.sql(&sql),
            "WITH new(id, a, b) AS (VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9), ($10, $11, $12)) \
             UPDATE t SET a = new.a, b = new.b FROM new WHERE t.id = new.id AND t.a = 'x'"
        );
        assert_eq!(values[3..6], values[9..12]);
    }

    #[test]
    fn postgres_gets_an_array_for_each_column_that_differs() {
        let Rows { sql, values } = as_arrays(&UPDATE.sent(), &rows()).unwrap();
        assert_eq!(
            sql,
            "SELECT id, $2::text, b FROM unnest($1::text::int4[], $3::text::text[]) \
             WITH ORDINALITY AS given(id, b, place) ORDER BY place"
        );
        assert_eq!(values, ["{1,2}".into(), "same".into(), Value::from(r#"{"{\"\\}",NULL}"#)]);
    }

    #[test]
    fn rows_that_are_all_the_same_are_as_many() {
        let Rows { sql, values } = as_arrays(&[("a", Kind::Int)], &[vec![7.into()], vec![7.into()]]).unwrap();
        assert_eq!(
            (&*sql, values),
            ("SELECT $1::int4 FROM generate_series(1, $2)", vec![7.into(), 2.into()])
        );
    }
}
