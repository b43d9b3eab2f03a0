//! Copies of all batches that are there, with what belongs to them, by SQL alone.

use rusqlite::Connection;
use sluice::clock::Clock;
use tokio_postgres::Client;

use crate::common::database::{postgres, sqlite_path};

/// The tables, and their columns that hold ids of batches and jobs.
const TABLES: [(&str, &[&str]); 5] = [
    ("batches", &["id"]),
    ("jobs", &["id", "batch_id"]),
    ("dependencies", &["batch_id"]),
    ("attempts", &["job_id", "batch_id"]),
    ("events", &["batch_id", "job_id"]),
];
/// How many copies are made in one transaction.
const AT_ONCE: usize = 20;

/// The first batches, and how many copies of them there are.
pub struct Copies {
    database: Database,
    /// The statements that make one.
    inserts: Vec<String>,
    made: usize,
    /// When the first were made at the latest, in units of 65,536 milliseconds since 1970.
    minute: u64,
}

enum Database {
    Postgres(Client),
    Sqlite(Connection),
}

impl Copies {
    /// Copies of all batches that are there now.
    pub async fn of(url: &str) -> Self {
        let database = match sqlite_path(url) {
            Some(path) => Database::Sqlite(Connection::open(path).unwrap()),
            None => Database::Postgres(postgres(url).await),
        };
        // Checked for millions of rows, foreign keys would take longer than the rows.
        database
            .execute(match database {
                Database::Postgres(_) => "SET session_replication_role = replica",
                Database::Sqlite(_) => "PRAGMA foreign_keys = off",
            })
            .await;
        let mut inserts = Vec::new();
        for (table, ids) in TABLES {
            inserts.push(database.copy(table, ids).await);
            database.execute(&format!("CREATE TABLE first_{table} AS SELECT * FROM {table}")).await;
        }
        let now = Clock::System.now().timestamp_millis().unsigned_abs();
        Self { database, inserts, made: 0, minute: now >> 16 }
    }

    /// Makes copies until there are so many.
    pub async fn make(&mut self, copies: usize) {
        while self.made < copies {
            self.database.execute("BEGIN").await;
            for _ in 0..AT_ONCE.min(copies - self.made) {
                self.made += 1;
                let minute = format!("{:08x}", self.minute - self.made as u64);
                for insert in &self.inserts {
                    let insert = insert.replace("{copy}", &self.made.to_string());
                    self.database.execute(&insert.replace("{minute}", &minute)).await;
                }
            }
            self.database.execute("COMMIT").await;
        }
    }
}

impl Database {
    async fn execute(&self, sql: &str) {
        match self {
            Self::Postgres(client) => client.batch_execute(sql).await.unwrap(),
            Self::Sqlite(connection) => connection.execute_batch(sql).unwrap(),
        }
    }

    async fn columns(&self, table: &str) -> Vec<String> {
        match self {
            Self::Postgres(client) => {
                let sql = "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1";
                let rows = client.query(sql, &[&table]).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Self::Sqlite(connection) => {
                let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
                columns.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
            }
        }
    }

    /// The statement that copies the rows of a table, where `{copy}` stands for the number of the copy, and `{minute}`
    /// for the time at which it was made: the beginning of its ids.
    async fn copy(&self, table: &str, ids: &[&str]) -> String {
        let mut columns = self.columns(table).await;
        // The history counts for itself.
        columns.retain(|column| table != "events" || !["id", "xact"].contains(&&**column));
        let copied = |column: &String| {
            let name = format!("\"{column}\"");
            match self {
                _ if column == "lease_hash" => match self {
                    Self::Postgres(_) => format!("sha256({name} || convert_to('{{copy}}', 'UTF8'))"),
                    Self::Sqlite(_) => "randomblob(32)".into(),
                },
                _ if !ids.contains(&&**column) => name,
                // The first 32 bits of an id count the minutes, about.
                Self::Postgres(_) => {
                    format!("('{{minute}}' || substr(replace({name}::text, '-', ''), 9))::uuid")
                }
                Self::Sqlite(_) => {
                    format!("iif({name} IS NULL, NULL, unhex('{{minute}}' || substr(hex({name}), 9)))")
                }
            }
        };
        let selected: Vec<String> = columns.iter().map(copied).collect();
        let names: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
        format!(
            "INSERT INTO {table} ({}) SELECT {} FROM first_{table}",
            names.join(", "),
            selected.join(", ")
        )
    }
}

/// The parts of a statement's plan that read a table without an index.
pub async fn scans(url: &str, statement: &str) -> Vec<String> {
    match sqlite_path(url) {
        Some(path) => {
            let connection = Connection::open(path).unwrap();
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
            let lines = plan.query_map([], |row| row.get::<_, String>(3)).unwrap().map(Result::unwrap);
            let tables = TABLES.map(|(table, _)| format!("SCAN {table}"));
            lines.filter(|line| tables.contains(line)).collect()
        }
        None => {
            let client = postgres(url).await;
            // As the server has it: what is read whole all the same has nothing else.
            client.batch_execute("SET enable_seqscan = off").await.unwrap();
            // Written out, a list of ids is one of texts.
            let mut parts = statement.split("ARRAY [");
            let first = parts.next().unwrap_or_default().to_owned();
            let typed = |all: String, part: &str| all + "ARRAY [" + &part.replacen(']', "]::uuid[]", 1);
            let statement = parts.fold(first, typed);
            let explained = client.query(&format!("EXPLAIN {statement}"), &[]).await;
            let lines = explained.unwrap_or_else(|error| panic!("{error:?}: {statement}"));
            let lines = lines.iter().map(|row| row.get::<_, String>(0));
            let tables = TABLES.map(|(table, _)| format!("Seq Scan on {table}"));
            lines.filter(|line| tables.iter().any(|table| line.contains(table))).collect()
        }
    }
}
