//! One loader for each key type, for what is reached one by one. What a whole page needs is fetched
//! at once, see [`super::lookahead`].
//!
//! They live for one request and keep nothing: a mutation in the same request may change what an
//! earlier one has read.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use async_graphql::{
    dataloader::{DataLoader, Loader},
    runtime::{TokioSpawner, TokioTimer},
};

use crate::{
    domain::{
        access::Scope,
        attempt::Attempt,
        blocked::BlockReason,
        connection::Connection,
        graph::Side,
        id::{BatchId, ConnectionId, JobId, TenantId},
        job::{Job, LinkedJob},
        tenant::Tenant,
    },
    services::{self, BatchGraph, Parts, Services},
};

/// What the loaders load from, and what they see of it.
pub struct Loaders(Arc<Services>, Scope);

impl Loaders {
    /// The loaders of one request. They wait for no more keys than those that were asked for when
    /// the executor comes to rest.
    pub fn for_request(services: Arc<Services>, scope: Scope) -> DataLoader<Self> {
        // The services split long lists of keys themselves.
        DataLoader::new(Self(services, scope), TokioSpawner::current(), TokioTimer::default())
            .delay(Duration::ZERO)
            .max_batch_size(usize::MAX)
    }
}

/// A batch, with some of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GraphKey(pub BatchId, pub Parts);

/// The jobs at the other ends of a job's edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinksKey(pub JobId, pub Side);

/// What a job has put out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutputKey(pub JobId);

/// The attempts at a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptsKey(pub JobId);

/// Why a job does not run. Equal for the same job, however it was fetched.
#[derive(Debug, Clone)]
pub struct BlockedKey(pub Arc<Job>);

impl PartialEq for BlockedKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for BlockedKey {}

impl Hash for BlockedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

type Loaded<K, V> = Result<HashMap<K, V>, Arc<services::Error>>;

impl Loader<TenantId> for Loaders {
    type Value = Arc<Tenant>;
    type Error = Arc<services::Error>;

    async fn load(&self, ids: &[TenantId]) -> Loaded<TenantId, Arc<Tenant>> {
        Ok(self.0.tenants_by_id(self.1, ids).await?)
    }
}

impl Loader<ConnectionId> for Loaders {
    type Value = Arc<Connection>;
    type Error = Arc<services::Error>;

    async fn load(&self, ids: &[ConnectionId]) -> Loaded<ConnectionId, Arc<Connection>> {
        Ok(self.0.connections_by_id(self.1, ids).await?)
    }
}

impl Loader<JobId> for Loaders {
    type Value = Arc<Job>;
    type Error = Arc<services::Error>;

    async fn load(&self, ids: &[JobId]) -> Loaded<JobId, Arc<Job>> {
        Ok(self.0.jobs_by_id(self.1, ids).await?)
    }
}

impl Loader<GraphKey> for Loaders {
    type Value = Arc<BatchGraph>;
    type Error = Arc<services::Error>;

    async fn load(&self, keys: &[GraphKey]) -> Loaded<GraphKey, Arc<BatchGraph>> {
        let mut by_parts: HashMap<Parts, Vec<BatchId>> = HashMap::new();
        for GraphKey(id, parts) in keys {
            by_parts.entry(*parts).or_default().push(*id);
        }
        let mut loaded = HashMap::with_capacity(keys.len());
        for (parts, ids) in by_parts {
            let graphs = self.0.batches_by_id(self.1, &ids, parts).await?;
            loaded.extend(graphs.into_iter().map(|(id, graph)| (GraphKey(id, parts), graph)));
        }
        Ok(loaded)
    }
}

impl Loader<LinksKey> for Loaders {
    type Value = Arc<Vec<LinkedJob>>;
    type Error = Arc<services::Error>;

    async fn load(&self, keys: &[LinksKey]) -> Loaded<LinksKey, Arc<Vec<LinkedJob>>> {
        let mut loaded = HashMap::with_capacity(keys.len());
        for side in [Side::Required, Side::Dependent] {
            let of_side = keys.iter().filter(|LinksKey(_, wanted)| *wanted == side);
            let ids: Vec<JobId> = of_side.map(|LinksKey(id, _)| *id).collect();
            let links = self.0.linked_jobs(self.1, &ids, side).await?;
            loaded.extend(links.into_iter().map(|(id, links)| (LinksKey(id, side), Arc::new(links))));
        }
        Ok(loaded)
    }
}

impl Loader<OutputKey> for Loaders {
    type Value = Arc<serde_json::Value>;
    type Error = Arc<services::Error>;

    async fn load(&self, keys: &[OutputKey]) -> Loaded<OutputKey, Arc<serde_json::Value>> {
        let ids: Vec<JobId> = keys.iter().map(|OutputKey(id)| *id).collect();
        let outputs = self.0.outputs(self.1, &ids).await?;
        Ok(outputs.into_iter().map(|(id, output)| (OutputKey(id), output)).collect())
    }
}

impl Loader<AttemptsKey> for Loaders {
    type Value = Vec<Arc<Attempt>>;
    type Error = Arc<services::Error>;

    async fn load(&self, keys: &[AttemptsKey]) -> Loaded<AttemptsKey, Vec<Arc<Attempt>>> {
        let ids: Vec<JobId> = keys.iter().map(|AttemptsKey(id)| *id).collect();
        let attempts = self.0.attempts(self.1, &ids).await?;
        Ok(attempts.into_iter().map(|(id, attempts)| (AttemptsKey(id), attempts)).collect())
    }
}

impl Loader<BlockedKey> for Loaders {
    type Value = Vec<BlockReason>;
    type Error = Arc<services::Error>;

    async fn load(&self, keys: &[BlockedKey]) -> Loaded<BlockedKey, Vec<BlockReason>> {
        let jobs: Vec<Arc<Job>> = keys.iter().map(|BlockedKey(job)| job.clone()).collect();
        let mut reasons = self.0.blocked_by(self.1, &jobs).await?;
        let found = jobs.into_iter().filter_map(|job| Some((reasons.remove(&job.id)?, BlockedKey(job))));
        Ok(found.map(|(reasons, key)| (key, reasons)).collect())
    }
}
