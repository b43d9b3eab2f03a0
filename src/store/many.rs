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

/// A column of rows that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    name: &'static str,
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

/// What is changed: `UPDATE table SET column = … FROM rows WHERE key = … AND guard`.
#[derive(Debug)]
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

/// What is added: `INSERT INTO table (columns) rows`.
#[derive(Debug)]
pub struct Insert {
    /// The table.
    pub table: &'static str,
    /// The columns of the rows; the others get what is their default.
    pub columns: &'static [Column],
}

/// What is removed: `DELETE FROM table WHERE key IN (rows)`, as much of it as is there.
#[derive(Debug)]
pub struct Delete {
    /// The table.
    pub table: &'static str,
    /// The column by which a row is found, of which alone the rows consist.
    pub key: Column,
}

impl Update {
    /// Sets the columns of many rows, each given as its keys and then its columns. Fails when not
    /// every row was as the guard wants it: the caller has locked what it changes.
    pub async fn run(&'static self, db: &impl ConnectionTrait, rows: Vec<Row>) -> Result<(), Error> {
        let mut changes = Changes::default();
        changes.update(self, rows);
        changes.write(db).await
    }

    fn sent(&self) -> Vec<Column> {
        self.keys.iter().chain(self.columns).copied().collect()
    }

    /// What stands behind `WITH new AS (…)`.
    fn sql(&self, new: &str) -> String {
        let Self { table, keys, columns, guard } = self;
        let equal = |columns: &[Column], prefix, between| {
            let equal = columns.iter().map(|Column { name, .. }| format!("{prefix}{name} = {new}.{name}"));
            equal.collect::<Vec<_>>().join(between)
        };
        let (set, found) = (equal(columns, "", ", "), equal(keys, &format!("{table}."), " AND "));
        let guard = guard.replace("new.", &format!("{new}."));
        format!("UPDATE {table} SET {set} FROM {new} WHERE {found} AND {guard}")
    }
}

impl Insert {
    /// Adds rows, in this order.
    pub async fn run(&'static self, db: &impl ConnectionTrait, rows: Vec<Row>) -> Result<(), Error> {
        let mut changes = Changes::default();
        changes.insert(self, rows);
        changes.write(db).await
    }

    fn sql(&self) -> String {
        format!("INSERT INTO {} ({})", self.table, names(self.columns))
    }
}

impl Delete {
    fn sql(&self, rows: &str) -> String {
        format!("DELETE FROM {} WHERE {} IN ({rows})", self.table, self.key.name)
    }
}

/// A row that is sent: a value for each of its columns.
pub type Row = Vec<Value>;

/// Changes that are written together: by PostgreSQL in one statement, of which no part sees what the others have
/// changed, nor may change the same row; by SQLite one after the other.
#[derive(Debug, Default)]
pub struct Changes {
    parts: Vec<(Part, Vec<Row>)>,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Update(&'static Update),
    Insert(&'static Insert),
    Delete(&'static Delete),
}

impl Part {
    /// Fails when not as many rows were written as there had to be.
    fn check(self, written: Option<u64>, rows: &[Row]) -> Result<(), Error> {
        let table = match self {
            Self::Update(update) => update.table,
            Self::Insert(insert) => insert.table,
            Self::Delete(_) => return Ok(()),
        };
        if written == Some(rows.len() as u64) { Ok(()) } else { Err(Error::Raced { table }) }
    }
}

impl Changes {
    /// Adds to them what [`Update::run`] does.
    pub fn update(&mut self, update: &'static Update, rows: Vec<Row>) {
        self.parts.push((Part::Update(update), rows));
    }

    /// Adds to them what [`Insert::run`] does.
    pub fn insert(&mut self, insert: &'static Insert, rows: Vec<Row>) {
        self.parts.push((Part::Insert(insert), rows));
    }

    /// Adds to them that rows are removed, as many of them as are there.
    pub fn delete(&mut self, delete: &'static Delete, rows: Vec<Row>) {
        self.parts.push((Part::Delete(delete), rows));
    }

    /// Writes them. Fails when not every row to be changed was as its guard wants it.
    pub async fn write(mut self, db: &impl ConnectionTrait) -> Result<(), Error> {
        self.parts.retain(|(_, rows)| !rows.is_empty());
        match db.get_database_backend() {
            DbBackend::Postgres => self.write_at_once(db).await,
            _ => self.write_in_turn(db).await,
        }
    }

    async fn write_at_once(self, db: &impl ConnectionTrait) -> Result<(), Error> {
        let Some((sql, values)) = self.at_once()? else { return Ok(()) };
        let counted =
            db.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        for (index, (part, rows)) in self.parts.iter().enumerate() {
            let written = counted.as_ref().map(|row| row.try_get_by_index::<i64>(index)).transpose()?;
            part.check(written.map(i64::unsigned_abs), rows)?;
        }
        Ok(())
    }

    /// `WITH new0 AS (rows), done0 AS (UPDATE …), … SELECT` how many rows each part has written.
    fn at_once(&self) -> Result<Option<(String, Vec<Value>)>, DbErr> {
        let (mut with, mut counted, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (part, rows)) in self.parts.iter().enumerate() {
            match part {
                Part::Update(update) => {
                    let (sent, new) = (update.sent(), format!("new{index}"));
                    let rows = as_arrays(&sent, rows, &mut values)?;
                    with.push(format!("{new}({}) AS ({rows})", names(&sent)));
                    with.push(format!("done{index} AS ({} RETURNING 1)", update.sql(&new)));
                }
                Part::Insert(insert) => {
                    let rows = as_arrays(insert.columns, rows, &mut values)?;
                    with.push(format!("done{index} AS ({} {rows} RETURNING 1)", insert.sql()));
                }
                Part::Delete(delete) => {
                    let rows = as_arrays(&[delete.key], rows, &mut values)?;
                    with.push(format!("done{index} AS ({} RETURNING 1)", delete.sql(&rows)));
                }
            }
            counted.push(format!("(SELECT count(*) FROM done{index})"));
        }
        let sql = format!("WITH {} SELECT {}", with.join(", "), counted.join(", "));
        Ok((!self.parts.is_empty()).then_some((sql, values)))
    }

    async fn write_in_turn(self, db: &impl ConnectionTrait) -> Result<(), Error> {
        let backend = db.get_database_backend();
        for (part, rows) in &self.parts {
            for chunk in rows.chunks(CHUNK) {
                let filled = match part {
                    // As in `keys::any_of`: the last row again, so that there are few texts of the statement.
                    Part::Update(_) | Part::Delete(_) => chunk.len().next_power_of_two(),
                    Part::Insert(_) => chunk.len(),
                };
                let rows = format!("VALUES {}", parameters(filled, chunk.first().map_or(0, Vec::len)));
                let sql = match part {
                    Part::Update(update) => {
                        format!("WITH new({}) AS ({rows}) {}", names(&update.sent()), update.sql("new"))
                    }
                    Part::Insert(insert) => format!("{} {rows}", insert.sql()),
                    Part::Delete(delete) => delete.sql(&rows),
                };
                let padding = chunk.last().into_iter().cycle();
                let values = chunk.iter().chain(padding).take(filled).flatten().cloned();
                let statement = Statement::from_sql_and_values(backend, sql, values);
                part.check(Some(db.execute_raw(statement).await?.rows_affected()), chunk)?;
            }
        }
        Ok(())
    }
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// `($1, $2), ($3, $4)`: what stands behind VALUES, for this many rows of so many columns.
fn parameters(rows: usize, columns: usize) -> String {
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
fn as_arrays(columns: &[Column], rows: &[Row], values: &mut Vec<Value>) -> Result<String, DbErr> {
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

    static UPDATE: Update = Update {
        table: "t",
        keys: &[each("id", Kind::Int)],
        columns: &[same("a", Kind::Text), same("b", Kind::Text)],
        guard: "t.a < new.a",
    };
    static INSERT: Insert = Insert { table: "u", columns: &[each("n", Kind::Int)] };
    static DELETE: Delete = Delete { table: "v", key: each("id", Kind::Uuid) };

    #[test]
    fn postgres_gets_all_changes_in_one_statement_and_an_array_for_each_column_that_differs() {
        let mut changes = Changes::default();
        changes.update(
            &UPDATE,
            vec![
                vec![1.into(), "same".into(), "{\"\\}".into()],
                vec![2.into(), "same".into(), None::<String>.into()],
            ],
        );
        changes.insert(&INSERT, vec![vec![7.into()], vec![7.into()]]);
        changes.delete(&DELETE, vec![vec![Value::Uuid(None)]]);
        let (sql, values) = changes.at_once().unwrap().unwrap();
        assert_eq!(
            sql,
            "WITH new0(id, a, b) AS (SELECT id, $2::text, b FROM unnest($1::text::int4[], $3::text::text[]) \
             WITH ORDINALITY AS given(id, b, place) ORDER BY place), \
             done0 AS (UPDATE t SET a = new0.a, b = new0.b FROM new0 WHERE t.id = new0.id AND t.a < new0.a RETURNING 1), \
             done1 AS (INSERT INTO u (n) SELECT n FROM unnest($4::text::int4[]) \
             WITH ORDINALITY AS given(n, place) ORDER BY place RETURNING 1), \
             done2 AS (DELETE FROM v WHERE id IN (SELECT id FROM unnest($5::text::uuid[]) \
             WITH ORDINALITY AS given(id, place) ORDER BY place) RETURNING 1) \
             SELECT (SELECT count(*) FROM done0), (SELECT count(*) FROM done1), (SELECT count(*) FROM done2)"
        );
        assert_eq!(
            values,
            [
                "{1,2}".into(),
                "same".into(),
                Value::from(r#"{"{\"\\}",NULL}"#),
                "{7,7}".into(),
                "{NULL}".into()
            ]
        );
    }

    #[test]
    fn sqlite_gets_a_parameter_for_each_value() {
        let rows_of = vec![vec![1.into(), 2.into()], vec![3.into(), 4.into()], vec![5.into(), 6.into()]];
        let columns = [each("a", Kind::Int), each("b", Kind::Int)];
        let (sql, values) = rows(DbBackend::Sqlite, &columns, rows_of, &vec![0.into(), 0.into()]).unwrap();
        assert_eq!(sql, "VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8)");
        assert_eq!(values[4..], [5.into(), 6.into(), 0.into(), Value::from(0)]);
    }
}
