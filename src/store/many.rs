//! Many rows changed by one statement, each to values of its own.

use sea_orm::{ConnectionTrait, Statement, Value};

use super::{Error, keys::CHUNK};

/// What is changed: `UPDATE table SET column = … FROM rows WHERE key = … AND guard`.
pub struct Update {
    /// The table.
    pub table: &'static str,
    /// The columns by which a row is found.
    pub keys: &'static [&'static str],
    /// The columns that are set.
    pub columns: &'static [&'static str],
    /// What else must hold of a row: the state that it leaves. The new values are there as `new`.
    pub guard: &'static str,
}

impl Update {
    /// Sets the columns of many rows, each given as its keys and then its columns. Fails when not
    /// every row was as the guard wants it: the caller has locked what it changes.
    pub async fn run(&self, db: &impl ConnectionTrait, rows: &[Vec<Value>]) -> Result<(), Error> {
        for chunk in rows.chunks(CHUNK) {
            let sql = self.sql(chunk.len().next_power_of_two());
            // As in `keys::any_of`: the last row again, so that there are few texts of the statement.
            let padding = chunk.last().into_iter().cycle();
            let padded = chunk.iter().chain(padding).take(chunk.len().next_power_of_two());
            let values = padded.flat_map(|row| row.iter().cloned());
            let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
            let changed = db.execute_raw(statement).await?.rows_affected();
            if changed != chunk.len() as u64 {
                return Err(Error::Raced { table: self.table });
            }
        }
        Ok(())
    }

    fn sql(&self, rows: usize) -> String {
        let Self { table, keys, columns, guard } = self;
        let all: Vec<&str> = keys.iter().chain(*columns).copied().collect();
        let set: Vec<String> = columns.iter().map(|column| format!("{column} = new.{column}")).collect();
        let found: Vec<String> = keys.iter().map(|key| format!("{table}.{key} = new.{key}")).collect();
        format!(
            "WITH new({}) AS (VALUES {}) UPDATE {table} SET {} FROM new WHERE {} AND {guard}",
            all.join(", "),
            parameters(rows, all.len()),
            set.join(", "),
            found.join(" AND "),
        )
    }
}

/// `($1, $2), ($3, $4)`: what stands behind VALUES, for this many rows of so many columns.
pub fn parameters(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let parameters = (1..=columns).map(|column| format!("${}", row * columns + column));
        format!("({})", parameters.collect::<Vec<_>>().join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_parameters_of_its_own() {
        let update = Update { table: "t", keys: &["id"], columns: &["a", "b"], guard: "t.a = 'x'" };
        assert_eq!(
            update.sql(2),
            "WITH new(id, a, b) AS (VALUES ($1, $2, $3), ($4, $5, $6)) \
             UPDATE t SET a = new.a, b = new.b FROM new WHERE t.id = new.id AND t.a = 'x'"
        );
    }
}
