//! The yardstick for writing: a batch as rows, sent as multi-row INSERTs in one transaction.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rusqlite::types::{ToSqlOutput, Value as SqliteValue};
use serde_json::json;
use sluice::{
    clock::Clock,
    domain::{
        draft::BatchDraft,
        id::{BatchId, ConnectionId, JobId},
        job::JobType,
        problem::At,
        since::Since,
        tenant::DEFAULT_TENANT,
    },
};
use tokio_postgres::{
    Client, Statement,
    types::{IsNull, ToSql, Type, private::BytesMut},
};
use uuid::Uuid;

use crate::common::database::{postgres, sqlite_path};

/// A statement has at most 32,766 parameters on SQLite.
const PARAMETERS: usize = 32_000;

/// Some rows of a table.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    cells: Vec<Cell>,
}

/// A value of a row.
#[derive(Debug)]
enum Cell {
    Null,
    Id(Uuid),
    Number(i32),
    Bool(bool),
    Text(String),
    Time(DateTime<Utc>),
}

/// The rows of this batch.
fn rows(draft: &BatchDraft) -> [Table; 3] {
    let now = Clock::System.now();
    let text = |text: &str| Cell::Text(text.to_owned());
    let connection = |id: &str| Cell::Id(ConnectionId::parse(id, &At::Root).unwrap().uuid());
    let (batch, tenant) = (BatchId::new(now).uuid(), DEFAULT_TENANT.uuid());
    let since = draft.since.as_deref().map(|since| Since::parse(since, &At::Root).unwrap().instant());
    let batches = vec![
        Cell::Id(batch),
        Cell::Id(tenant),
        connection(&draft.source_connection_id),
        connection(&draft.destination_connection_id),
        since.map_or(Cell::Null, Cell::Time),
        Cell::Null,
        Cell::Number(draft.priority),
        text("continue"),
        text("pending"),
        Cell::Number(1),
        Cell::Number(1),
        Cell::Null,
        Cell::Null,
        Cell::Time(now),
        Cell::Null,
        Cell::Null,
        Cell::Time(now),
    ];
    let positions: HashMap<(JobType, &str), i32> =
        (0..).zip(&draft.jobs).map(|(position, job)| ((job.job_type, &*job.object), position)).collect();
    let (mut jobs, mut dependencies) = (Vec::new(), Vec::new());
    let mut waves: Vec<i32> = Vec::new();
    for (position, job) in (0..).zip(&draft.jobs) {
        let required = &job.required_objects;
        let extracts = required.extract.iter().map(|object| (JobType::Extract, object));
        let loads = required.load.iter().map(|object| (JobType::Load, object));
        let mut wave = 0;
        for (job_type, object) in extracts.chain(loads) {
            let at = positions[&(job_type, &**object)];
            wave = wave.max(waves[at as usize] + 1);
            let edge = [Cell::Id(batch), Cell::Number(position), Cell::Number(at), text(job_type.name())];
            dependencies.extend(edge.into_iter().chain([Cell::Number(1)]));
        }
        waves.push(wave);
        let required_objects = match wave {
            0 => Cell::Null,
            _ => Cell::Text(json!({ "extract": required.extract, "load": required.load }).to_string()),
        };
        let default = match job.job_type {
            JobType::Extract => &draft.source_connection_id,
            JobType::Load => &draft.destination_connection_id,
        };
        jobs.extend([
            Cell::Id(JobId::new(now).uuid()),
            Cell::Id(batch),
            Cell::Id(tenant),
            Cell::Number(position),
            Cell::Number(1),
            text(job.job_type.name()),
            text(&job.object),
            job.grain.as_deref().map_or(Cell::Null, text),
            connection(job.connection_id.as_ref().unwrap_or(default)),
            Cell::Null,
            Cell::Null,
            Cell::Bool(job.allow_delete),
            required_objects,
            Cell::Number(wave),
            Cell::Number((required.extract.len() + required.load.len()) as i32),
            text(if wave == 0 { "ready" } else { "blocked" }),
            Cell::Number(0),
            Cell::Number(job.max_attempts),
            Cell::Null,
            Cell::Time(now),
            Cell::Null,
            Cell::Null,
        ]);
    }
    [
        Table {
            name: "batches",
            columns: &[
                "id",
                "tenant_id",
                "source_connection_id",
                "destination_connection_id",
                "since",
                "updated_since",
                "priority",
                "failure_policy",
                "status",
                "version",
                "revision",
                "idempotency_key",
                "request_hash",
                "created_at",
                "started_at",
                "finished_at",
                "updated_at",
            ],
            cells: batches,
        },
        Table {
            name: "jobs",
            columns: &[
                "id",
                "batch_id",
                "tenant_id",
                "position",
                "revision",
                "type",
                "object",
                "grain",
                "connection_id",
                "since",
                "updated_since",
                "allow_delete",
                "required_objects",
                "wave",
                "unsatisfied",
                "status",
                "attempt",
                "max_attempts",
                "not_before",
                "created_at",
                "started_at",
                "finished_at",
            ],
            cells: jobs,
        },
        Table {
            name: "dependencies",
            columns: &["batch_id", "dependent", "required", "kind", "revision"],
            cells: dependencies,
        },
    ]
}

impl Table {
    /// The statements that write the rows, each with its values.
    fn statements(&self, parameter: impl Fn(usize) -> String) -> Vec<(String, &[Cell])> {
        let width = self.columns.len();
        let chunks = self.cells.chunks(PARAMETERS / width * width);
        let statement = |cells: &[Cell]| {
            let row = |row| {
                let parameters: Vec<String> =
                    (1..=width).map(|column| parameter(row * width + column)).collect();
                format!("({})", parameters.join(", "))
            };
            let rows: Vec<String> = (0..cells.len() / width).map(row).collect();
            format!("INSERT INTO {} ({}) VALUES {}", self.name, self.columns.join(", "), rows.join(", "))
        };
        chunks.map(|cells| (statement(cells), cells)).collect()
    }
}

/// Who writes.
pub enum Writer {
    /// Through tokio-postgres; each statement is prepared once.
    Postgres(Client, HashMap<String, Statement>),
    /// Through rusqlite; each statement is prepared once.
    Sqlite(rusqlite::Connection),
}

impl Writer {
    pub async fn open(url: &str) -> Self {
        match sqlite_path(url) {
            None => Self::Postgres(postgres(url).await, HashMap::new()),
            Some(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                // As Sluice has it.
                let pragmas =
                    "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000";
                connection.execute_batch(pragmas).unwrap();
                Self::Sqlite(connection)
            }
        }
    }

    /// Writes the batch, and says how many statements it took beside those of the transaction.
    pub async fn write(&mut self, draft: &BatchDraft) -> u64 {
        let tables = rows(draft);
        let mut sent = 0;
        match self {
            Self::Postgres(client, prepared) => {
                let transaction = client.transaction().await.unwrap();
                for table in &tables {
                    for (sql, cells) in table.statements(|number| format!("${number}")) {
                        let statement = match prepared.get(&sql) {
                            Some(statement) => statement.clone(),
                            None => {
                                let statement = transaction.prepare(&sql).await.unwrap();
                                prepared.insert(sql, statement.clone());
                                statement
                            }
                        };
                        let values: Vec<&(dyn ToSql + Sync)> =
                            cells.iter().map(|cell| cell as &(dyn ToSql + Sync)).collect();
                        transaction.execute(&statement, &values).await.unwrap();
                        sent += 1;
                    }
                }
                transaction.commit().await.unwrap();
            }
            Self::Sqlite(connection) => {
                let transaction = connection.transaction().unwrap();
                for table in &tables {
                    for (sql, cells) in table.statements(|_| "?".to_owned()) {
                        let mut statement = transaction.prepare_cached(&sql).unwrap();
                        statement.execute(rusqlite::params_from_iter(cells)).unwrap();
                        sent += 1;
                    }
                }
                transaction.commit().unwrap();
            }
        }
        sent
    }
}

impl ToSql for Cell {
    fn to_sql(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Id(id) => id.to_sql(of, out),
            Self::Number(number) => number.to_sql(of, out),
            Self::Bool(bool) => bool.to_sql(of, out),
            Self::Text(text) => text.to_sql(of, out),
            Self::Time(time) => time.to_sql(of, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

impl rusqlite::ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(SqliteValue::Null),
            Self::Id(id) => ToSqlOutput::from(&id.as_bytes()[..]),
            Self::Number(number) => ToSqlOutput::from(*number),
            Self::Bool(bool) => ToSqlOutput::from(*bool),
            Self::Text(text) => ToSqlOutput::from(text.as_str()),
            Self::Time(time) => ToSqlOutput::from(time.to_rfc3339()),
        })
    }
}
