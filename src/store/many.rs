//! Many rows added or changed by one statement, each to values of its own.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};

use super::{
    Error,
    keys::CHUNK,
    sent::{Column, Row, as_arrays, names, parameters},
};

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
    /// Adds to them that columns of many rows are set, each given as its keys and then its columns.
    pub fn update(&mut self, update: &'static Update, rows: Vec<Row>) {
        self.parts.push((Part::Update(update), rows));
    }

    /// Adds to them that rows are added, in this order.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sent::{Kind, each, same};

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
}
