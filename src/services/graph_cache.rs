//! Batches with their parts that were read lately, so that what has not changed since is not read again.
//!
//! Nothing in here is ever stale, and nobody has to say when something changes. Whoever wants a batch reads its row
//! first. Every change of a batch, its jobs included, gives it another version in the same transaction, and every
//! change of a connection is counted at its tenant ([`SeenBatch::connection_changes`]). So what is kept holds exactly
//! when it was kept for the very row, and that count, that were read now.
//!
//! What is kept must have been read **after** the row that it is kept for: then it is what that row speaks of, or
//! newer; and if it is newer, nobody will see that row again, who reads one later. What was read at the same time
//! as the row may be older, and is not kept.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::graphs::{BatchGraph, Parts, WantedConnections};
use crate::{
    cache::{Bounds, Cache},
    domain::{batch::Batch, connection::Connection, graph::JobGraph, id::BatchId, job::Job},
    store::batches::{ConnectionChanges, SeenBatch},
    telemetry::{Lookup, Metrics},
};

/// The most batches that are kept.
const MOST: usize = 100_000;
/// About how much memory it takes to know that a batch was asked for, in bytes.
const BYTES_OF_NAME: usize = 128;

/// The batches that are kept.
#[derive(Debug)]
pub struct GraphCache {
    /// `None`: nothing is kept.
    kept: Option<Cache<BatchId, Kept>>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Clone)]
enum Kept {
    /// It was asked for by itself. When that happens again, it will be worth keeping.
    Name,
    /// It was read.
    Graph(Arc<KeptGraph>),
}

#[derive(Debug)]
struct KeptGraph {
    graph: Arc<BatchGraph>,
    parts: Parts,
    connection_changes: Option<i64>,
}

impl GraphCache {
    /// A cache that takes about so many bytes; 0: nothing is kept.
    pub fn new(bytes: usize, metrics: Arc<Metrics>) -> Self {
        let kept = (bytes > 0).then(|| Cache::within(Bounds { things: MOST, bytes }));
        Self { kept, metrics }
    }

    /// Whether graphs with these parts are kept.
    pub fn keeps(&self, parts: Parts) -> bool {
        self.with(parts).is_some()
    }

    /// Where graphs with these parts are kept, if they are: a row alone is read anyhow.
    fn with(&self, parts: Parts) -> Option<&Cache<BatchId, Kept>> {
        self.kept.as_ref().filter(|_| parts != Parts::default())
    }

    /// What must be read with the row of a batch, so that what is kept of it can be had.
    pub fn changes_wanted(&self, parts: Parts) -> ConnectionChanges {
        if self.keeps(parts) { ConnectionChanges::Told } else { ConnectionChanges::Untold }
    }

    /// The batch with these parts, if it is kept as it was seen; else which parts of it are worth reading: these, and
    /// those that somebody else had asked for.
    pub fn get(&self, seen: &SeenBatch, parts: Parts) -> Result<Arc<BatchGraph>, Parts> {
        let Some(kept) = self.with(parts) else { return Err(parts) };
        let found = match kept.get(&seen.batch.id) {
            Some(Kept::Graph(kept)) if kept.graph.batch == seen.batch => {
                let connections_hold = parts.connections == WantedConnections::None
                    || kept.connection_changes == seen.connection_changes;
                if kept.parts.cover(parts) && connections_hold {
                    Ok(kept.graph.clone())
                } else {
                    Err(parts.and(kept.parts))
                }
            }
            Some(Kept::Graph(_) | Kept::Name) | None => Err(parts),
        };
        self.metrics.graph_looked_up(if found.is_ok() { Lookup::Hit } else { Lookup::Miss });
        found
    }

    /// Whether all of these batches were asked for before, so that it is worth to read their rows first. Remembers that
    /// they were.
    pub fn expects(&self, ids: &[BatchId], parts: Parts) -> bool {
        let Some(kept) = self.with(parts) else { return false };
        let new = ids.iter().filter(|id| kept.get(id).is_none());
        new.map(|id| kept.put(*id, Kept::Name, BYTES_OF_NAME)).count() == 0
    }

    /// Keeps a batch with these parts, which were read after its row.
    pub fn keep(&self, graph: &Arc<BatchGraph>, parts: Parts, connection_changes: Option<i64>) {
        let Some(kept) = self.with(parts) else { return };
        // The end of a backoff is no change of the batch.
        let waits = |jobs: &Vec<Arc<Job>>| jobs.iter().any(|job| job.state.not_before().is_some());
        if graph.jobs.as_ref().is_some_and(waits) {
            return;
        }
        let bytes = bytes_of(graph);
        let graph = KeptGraph { graph: graph.clone(), parts, connection_changes };
        kept.put(graph.graph.batch.id, Kept::Graph(Arc::new(graph)), bytes);
        self.metrics.graphs_kept(kept.bytes());
    }
}

/// About how much memory a batch with its parts takes.
fn bytes_of(graph: &BatchGraph) -> usize {
    let jobs = graph.jobs.iter().flatten().map(|job| bytes_of_job(job));
    let edges = graph.edges.iter().map(bytes_of_edges);
    let connections = graph.connections.values().map(|connection| bytes_of_connection(connection));
    BYTES_OF_NAME + size_of::<Batch>() + jobs.chain(edges).chain(connections).sum::<usize>()
}

/// What stands around a value that is shared, or in a map.
const AROUND: usize = 64;

fn bytes_of_job(job: &Job) -> usize {
    let grain = job.grain.as_ref().map_or(0, |grain| grain.len());
    let required = job.required_objects.iter().flat_map(|required| {
        [&required.extract, &required.load, &required.load_result].into_iter().flatten()
    });
    let required: usize = required.map(|object| size_of_val(object) + object.len()).sum();
    size_of::<Job>() + AROUND + job.object.len() + grain + required
}

fn bytes_of_edges(edges: &JobGraph) -> usize {
    const ENDS: usize = 2;
    ENDS * (edges.len() * size_of::<u32>() + edges.edges().count() * 2 * size_of::<u32>())
}

fn bytes_of_connection(connection: &Connection) -> usize {
    let config = bytes_of_fields(connection.config.fields());
    size_of::<Connection>() + AROUND + connection.name.len() + connection.provider.len() + config
}

fn bytes_of_value(value: &Value) -> usize {
    AROUND
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(bytes_of_value).sum(),
            Value::Object(fields) => bytes_of_fields(fields),
        }
}

fn bytes_of_fields(fields: &Map<String, Value>) -> usize {
    fields.iter().map(|(key, value)| key.len() + bytes_of_value(value)).sum()
}
