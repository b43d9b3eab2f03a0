//! What one transaction changes in the batches that it has locked, and what it tells of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::watermarks;
use crate::{
    domain::{
        backfill::WindowStatus,
        batch::Batch,
        event::{Actor, Change, NewEvent, Subject},
        id::{BatchId, JobId},
        transition::Ended,
    },
    services::wakeups::Topic,
    store::{self, Changes, Db, backfill_windows, events, runs},
};

/// The locked batches, how many of their jobs have ended, and the events to be appended.
pub struct Ledger {
    now: DateTime<Utc>,
    batches: BTreeMap<BatchId, (Batch, Ended)>,
    events: Vec<NewEvent>,
}

impl Ledger {
    /// Nothing has changed yet.
    pub fn new(batches: Vec<Batch>, now: DateTime<Utc>) -> Self {
        let batches = batches.into_iter().map(|batch| (batch.id, (batch, Ended::default()))).collect();
        Self { now, batches, events: Vec::new() }
    }

    /// A locked batch.
    pub fn batch(&self, id: BatchId) -> Option<&Batch> {
        self.batches.get(&id).map(|(batch, _)| batch)
    }

    /// A locked batch, to be changed.
    pub fn batch_mut(&mut self, id: BatchId) -> Option<&mut Batch> {
        self.batches.get_mut(&id).map(|(batch, _)| batch)
    }

    /// Something has happened to a batch, or to a job of it.
    pub fn record(&mut self, batch_id: BatchId, job_id: Option<JobId>, actor: &Actor, change: Change) {
        if let Some((batch, _)) = self.batches.get(&batch_id) {
            let (at, tenant_id, actor) = (self.now, batch.tenant_id, actor.clone());
            let subject = job_id.map_or(Subject::Batch(batch_id), |job| Subject::Job(batch_id, job));
            self.events.push(NewEvent { at, actor, tenant_id, subject, change });
        }
    }

    /// Jobs of a batch have ended.
    pub fn end_jobs(&mut self, batch_id: BatchId, ended: Ended) {
        if let Some((_, so_far)) = self.batches.get_mut(&batch_id) {
            *so_far += ended;
        }
    }

    /// Counts what has ended so far, so that a batch has ended if it has. Says which have.
    pub fn settle(&mut self) {
        let mut ended_batches = Vec::new();
        for (id, (batch, ended)) in &mut self.batches {
            if let Some(change) = batch.end_jobs(std::mem::take(ended), self.now) {
                ended_batches.push((*id, change));
            }
        }
        for (id, change) in ended_batches {
            self.record(id, None, &Actor::Sluice, change);
        }
    }

    /// Cancels a batch: its jobs that do not run at once, and itself when the last that runs has stopped.
    /// A batch that has ended, or is being canceled, stays as it is.
    pub async fn cancel(&mut self, db: &impl Db, id: BatchId, actor: &Actor) -> Result<(), store::Error> {
        let waiting = runs::cancel_waiting(db, id, self.now).await?;
        let ended = Ended { succeeded: 0, otherwise: waiting.len() as u32 };
        let now = self.now;
        let Some(Ok(change)) = self.batch_mut(id).map(|batch| batch.cancel(ended, now)) else {
            return Err(store::Error::Raced { table: "batches" });
        };
        for job in waiting {
            self.record(id, Some(job), actor, Change::JobCanceled);
        }
        self.record(id, None, actor, change);
        Ok(())
    }

    /// Writes these changes, which are what has become of jobs, the batches that something has happened to, and the
    /// events; then the watermarks that those batches move that have ended. Says who is to be woken.
    pub async fn write(
        mut self,
        db: &impl Db,
        mut changes: Changes,
    ) -> Result<&'static [Topic], store::Error> {
        if self.events.is_empty() {
            changes.write(db).await?;
            return Ok(&[]);
        }
        let mut changed: Vec<BatchId> =
            self.events.iter().filter_map(|event| event.subject.batch()).collect();
        changed.sort_unstable();
        changed.dedup();
        let of_batches = self.events.iter().filter(|event| event.subject.job().is_none());
        let themselves: HashSet<BatchId> = of_batches.filter_map(|event| event.subject.batch()).collect();
        let mut batches = Vec::with_capacity(changed.len());
        for id in changed {
            if let Some((mut batch, _)) = self.batches.remove(&id) {
                if themselves.contains(&id) {
                    batch.touch(self.now);
                } else {
                    batch.touch_by_job(self.now);
                }
                batches.push(batch);
            }
        }
        runs::write_batches(&mut changes, &batches);
        events::append_with(&mut changes, &self.events);
        changes.write(db).await?;
        watermarks::advance(db, &batches, self.now).await?;
        self.follow_windows(db, &batches).await
    }

    /// Has the windows of backfills stand where their batches do, as far as these have ended or begun again. Says who
    /// is to be woken.
    async fn follow_windows(
        &self,
        db: &impl Db,
        batches: &[Batch],
    ) -> Result<&'static [Topic], store::Error> {
        let turned = self.events.iter().filter(|event| turns_a_window(&event.change));
        let turned: HashSet<BatchId> = turned.filter_map(|event| event.subject.batch()).collect();
        let turned = || batches.iter().filter(|batch| turned.contains(&batch.id));
        let mut windows: HashMap<WindowStatus, Vec<BatchId>> = HashMap::new();
        for batch in turned().filter(|batch| batch.origin.backfill().is_some()) {
            windows.entry(WindowStatus::of(&batch.state)).or_default().push(batch.id);
        }
        for (status, ids) in &windows {
            backfill_windows::follow(db, ids, *status).await?;
        }
        let of_schedules = turned().any(|batch| batch.origin.schedule().is_some());
        Ok(if of_schedules { &Topic::OF_SCHEDULED } else { &Topic::OF_BATCHES })
    }
}

/// Whether a window stands elsewhere once this has happened to its batch.
fn turns_a_window(change: &Change) -> bool {
    matches!(
        change,
        Change::BatchRetried | Change::BatchSucceeded | Change::BatchFailed | Change::BatchCanceled
    )
}
