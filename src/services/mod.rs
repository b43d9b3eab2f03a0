//! What can be done with Sluice, one transaction each. Both interfaces stand on these, so that no
//! rule is written twice.

mod batches;
mod connections;
mod graphs;
mod jobs;
mod live;
mod tenants;

use std::{collections::HashMap, hash::Hash};

use chrono::{DateTime, Utc};

pub use batches::{Expected, Replacement};
pub use graphs::{BatchGraph, ConnectionMap, Parts, WantedConnections};

use crate::{
    clock::Clock,
    domain::{
        draft::BatchLimits,
        problem::{At, Problem, ProblemCode},
    },
    store::{self, CHUNK, Store},
};

/// The use cases, and what they need.
#[derive(Debug)]
pub struct Services {
    store: Store,
    clock: Clock,
    limits: BatchLimits,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked for something that can't be; nothing was changed.
    #[error("rejected: {0:?}")]
    Rejected(Vec<Problem>),
    /// It is our fault or the database's.
    #[error(transparent)]
    Failed(#[from] store::Error),
}

/// What the database says when it stands against us, as far as callers need to know.
pub use store::Error as Failure;

impl From<Vec<Problem>> for Error {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Rejected(problems)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Rejected(vec![problem])
    }
}

impl Services {
    /// The use cases on this store.
    pub fn new(store: Store, clock: Clock, limits: BatchLimits) -> Self {
        Self { store, clock, limits }
    }

    /// Asks the database whether it is there.
    pub async fn ping(&self) -> Result<(), Error> {
        Ok(self.store.ping().await?)
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

/// The object that a request names by its `id` is not there.
fn not_found(what: &str) -> Problem {
    At::Root.field("id").problem(ProblemCode::NotFound, format!("there is no {what} with this id"))
}

/// Fetches any number of keys, a bounded number a statement.
async fn in_chunks<K, V, F>(keys: &[K], fetch: impl Fn(Vec<K>) -> F) -> Result<Vec<V>, Error>
where
    K: Copy + Eq + Hash,
    F: Future<Output = Result<Vec<V>, store::Error>>,
{
    let mut values = Vec::new();
    for chunk in keys.chunks(CHUNK) {
        values.extend(fetch(chunk.to_vec()).await?);
    }
    Ok(values)
}

/// A map of shared values by their ids.
fn by_id<K: Eq + Hash, V>(values: Vec<V>, id: impl Fn(&V) -> K) -> HashMap<K, std::sync::Arc<V>> {
    values.into_iter().map(|value| (id(&value), std::sync::Arc::new(value))).collect()
}
