//! What can be done with Sluice, one transaction each. Both interfaces stand on these, so that no
//! rule is written twice.

mod admission;
mod backfills;
mod batches;
mod blocked;
mod connections;
mod credentials;
mod gather;
mod graph_cache;
mod graphs;
mod history;
mod jobs;
mod prune;
mod random;
mod runs;
mod schedules;
mod tenants;
mod tokens;
pub mod wakeups;

use std::{collections::HashMap, hash::Hash, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

pub use backfills::BackfillPlan;
pub use batches::{Expected, Replacement};
pub use credentials::WrongKeys;
pub use graphs::{BatchGraph, ConnectionMap, Parts, WantedConnections};
pub use history::BatchChanges;
pub use runs::{Answer, Beat, Heard, Reaped, Started};
pub use schedules::{Ahead, NextDue};

use admission::Admission;
use gather::Gather;
use graph_cache::GraphCache;
use history::Follower;
use runs::{ClaimQueue, Reporting, Runs};
use wakeups::Wakeups;

use crate::{
    clock::Clock,
    domain::{
        access::{Forbidden, Openness},
        draft::BatchLimits,
        keyring::Keyring,
        problem::{At, Problem, ProblemCode},
    },
    issuer::Issuer,
    store::{self, CHUNK, Store},
    telemetry::Metrics,
};

/// The use cases, and what they need.
#[derive(Debug)]
pub struct Services {
    store: Store,
    clock: Clock,
    limits: BatchLimits,
    wakeups: Arc<Wakeups>,
    reports: Gather<Vec<Reporting>, Vec<Answer>>,
    claims: ClaimQueue,
    graphs: GraphCache,
    history: Follower,
    admission: Admission,
    keyring: Option<Keyring>,
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
}

/// What the use cases go by.
#[derive(Debug)]
pub struct Settings {
    /// How large a batch may be.
    pub limits: BatchLimits,
    /// To whom the server is open without a token.
    pub openness: Openness,
    /// Whose JSON Web Tokens are trusted.
    pub issuer: Option<Issuer>,
    /// The keys that seal credentials; `None`: there are none, and no credentials are taken.
    pub keyring: Option<Keyring>,
    /// About how much memory may be taken by batches that were read, in bytes; 0: none is.
    pub graph_cache: usize,
    /// Where it is counted what they do.
    pub metrics: Arc<Metrics>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked for something that can't be; nothing was changed.
    #[error("rejected: {0:?}")]
    Rejected(Vec<Problem>),
    /// The caller may not do this, whatever there is; nothing was changed.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It is our fault or the database's.
    #[error(transparent)]
    Failed(Arc<store::Error>),
}

impl Error {
    /// The same for another one who waits for it.
    pub fn share(&self) -> Self {
        match self {
            Self::Rejected(problems) => Self::Rejected(problems.clone()),
            Self::Forbidden(forbidden) => Self::Forbidden(*forbidden),
            Self::Failed(error) => Self::Failed(error.clone()),
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Failed(Arc::new(error))
    }
}

/// What callers are told where the database is at fault: the code and the message.
pub const UNAVAILABLE: (&str, &str) =
    ("UNAVAILABLE", "the database can't be reached at the moment; try again");
/// What they are told where we are.
pub const INTERNAL: (&str, &str) =
    ("INTERNAL", "this failed, and the fault is Sluice's; the server's log says more");

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
    /// The use cases on this store. Must be called on a Tokio runtime: claims and reports gather in
    /// tasks of their own.
    pub fn new(store: Store, clock: Clock, settings: Settings) -> Self {
        let Settings { limits, openness, issuer, keyring, graph_cache, metrics } = settings;
        let wakeups = Arc::new(Wakeups::default());
        let runs = Runs {
            store: store.clone(),
            clock: clock.clone(),
            wakeups: wakeups.clone(),
            metrics: metrics.clone(),
        };
        let (stop, stopped) = watch::channel(false);
        let reports = runs::reports(&runs);
        let claims = ClaimQueue::start(runs, stopped);
        let graphs = GraphCache::new(graph_cache, metrics.clone());
        let history = history::follower(&store, &clock, &wakeups);
        let admission = Admission::new(openness, issuer, &wakeups);
        Self {
            store,
            clock,
            limits,
            wakeups,
            reports,
            claims,
            graphs,
            history,
            admission,
            keyring,
            metrics,
            stop,
        }
    }

    /// The wake-ups of this server.
    pub fn wakeups(&self) -> &Arc<Wakeups> {
        &self.wakeups
    }

    /// Where it is counted what happens.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The time of day.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The server stops: nobody waits for work any longer.
    pub fn stop(&self) {
        self.stop.send_replace(true);
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
