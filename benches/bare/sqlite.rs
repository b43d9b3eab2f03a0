//! Flat statements through rusqlite, all prepared. They run where the request is answered, on the
//! worker itself: with one core there is nothing to be had from handing them to another thread.

use chrono::{DateTime, Utc};
use rusqlite::{OpenFlags, Row, ToSql};
use uuid::Uuid;

use super::{
    BATCH, Batch, CONNECTIONS, Connection, DEPENDENCIES, Dependency, JOBS, Job, OLDEST, PAGE, Page, Rows,
    name,
};

pub struct Reader(rusqlite::Connection);

impl Reader {
    pub fn open(path: &str) -> Self {
        Self(rusqlite::Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap())
    }

    pub fn nested(&self, page: Page) -> Rows {
        let mut batches = match page {
            Page::Newest => self.rows(&format!("{PAGE} 51"), &[], batch),
            Page::Oldest => self.rows(OLDEST, &[], batch),
        };
        batches.truncate(page.length());
        let ids: Vec<&[u8]> = batches.iter().map(|batch| &batch.id.as_bytes()[..]).collect();
        let ids: Vec<&dyn ToSql> = ids.iter().map(|id| id as &dyn ToSql).collect();
        let list: Vec<String> = (1..=ids.len()).map(|number| format!("?{number}")).collect();
        let list = list.join(", ");
        let jobs = format!("{JOBS} WHERE batch_id IN ({list}) ORDER BY batch_id, position");
        let dependencies =
            format!("{DEPENDENCIES} WHERE batch_id IN ({list}) ORDER BY batch_id, dependent, required, kind");
        let connections = format!(
            "{CONNECTIONS} WHERE id IN (SELECT connection_id FROM jobs WHERE batch_id IN ({list})) \
             OR id IN (SELECT source_connection_id FROM batches WHERE id IN ({list})) \
             OR id IN (SELECT destination_connection_id FROM batches WHERE id IN ({list}))"
        );
        Rows {
            jobs: self.rows(&jobs, &ids, job),
            dependencies: self.rows(&dependencies, &ids, dependency),
            connections: self.rows(&connections, &ids, connection),
            batches,
        }
    }

    pub fn list(&self) -> Vec<Batch> {
        let mut batches = self.rows(&format!("{PAGE} 101"), &[], batch);
        batches.truncate(100);
        batches
    }

    pub fn batch(&self, id: Uuid) -> (Batch, Vec<Job>) {
        let id = &id.as_bytes()[..];
        let mut batches = self.rows(BATCH, &[&id], batch);
        let jobs = self.rows(&format!("{JOBS} WHERE batch_id = ?1 ORDER BY position"), &[&id], job);
        (batches.remove(0), jobs)
    }

    fn rows<T>(&self, sql: &str, parameters: &[&dyn ToSql], read: impl Fn(&Row<'_>) -> T) -> Vec<T> {
        let mut statement = self.0.prepare_cached(sql).unwrap();
        let mut rows = statement.query(parameters).unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            found.push(read(row));
        }
        found
    }
}

fn batch(row: &Row<'_>) -> Batch {
    Batch {
        id: uuid(row, 0),
        since: text(row, 1).map(time),
        status: name(text(row, 2).unwrap()),
        priority: row.get(3).unwrap(),
        created_at: time(text(row, 4).unwrap()),
        source: uuid(row, 5),
        destination: uuid(row, 6),
    }
}

fn job(row: &Row<'_>) -> Job {
    Job {
        id: uuid(row, 0),
        batch: uuid(row, 1),
        job_type: name(text(row, 2).unwrap()),
        object: row.get(3).unwrap(),
        grain: row.get(4).unwrap(),
        status: name(text(row, 5).unwrap()),
        wave: row.get(6).unwrap(),
        attempt: row.get(7).unwrap(),
        max_attempts: row.get(8).unwrap(),
        connection: uuid(row, 9),
    }
}

fn dependency(row: &Row<'_>) -> Dependency {
    Dependency {
        batch: uuid(row, 0),
        dependent: row.get(1).unwrap(),
        required: row.get(2).unwrap(),
        kind: name(text(row, 3).unwrap()),
    }
}

fn connection(row: &Row<'_>) -> Connection {
    Connection { id: uuid(row, 0), name: row.get(1).unwrap(), provider: row.get(2).unwrap() }
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Option<&'a str> {
    row.get_ref(column).unwrap().as_str_or_null().unwrap()
}

fn uuid(row: &Row<'_>, column: usize) -> Uuid {
    Uuid::from_slice(row.get_ref(column).unwrap().as_blob().unwrap()).unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}
