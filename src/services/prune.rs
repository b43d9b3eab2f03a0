//! Deleting what has been kept long enough, in small steps of one transaction each: others write in between, and
//! whoever dies in the middle leaves what the next one goes on with. Any number of servers and of `sluice prune` may do
//! so at once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep};

use super::{Error, Services, wakeups::Topic};
use crate::{
    domain::{
        event::{Actor, Change, NewEvent, Subject},
        id::{BatchId, TenantId},
        retention::{Cuts, Pruned},
    },
    store::{events, prune, trim},
};

/// The least pause after a step.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest.
const LONG_PAUSE: Duration = Duration::from_secs(1);

impl Services {
    /// Deletes all that is older than these, step by step, and gives how much that was. Calls `tell` after each step
    /// with how much it has been so far.
    pub async fn prune(&self, cuts: &Cuts, mut tell: impl FnMut(Pruned)) -> Result<Pruned, Error> {
        let mut all = Pruned::default();
        loop {
            let began = Instant::now();
            let Some(pruned) = self.prune_step(cuts).await? else { return Ok(all) };
            all = all.and(pruned);
            tell(all);
            // As long as it took: who waits for SQLite's write lock in another process only looks for it now and then.
            sleep(began.elapsed().clamp(PAUSE, LONG_PAUSE)).await;
        }
    }

    /// Deletes a little of what is older than these, and gives how much: nothing where batches were only taken out of
    /// sight. `None`: there is nothing left to do, or others are at it.
    pub async fn prune_step(&self, cuts: &Cuts) -> Result<Option<Pruned>, Error> {
        if let Some(pruned) = self.delete_remains().await? {
            return Ok(Some(pruned));
        }
        if let Some(cut) = cuts.finished
            && self.remove_ended(cut).await? > 0
        {
            return Ok(Some(Pruned::default()));
        }
        match cuts.events {
            Some(cut) => self.trim_history(cut).await,
            None => Ok(None),
        }
    }

    /// How much [`Self::prune`] would delete now.
    pub async fn would_prune(&self, cuts: &Cuts) -> Result<Pruned, Error> {
        let db = self.store.reader();
        let batches = match cuts.finished {
            Some(cut) => prune::count(db, cut).await?,
            None => Pruned::default(),
        };
        let events = match cuts.events {
            Some(cut) => trim::count(db, cut).await?,
            None => 0,
        };
        Ok(Pruned { events, ..batches })
    }

    /// Deletes rows of batches that nobody sees any more; `None` where there are none.
    async fn delete_remains(&self) -> Result<Option<Pruned>, Error> {
        let transaction = self.store.write().await?;
        let Some(remains) = prune::lock_remains(transaction.db()).await? else { return Ok(None) };
        let pruned = prune::delete_remains(transaction.db(), &remains).await?;
        transaction.commit().await?;
        self.metrics.pruned(pruned);
        Ok(Some(pruned))
    }

    /// Takes some batches out of sight that ended before the cut, and says how many.
    async fn remove_ended(&self, cut: DateTime<Utc>) -> Result<usize, Error> {
        let transaction = self.store.write().await?;
        let now = self.now();
        let removed = prune::remove_ended(transaction.db(), cut, now).await?;
        if removed.is_empty() {
            return Ok(0);
        }
        let told = |(batch, tenant_id): (BatchId, TenantId)| NewEvent {
            at: now,
            actor: Actor::Sluice,
            tenant_id,
            subject: Subject::Batch(batch),
            change: Change::BatchDeleted,
        };
        let told: Vec<NewEvent> = removed.into_iter().map(told).collect();
        events::append(transaction.db(), &told).await?;
        transaction.commit().await?;
        self.wakeups.changed(&[Topic::History]);
        Ok(told.len())
    }

    /// Deletes events that happened before the cut; `None` where there are none.
    async fn trim_history(&self, cut: DateTime<Utc>) -> Result<Option<Pruned>, Error> {
        let transaction = self.store.write().await?;
        let events = trim::trim(transaction.db(), cut).await?;
        if events == 0 {
            return Ok(None);
        }
        transaction.commit().await?;
        let pruned = Pruned { events, ..Pruned::default() };
        self.metrics.pruned(pruned);
        Ok(Some(pruned))
    }
}
