//! Cancel and retry.

use std::sync::Arc;

use super::ledger::Ledger;
use crate::{
    domain::{
        access::{Caller, Scope},
        batch::{Batch, BatchState},
        event::{Actor, Change},
        graph::JobGraph,
        id::{BatchId, JobId},
        job::Job,
        problem::{At, Problem, ProblemCode},
        rerun::{Rerun, rerun},
    },
    services::{BatchGraph, Error, Parts, Services, not_found, wakeups::Topic},
    store::{
        self, Changes, Db, attempts, batches,
        jobs::{self, JobParts},
        runs,
    },
};

/// Whether jobs of a batch run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reran {
    /// Some do; these are to be woken.
    Some(&'static [Topic]),
    /// None do: there is none that has ended without success.
    Nothing,
}

impl Services {
    /// Cancels a batch: nothing new starts, and it ends when the last running job has stopped. One that
    /// was canceled already stays as it is.
    pub async fn cancel_batch(&self, caller: &Caller, id: BatchId) -> Result<Arc<BatchGraph>, Error> {
        let scope = caller.may_operate()?;
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let batch = lock(db, scope, id).await?;
        match batch.state {
            BatchState::Canceling { .. } | BatchState::Canceled { .. } => {}
            BatchState::Succeeded { .. } | BatchState::Failed { .. } => {
                let message = format!("this batch has {} already", batch.state.status().name());
                return Err(At::Root.field("id").problem(ProblemCode::WrongState, message).into());
            }
            BatchState::Pending | BatchState::Running { .. } => {
                let mut ledger = Ledger::new(vec![batch], self.now());
                ledger.cancel(db, id, &caller.actor()).await?;
                let topics = ledger.write(db, Changes::default()).await?;
                transaction.commit().await?;
                self.wakeups.changed(topics);
            }
        }
        self.changed_batch(scope, id).await
    }

    /// Lets jobs of a batch that failed, were skipped or canceled run again: all of them, or the named
    /// ones and what must run with them. Where there are none, the batch stays as it is.
    pub async fn retry_batch(
        &self,
        caller: &Caller,
        id: BatchId,
        named: Option<Vec<JobId>>,
    ) -> Result<Arc<BatchGraph>, Error> {
        let scope = caller.may_operate()?;
        // Where a batch comes from never changes.
        let seen = batches::by_ids(self.store.reader(), scope, &[id]).await?.pop();
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let actor = caller.actor();
        if let Some(backfill) = seen.and_then(|batch| batch.origin.backfill()) {
            self.reopen_backfill(db, backfill, &actor).await?;
        }
        let batch = lock(db, scope, id).await?;
        check_retry(&batch)?;
        match self.start_over(db, batch, named.as_deref(), &actor).await? {
            Reran::Some(topics) => {
                transaction.commit().await?;
                self.wakeups.changed(topics);
            }
            Reran::Nothing => {}
        }
        self.changed_batch(scope, id).await
    }

    /// Lets jobs of a locked batch that failed, were skipped or canceled run again: all of them, or the named ones
    /// and what must run with them.
    pub async fn start_over(
        &self,
        db: &impl Db,
        mut batch: Batch,
        named: Option<&[JobId]>,
        actor: &Actor,
    ) -> Result<Reran, Error> {
        let id = batch.id;
        let (jobs, graph) = definition(db, Scope::SLUICE, id).await?;
        let rerun = rerun(&jobs, &graph, named)?;
        if rerun.jobs.is_empty() || batch.retry(rerun.jobs.len() as u32).is_err() {
            return Ok(Reran::Nothing);
        }
        let again: Vec<(&Job, usize)> = rerun.of(&jobs).collect();
        // What a load has published stands, as it does.
        let unpublished = again.iter().filter(|(job, _)| job.published_at.is_none());
        let forgotten: Vec<JobId> = unpublished.map(|(job, _)| job.id).collect();
        let now = self.now();
        runs::start_over(db, &again, now).await?;
        attempts::forget_outputs(db, &forgotten).await?;
        let mut ledger = Ledger::new(vec![batch], now);
        ledger.record(id, None, actor, Change::BatchRetried);
        for (job, unsatisfied) in again {
            let change = if unsatisfied == 0 { Change::JobReady } else { Change::JobBlocked };
            ledger.record(id, Some(job.id), actor, change);
        }
        Ok(Reran::Some(ledger.write(db, Changes::default()).await?))
    }

    /// What [`Self::retry_batch`] would run again, and what it would use again.
    pub async fn plan_retry(
        &self,
        caller: &Caller,
        id: BatchId,
        named: Option<Vec<JobId>>,
    ) -> Result<(Arc<BatchGraph>, Rerun), Error> {
        let scope = caller.may_read()?;
        let graph = self
            .batches_by_id(scope, &[id], Parts::JOB_GRAPH)
            .await?
            .remove(&id)
            .ok_or_else(|| not_found("batch"))?;
        check_retry(&graph.batch)?;
        let rerun = match (&graph.jobs, &graph.edges) {
            (Some(jobs), Some(edges)) => rerun(jobs, edges, named.as_deref())?,
            (Some(_), None) | (None, Some(_)) | (None, None) => Rerun::default(),
        };
        Ok((graph, rerun))
    }

    /// A batch that was changed a moment ago, as its writer sees it.
    async fn changed_batch(&self, scope: Scope, id: BatchId) -> Result<Arc<BatchGraph>, Error> {
        let found = self.batches_by_id(scope, &[id], Parts::default()).await?.remove(&id);
        Ok(found.ok_or_else(|| not_found("batch"))?)
    }
}

async fn lock(db: &impl Db, scope: Scope, id: BatchId) -> Result<Batch, Error> {
    Ok(runs::lock(db, scope, &[id]).await?.pop().ok_or_else(|| not_found("batch"))?)
}

fn check_retry(batch: &Batch) -> Result<(), Problem> {
    if batch.is_canceling() {
        let message = "this batch is being canceled; retry it when its last job has stopped";
        return Err(At::Root.field("id").problem(ProblemCode::WrongState, message));
    }
    Ok(())
}

/// The jobs of a batch and which waits for which.
async fn definition(
    db: &impl Db,
    scope: Scope,
    id: BatchId,
) -> Result<(Vec<Arc<Job>>, JobGraph), store::Error> {
    let parts = JobParts { edges: true, ..JobParts::default() };
    let stored = jobs::of_batches(db, scope, &[id], parts).await?.remove(&id).unwrap_or_default();
    let graph = stored.graph(id)?;
    Ok((stored.jobs, graph))
}
