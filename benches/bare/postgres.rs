//! Flat statements through tokio-postgres, all prepared.

use std::cell::Cell;

use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use super::{
    BATCH, Batch, CONNECTIONS, Connection, DEPENDENCIES, Dependency, JOBS, Job, OLDEST, PAGE, Page, Rows,
    name,
};
use crate::common::database::{POOL, postgres};

/// As many connections as Sluice has, used in turn. Statements that are sent at the same time go out
/// on different ones.
pub struct Pool {
    connections: Vec<Prepared>,
    next: Cell<usize>,
}

struct Prepared {
    client: Client,
    page: Statement,
    oldest: Statement,
    list: Statement,
    batch: Statement,
    jobs: Statement,
    dependencies: Statement,
    connections: Statement,
}

impl Pool {
    pub async fn open(url: &str) -> Self {
        let mut connections = Vec::new();
        for _ in 0..POOL {
            connections.push(Prepared::open(url).await);
        }
        Self { connections, next: Cell::new(0) }
    }

    fn next(&self) -> &Prepared {
        let next = self.next.get();
        self.next.set((next + 1) % self.connections.len());
        &self.connections[next]
    }

    pub async fn nested(&self, page: Page) -> Rows {
        let first = self.next();
        let statement = match page {
            Page::Newest => &first.page,
            Page::Oldest => &first.oldest,
        };
        let batches = first.client.query(statement, &[]).await.unwrap();
        let batches: Vec<Batch> = batches.iter().take(page.length()).map(batch).collect();
        let ids: &Vec<Uuid> = &batches.iter().map(|batch| batch.id).collect();
        let (jobs, dependencies, connections) = tokio::try_join!(
            async {
                let db = self.next();
                let rows = db.client.query(&db.jobs, &[ids]).await?;
                Ok(rows.iter().map(job).collect())
            },
            async {
                let db = self.next();
                let rows = db.client.query(&db.dependencies, &[ids]).await?;
                Ok(rows.iter().map(dependency).collect())
            },
            async {
                let db = self.next();
                let rows = db.client.query(&db.connections, &[ids]).await?;
                Ok::<_, tokio_postgres::Error>(rows.iter().map(connection).collect())
            },
        )
        .unwrap();
        Rows { batches, jobs, dependencies, connections }
    }

    pub async fn list(&self) -> Vec<Batch> {
        let db = self.next();
        let rows = db.client.query(&db.list, &[]).await.unwrap();
        rows.iter().take(100).map(batch).collect()
    }

    pub async fn batch(&self, id: Uuid) -> (Batch, Vec<Job>) {
        let ids = vec![id];
        let (one, other) = (self.next(), self.next());
        let (found, jobs) =
            tokio::try_join!(async { one.client.query_one(&one.batch, &[&id]).await }, async {
                other.client.query(&other.jobs, &[&ids]).await
            })
            .unwrap();
        (batch(&found), jobs.iter().map(job).collect())
    }
}

impl Prepared {
    async fn open(url: &str) -> Self {
        let client = postgres(url).await;
        let page = client.prepare(&format!("{PAGE} 51")).await.unwrap();
        let oldest = client.prepare(OLDEST).await.unwrap();
        let list = client.prepare(&format!("{PAGE} 101")).await.unwrap();
        let batch = client.prepare(BATCH).await.unwrap();
        let of_batches = "batch_id = ANY($1)";
        let jobs = format!("{JOBS} WHERE {of_batches} ORDER BY batch_id, position");
        let jobs = client.prepare(&jobs).await.unwrap();
        let dependencies =
            format!("{DEPENDENCIES} WHERE {of_batches} ORDER BY batch_id, dependent, required, kind");
        let dependencies = client.prepare(&dependencies).await.unwrap();
        let connections = format!(
            "{CONNECTIONS} WHERE id IN (SELECT connection_id FROM jobs WHERE {of_batches}) \
             OR id IN (SELECT source_connection_id FROM batches WHERE id = ANY($1)) \
             OR id IN (SELECT destination_connection_id FROM batches WHERE id = ANY($1))"
        );
        let connections = client.prepare(&connections).await.unwrap();
        Self { client, page, oldest, list, batch, jobs, dependencies, connections }
    }
}

fn batch(row: &Row) -> Batch {
    Batch {
        id: row.get(0),
        since: row.get(1),
        status: name(row.get(2)),
        priority: row.get(3),
        created_at: row.get(4),
        source: row.get(5),
        destination: row.get(6),
    }
}

fn job(row: &Row) -> Job {
    Job {
        id: row.get(0),
        batch: row.get(1),
        job_type: name(row.get(2)),
        object: row.get(3),
        grain: row.get(4),
        status: name(row.get(5)),
        wave: row.get(6),
        attempt: row.get(7),
        max_attempts: row.get(8),
        connection: row.get(9),
    }
}

fn dependency(row: &Row) -> Dependency {
    Dependency { batch: row.get(0), dependent: row.get(1), required: row.get(2), kind: name(row.get(3)) }
}

fn connection(row: &Row) -> Connection {
    Connection { id: row.get(0), name: row.get(1), provider: row.get(2) }
}
