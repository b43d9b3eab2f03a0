//! One loader for each key type, for what is reached one by one. What a whole page needs is fetched
//! at once, see [`super::lookahead`].
//!
//! They live for one request and keep nothing: a mutation in the same request may change what an
//! earlier one has read.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_graphql::{
    dataloader::{DataLoader, Loader},
    runtime::{TokioSpawner, TokioTimer},
};

use crate::{
    domain::{
        connection::Connection,
        graph::Side,
        id::{BatchId, ConnectionId, JobId, TenantId},
        job::{Job, LinkedJob},
        tenant::Tenant,
    },
    services::{self, BatchGraph, Parts, Services},
};

/// What the loaders load from.
pub struct Loaders(Arc<Services>);

impl Loaders {
    /// The loaders of one request. They wait for no more keys than those that were asked for when
    /// the executor comes to rest.
    pub fn for_request(services: Arc<Services>) -> DataLoader<Self> {
        DataLoader::new(Self(services), TokioSpawner::current(), TokioTimer::default()).delay(Duration::ZERO)
    }
}

/// A batch, with some of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GraphKey(pub BatchId, pub Parts);

/// The jobs at the other ends of a job's edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinksKey(pub JobId, pub Side);

type Loaded<K, V> = Result<HashMap<K, V>, Arc<services::Error>>;

impl Loader<TenantId> for Loaders {
    type Value = Arc<Tenant>;
    type Error = Arc<services::Error>;

    async fn load(&self, ids: &[TenantId]) -> Loaded<TenantId, Arc<Tenant>> {
        Ok(self.0.tenants_by_id(ids).await?)
    }
}

impl Loader<ConnectionId> for Loaders {
    type Value = Arc<Connection>;
    type Error = Arc<services::Error>;

    async fn load(&self, ids: &[ConnectionId]) -> Loaded<ConnectionId, Arc<Connection>> {
        Ok(self.0.connections_by_id(ids).await?)
    }
}

impl Loader<JobId> for Loaders {
    type Value = Arc<Job>;
    type Error = Arc<services::Error>;

    async fn load(&self, ids: &[JobId]) -> Loaded<JobId, Arc<Job>> {
        Ok(self.0.jobs_by_id(ids).await?)
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
            let graphs = self.0.batches_by_id(&ids, parts).await?;
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
            let links = self.0.linked_jobs(&ids, side).await?;
            loaded.extend(links.into_iter().map(|(id, links)| (LinksKey(id, side), Arc::new(links))));
        }
        Ok(loaded)
    }
}
