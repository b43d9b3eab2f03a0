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
        access::{Caller, Scope},
        attempt::Attempt,
        backfill::{Backfill, WindowCounts},
        blocked::BlockReason,
        connection::Connection,
        credentials::Credentials,
        firing::Firing,
        graph::Side,
        id::{BackfillId, BatchId, ConnectionId, FiringId, JobId, ScheduleId, TenantId},
        job::{Job, LinkedJob},
        schedule::Schedule,
        tenant::Tenant,
    },
    services::{self, BatchGraph, Parts, Services},
};

/// What the loaders load from, and for whom.
pub struct Loaders {
    services: Arc<Services>,
    caller: Arc<Caller>,
    scope: Scope,
}

impl Loaders {
    /// The loaders of one request. They wait for no more keys than those that were asked for when
    /// the executor comes to rest.
    pub fn for_request(services: Arc<Services>, caller: Arc<Caller>) -> DataLoader<Self> {
        let scope = caller.reach();
        // The services split long lists of keys themselves.
        DataLoader::new(Self { services, caller, scope }, TokioSpawner::current(), TokioTimer::default())
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

/// What opens the system of a connection, for who works on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialsKey(pub ConnectionId);

/// What a job has put out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutputKey(pub JobId);

/// The last firing of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LastFiringKey(pub ScheduleId);

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

/// How many windows of a backfill are in each state, of those that were begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowCountsKey(pub BackfillId);

type Loaded<K, V> = Result<HashMap<K, V>, Arc<services::Error>>;

impl Loader<TenantId> for Loaders {
    type Value = Arc<Tenant>;
    type Error = Arc<services::Error>;

    async fn load(&self, ids: &[TenantId]) -> Loaded<TenantId, Arc<Tenant>> {
        Ok(self.services.tenants_by_id(self.scope, ids).await?)
    }
}

impl Loader<ConnectionId> for Loaders {
    type Value = Arc<Connection>;
    type Error = Arc<services::Error>;

    async fn load(&self, ids: &[ConnectionId]) -> Loaded<ConnectionId, Arc<Connection>> {
        Ok(self.services.connections_by_id(self.scope, ids).await?)
    }
}

impl Loader<ScheduleId> for Loaders {
    type Value = Arc<Schedule>;
    type Error = Arc<services::Error>;

    async fn load(&self, ids: &[ScheduleId]) -> Loaded<ScheduleId, Arc<Schedule>> {
        Ok(self.services.schedules_by_id(self.scope, ids).await?)
    }
}

impl Loader<FiringId> for Loaders {
    type Value = Arc<Firing>;
    type Error = Arc<services::Error>;

    async fn load(&self, ids: &[FiringId]) -> Loaded<FiringId, Arc<Firing>> {
        Ok(self.services.firings_by_id(self.scope, ids).await?)
    }
}

impl Loader<BackfillId> for Loaders {
    type Value = Arc<Backfill>;
    type Error = Arc<services::Error>;

    async fn load(&self, ids: &[BackfillId]) -> Loaded<BackfillId, Arc<Backfill>> {
        Ok(self.services.backfills_by_id(self.scope, ids).await?)
    }
}

impl Loader<WindowCountsKey> for Loaders {
    type Value = WindowCounts;
    type Error = Arc<services::Error>;

    async fn load(&self, keys: &[WindowCountsKey]) -> Loaded<WindowCountsKey, WindowCounts> {
        let ids: Vec<BackfillId> = keys.iter().map(|WindowCountsKey(id)| *id).collect();
        let counts = self.services.window_counts(self.scope, &ids).await?;
        Ok(counts.into_iter().map(|(id, counts)| (WindowCountsKey(id), counts)).collect())
    }
}

impl Loader<LastFiringKey> for Loaders {
    type Value = Arc<Firing>;
    type Error = Arc<services::Error>;

    async fn load(&self, keys: &[LastFiringKey]) -> Loaded<LastFiringKey, Arc<Firing>> {
        let ids: Vec<ScheduleId> = keys.iter().map(|LastFiringKey(id)| *id).collect();
        let lasts = self.services.last_firings(self.scope, &ids).await?;
        Ok(lasts.into_iter().map(|(id, last)| (LastFiringKey(id), last)).collect())
    }
}

impl Loader<JobId> for Loaders {
    type Value = Arc<Job>;
    type Error = Arc<services::Error>;

    async fn load(&self, ids: &[JobId]) -> Loaded<JobId, Arc<Job>> {
        Ok(self.services.jobs_by_id(self.scope, ids).await?)
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
            let graphs = self.services.batches_by_id(self.scope, &ids, parts).await?;
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
            let links = self.services.linked_jobs(self.scope, &ids, side).await?;
            loaded.extend(links.into_iter().map(|(id, links)| (LinksKey(id, side), Arc::new(links))));
        }
        Ok(loaded)
    }
}

impl Loader<CredentialsKey> for Loaders {
    type Value = Arc<Credentials>;
    type Error = Arc<services::Error>;

    async fn load(&self, keys: &[CredentialsKey]) -> Loaded<CredentialsKey, Arc<Credentials>> {
        let ids: Vec<ConnectionId> = keys.iter().map(|CredentialsKey(id)| *id).collect();
        let opened = self.services.credentials(&self.caller, &ids).await?;
        Ok(opened.into_iter().map(|(id, credentials)| (CredentialsKey(id), credentials)).collect())
    }
}

impl Loader<OutputKey> for Loaders {
    type Value = Arc<serde_json::Value>;
    type Error = Arc<services::Error>;

    async fn load(&self, keys: &[OutputKey]) -> Loaded<OutputKey, Arc<serde_json::Value>> {
        let ids: Vec<JobId> = keys.iter().map(|OutputKey(id)| *id).collect();
        let outputs = self.services.outputs(self.scope, &ids).await?;
        Ok(outputs.into_iter().map(|(id, output)| (OutputKey(id), output)).collect())
    }
}

impl Loader<AttemptsKey> for Loaders {
    type Value = Vec<Arc<Attempt>>;
    type Error = Arc<services::Error>;

    async fn load(&self, keys: &[AttemptsKey]) -> Loaded<AttemptsKey, Vec<Arc<Attempt>>> {
        let ids: Vec<JobId> = keys.iter().map(|AttemptsKey(id)| *id).collect();
        let attempts = self.services.attempts(self.scope, &ids).await?;
        Ok(attempts.into_iter().map(|(id, attempts)| (AttemptsKey(id), attempts)).collect())
    }
}

impl Loader<BlockedKey> for Loaders {
    type Value = Vec<BlockReason>;
    type Error = Arc<services::Error>;

    async fn load(&self, keys: &[BlockedKey]) -> Loaded<BlockedKey, Vec<BlockReason>> {
        let jobs: Vec<Arc<Job>> = keys.iter().map(|BlockedKey(job)| job.clone()).collect();
        let mut reasons = self.services.blocked_by(self.scope, &jobs).await?;
        let found = jobs.into_iter().filter_map(|job| Some((reasons.remove(&job.id)?, BlockedKey(job))));
        Ok(found.map(|(reasons, key)| (key, reasons)).collect())
    }
}
