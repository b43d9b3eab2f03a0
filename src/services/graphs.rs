//! Batches with their jobs, dependencies and connections, for a whole page in one round.
//!
//! Whoever asks says which [`Parts`] are wanted; the statements for them run at the same time, each
//! for all batches. A batch may be replaced between two of them: jobs bear the revision of the
//! definition they belong to, so that parts of two definitions are noticed, and such a batch is
//! read again in a transaction that sees one moment.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use futures_util::future::{OptionFuture, try_join, try_join3};

use super::{Error, Services};
use crate::{
    domain::{
        access::{Caller, Scope},
        batch::Batch,
        connection::Connection,
        graph::JobGraph,
        id::{BatchId, ConnectionId},
        job::{Job, JobCounts},
        list::BatchFilter,
        page::{Page, Slice},
    },
    store::{
        self, Db,
        batches::{self, SeenBatch},
        connections::{self, Users},
        jobs::{self, CountedJobs, JobParts, StoredJobs},
    },
};

/// Connections by their ids, shared by all batches that were fetched together.
pub type ConnectionMap = HashMap<ConnectionId, Arc<Connection>>;

/// Which parts of a batch are wanted beside its own row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Parts {
    /// Its jobs.
    pub jobs: bool,
    /// Which job waits for which; brings the jobs along.
    pub edges: bool,
    /// What the jobs require by name, too; brings the jobs along.
    pub required_objects: bool,
    /// How many of its jobs are in each state; needs no statement where its jobs are wanted.
    pub counts: bool,
    /// The connections it uses.
    pub connections: WantedConnections,
}

/// Which connections of a batch are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum WantedConnections {
    /// None.
    #[default]
    None,
    /// Its source and destination.
    OfBatch,
    /// Those, and the ones that its jobs use.
    OfJobs,
}

impl Parts {
    /// The batch with its jobs, and which of them waits for which.
    pub const JOB_GRAPH: Self = Self {
        jobs: true,
        edges: true,
        required_objects: false,
        counts: false,
        connections: WantedConnections::None,
    };
    /// All that it was defined with.
    pub const DEFINITION: Self = Self { required_objects: true, ..Self::JOB_GRAPH };

    /// What either wants.
    pub fn and(self, other: Self) -> Self {
        Self {
            jobs: self.jobs || other.jobs,
            edges: self.edges || other.edges,
            required_objects: self.required_objects || other.required_objects,
            counts: self.counts || other.counts,
            connections: self.connections.max(other.connections),
        }
    }

    /// Whether who has these has those, too.
    pub fn cover(self, others: Self) -> bool {
        // Whoever has the jobs can count them.
        let counted = Self { counts: self.counts || self.wants_jobs(), ..self };
        counted.and(others) == counted
    }

    fn wants_jobs(self) -> bool {
        self.jobs || self.edges || self.required_objects
    }

    fn wants_counts_alone(self) -> bool {
        self.counts && !self.wants_jobs()
    }
}

/// A batch with those of its parts that were fetched.
#[derive(Debug)]
pub struct BatchGraph {
    /// The batch itself.
    pub batch: Batch,
    /// Its jobs, by position.
    pub jobs: Option<Vec<Arc<Job>>>,
    /// Which job waits for which.
    pub edges: Option<JobGraph>,
    /// How many of its jobs are in each state, where they were counted and not fetched.
    pub counted: Option<JobCounts>,
    /// Connections that were fetched along, this batch's and perhaps others'.
    pub connections: Arc<ConnectionMap>,
}

impl BatchGraph {
    /// Whether these parts are there, apart from connections and what jobs require by name: those can
    /// be had one by one.
    pub fn has(&self, parts: Parts) -> bool {
        (self.jobs.is_some() || !parts.jobs)
            && (self.edges.is_some() || !parts.edges)
            && (self.counts().is_some() || !parts.counts)
    }

    /// How many of its jobs are in each state, if they were fetched or counted.
    pub fn counts(&self) -> Option<JobCounts> {
        let of_jobs = |jobs: &Vec<Arc<Job>>| {
            let mut counts = JobCounts::default();
            jobs.iter().for_each(|job| counts.add(job.state.status(), 1));
            counts
        };
        self.counted.or_else(|| self.jobs.as_ref().map(of_jobs))
    }
}

impl Services {
    /// A page of the batches that the filter lets through, with these parts.
    pub async fn batches(
        &self,
        caller: &Caller,
        filter: &BatchFilter,
        page: &Page,
        parts: Parts,
    ) -> Result<Slice<Arc<BatchGraph>>, Error> {
        let scope = caller.may_read()?;
        let changes = self.graphs.changes_wanted(parts);
        let slice = page.cut(batches::page(self.store.reader(), scope, filter, page, changes).await?);
        let ids: Vec<BatchId> = slice.rows.iter().map(|seen| seen.batch.id).collect();
        let (has_previous, has_next) = (slice.has_previous, slice.has_next);
        let mut graphs = self.with_parts(scope, slice.rows, parts).await?;
        // One that was deleted meanwhile leaves a gap, and nothing else.
        let rows = ids.iter().filter_map(|id| graphs.remove(id)).collect();
        Ok(Slice { rows, has_previous, has_next })
    }

    /// How many batches the filter lets through.
    pub async fn batch_count(&self, caller: &Caller, filter: &BatchFilter) -> Result<u64, Error> {
        let scope = caller.may_read()?;
        Ok(batches::count(self.store.reader(), scope, filter).await?)
    }

    /// The batches with these ids, as far as the scope contains them, with these parts.
    pub async fn batches_by_id(
        &self,
        scope: Scope,
        ids: &[BatchId],
        parts: Parts,
    ) -> Result<HashMap<BatchId, Arc<BatchGraph>>, Error> {
        let db = self.store.reader();
        let mut graphs = HashMap::new();
        for ids in ids.chunks(store::CHUNK) {
            if self.graphs.expects(ids, parts) {
                let changes = self.graphs.changes_wanted(parts);
                let seen = batches::seen_by_ids(db, scope, ids, changes).await?;
                graphs.extend(self.with_parts(scope, seen, parts).await?);
            } else {
                let batches = batches::by_ids(db, scope, ids);
                let fetch = Fetched::fetch(db, scope, ids, parts, Shared::ByAll);
                let (rows, fetched) = try_join(batches, fetch).await?;
                graphs.extend(self.whole(scope, rows, fetched, parts).await?);
            }
        }
        Ok(graphs)
    }

    /// Batches that were seen just now, with their parts: as they are kept, or read in one round.
    async fn with_parts(
        &self,
        scope: Scope,
        seen: Vec<SeenBatch>,
        mut parts: Parts,
    ) -> Result<HashMap<BatchId, Arc<BatchGraph>>, Error> {
        let mut graphs = HashMap::with_capacity(seen.len());
        let (mut missing, mut ids, mut changes) = (Vec::new(), Vec::new(), HashMap::new());
        let asked = parts;
        for seen in seen {
            match self.graphs.get(&seen, asked) {
                Ok(graph) => {
                    graphs.insert(graph.batch.id, graph);
                }
                Err(wanted) => {
                    parts = parts.and(wanted);
                    ids.push(seen.batch.id);
                    changes.extend(seen.connection_changes.map(|changes| (seen.batch.id, changes)));
                    missing.push(seen.batch);
                }
            }
        }
        let shared = if self.graphs.keeps(parts) { Shared::ByNone } else { Shared::ByAll };
        let fetched = Fetched::fetch(self.store.reader(), scope, &ids, parts, shared).await?;
        let read = self.whole(scope, missing, fetched, parts).await?;
        for (id, graph) in &read {
            self.graphs.keep(graph, parts, changes.get(id).copied());
        }
        graphs.extend(read);
        Ok(graphs)
    }

    /// Puts batches and their parts together; those that were replaced meanwhile are read again.
    async fn whole(
        &self,
        scope: Scope,
        batches: Vec<Batch>,
        fetched: Fetched,
        parts: Parts,
    ) -> Result<HashMap<BatchId, Arc<BatchGraph>>, Error> {
        let shared = fetched.shared;
        let (mut graphs, torn) = fetched.assemble(batches, parts);
        if !torn.is_empty() {
            let snapshot = self.store.snapshot().await?;
            let batches = batches::by_ids(snapshot.db(), scope, &torn).await?;
            let fetched = Fetched::fetch(snapshot.db(), scope, &torn, parts, shared).await?;
            let (whole, torn) = fetched.assemble(batches, parts);
            if let Some(id) = torn.first() {
                let id = id.uuid();
                return Err(store::Error::Corrupt { table: "batches", column: "revision", id }.into());
            }
            graphs.extend(whole);
        }
        Ok(graphs)
    }
}

/// Whose the map of connections is that a batch has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Shared {
    /// All batches' that were fetched together.
    #[default]
    ByAll,
    /// Its own, with no more in it than it uses: it may be there for longer than the others.
    ByNone,
}

/// The parts of some batches, as one round of statements found them.
#[derive(Default)]
struct Fetched {
    shared: Shared,
    jobs: HashMap<BatchId, StoredJobs>,
    counts: HashMap<BatchId, CountedJobs>,
    connections: Arc<ConnectionMap>,
}

impl Fetched {
    async fn fetch(
        db: &impl Db,
        scope: Scope,
        ids: &[BatchId],
        parts: Parts,
        shared: Shared,
    ) -> Result<Self, store::Error> {
        if ids.is_empty() {
            return Ok(Self::default());
        }
        let users = match parts.connections {
            WantedConnections::None => None,
            WantedConnections::OfBatch => Some(Users::Batches),
            WantedConnections::OfJobs => Some(Users::BatchesAndJobs),
        };
        let of_jobs = JobParts { edges: parts.edges, required_objects: parts.required_objects };
        let jobs: OptionFuture<_> =
            parts.wants_jobs().then(|| jobs::of_batches(db, scope, ids, of_jobs)).into();
        let connections: OptionFuture<_> =
            users.map(|users| connections::of_batches(db, scope, ids, users)).into();
        let counts: OptionFuture<_> = parts.wants_counts_alone().then(|| jobs::counts(db, scope, ids)).into();
        let (jobs, counts, connections) =
            try_join3(async { jobs.await.transpose() }, async { counts.await.transpose() }, async {
                connections.await.transpose()
            })
            .await?;
        let connections = connections.unwrap_or_default().into_iter();
        Ok(Self {
            shared,
            jobs: jobs.unwrap_or_default(),
            counts: counts.unwrap_or_default(),
            connections: Arc::new(
                connections.map(|connection| (connection.id, Arc::new(connection))).collect(),
            ),
        })
    }

    /// The batches with their parts, and the ids of those whose parts do not fit together.
    fn assemble(
        mut self,
        batches: Vec<Batch>,
        parts: Parts,
    ) -> (HashMap<BatchId, Arc<BatchGraph>>, Vec<BatchId>) {
        let mut graphs = HashMap::with_capacity(batches.len());
        let mut torn = Vec::new();
        for batch in batches {
            let id = batch.id;
            match self.graph(batch, parts) {
                Some(graph) => {
                    graphs.insert(id, Arc::new(graph));
                }
                None => torn.push(id),
            }
        }
        (graphs, torn)
    }

    fn connections_of(&self, batch: &Batch, jobs: Option<&StoredJobs>) -> Arc<ConnectionMap> {
        match self.shared {
            Shared::ByAll => self.connections.clone(),
            Shared::ByNone => {
                let ends = [batch.source_connection_id, batch.destination_connection_id];
                let of_jobs = jobs.iter().flat_map(|stored| &stored.jobs).map(|job| job.connection_id);
                let mut own = ConnectionMap::new();
                for id in ends.into_iter().chain(of_jobs) {
                    if let (Entry::Vacant(own), Some(connection)) = (own.entry(id), self.connections.get(&id))
                    {
                        own.insert(connection.clone());
                    }
                }
                Arc::new(own)
            }
        }
    }

    fn graph(&mut self, batch: Batch, parts: Parts) -> Option<BatchGraph> {
        let jobs = self.jobs.remove(&batch.id);
        let connections = self.connections_of(&batch, jobs.as_ref());
        let bare = BatchGraph { batch, jobs: None, edges: None, counted: None, connections };
        let batch = &bare.batch;
        if parts.wants_counts_alone() {
            let counted =
                self.counts.remove(&batch.id).filter(|counted| counted.revision == batch.revision)?.counts;
            return Some(BatchGraph { counted: Some(counted), ..bare });
        }
        if !parts.wants_jobs() {
            return Some(bare);
        }
        // A batch has at least one job: without any it was deleted meanwhile.
        let StoredJobs { jobs, edges } = jobs?;
        let in_place = |(position, job): (usize, &Arc<Job>)| {
            job.position as usize == position && job.revision == batch.revision
        };
        if !jobs.iter().enumerate().all(in_place) {
            return None;
        }
        let edges = if parts.edges { Some(JobGraph::new(jobs.len(), &edges)?) } else { None };
        Some(BatchGraph { jobs: Some(jobs), edges, ..bare })
    }
}
