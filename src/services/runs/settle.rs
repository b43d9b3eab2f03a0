//! Reports about running attempts, all that have gathered in one transaction: what they make of the
//! jobs, of those that wait for them, and of the batches.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Runs, ledger::Ledger};
use crate::{
    clock::Clock,
    domain::{
        access::Scope,
        attempt::Attempt,
        event::{Actor, Change},
        id::{BatchId, JobId},
        job::Job,
        lease::LeaseHash,
        settle::{Effects, Refused, Report, Reported, Rest, Settled, settle},
        transition::Ended,
    },
    services::{random, wakeups::Topic},
    store::{
        self, Changes, Db, attempts,
        runs::{self, Required},
    },
    telemetry::ReportOutcome,
};

/// A report.
#[derive(Debug)]
pub struct Reporting {
    /// What whoever makes it sees: a lease of another tenant is none.
    pub scope: Scope,
    /// The lease under which it is made.
    pub lease: LeaseHash,
    /// What it says.
    pub report: Report,
}

/// The job as it is after the report, or why the report changes nothing.
pub type Answer = Result<Arc<Job>, Refused>;

/// What a round of reports has changed so far.
struct Round {
    now: DateTime<Utc>,
    attempts: HashMap<LeaseHash, Attempt>,
    jobs: HashMap<JobId, Job>,
    ledger: Ledger,
    ended: HashSet<LeaseHash>,
    changed: HashSet<JobId>,
    outputs: HashMap<JobId, Value>,
    satisfied: Vec<Required>,
    doomed: Vec<Required>,
    canceled: Vec<BatchId>,
}

impl Runs {
    /// Makes all these reports true, in their order.
    pub async fn settle_round(&self, reports: Vec<Reporting>) -> Result<Vec<Answer>, store::Error> {
        let mut leases: Vec<LeaseHash> = reports.iter().map(|reporting| reporting.lease.clone()).collect();
        leases.sort_unstable();
        leases.dedup();
        let transaction = self.store.write().await?;
        let mut round = Round::open(transaction.db(), &leases, &self.clock).await?;
        let outcomes: Vec<_> = reports.iter().map(|made| ReportOutcome::of(&made.report)).collect();
        let mut answers = Vec::with_capacity(reports.len());
        for reporting in reports {
            answers.push(round.report(reporting)?);
        }
        let topics = round.write(transaction.db()).await?;
        transaction.commit().await?;
        for (outcome, answer) in outcomes.into_iter().zip(&answers) {
            self.metrics.reported(if answer.is_ok() { outcome } else { ReportOutcome::Refused });
        }
        self.wakeups.changed(topics);
        let job = |id: JobId| round.jobs.get(&id).cloned().map(Arc::new).ok_or(Refused::LeaseLost);
        Ok(answers.into_iter().map(|answer| answer.and_then(job)).collect())
    }
}

impl Round {
    /// Locks the batches, and reads what the leases stand for.
    async fn open(db: &impl Db, leases: &[LeaseHash], clock: &Clock) -> Result<Self, store::Error> {
        let batches = runs::lock_by_leases(db, leases).await?;
        // Not before: a lease may have expired while this waited for the batches.
        let now = clock.now();
        let (mut attempts, mut jobs) = (HashMap::new(), HashMap::new());
        for (attempt, job) in attempts::with_jobs(db, leases).await? {
            attempts.insert(attempt.lease_hash.clone(), attempt);
            jobs.insert(job.id, job);
        }
        Ok(Self {
            now,
            attempts,
            jobs,
            ledger: Ledger::new(batches, now),
            ended: HashSet::new(),
            changed: HashSet::new(),
            outputs: HashMap::new(),
            satisfied: Vec::new(),
            doomed: Vec::new(),
            canceled: Vec::new(),
        })
    }

    fn report(&mut self, reporting: Reporting) -> Result<Result<JobId, Refused>, store::Error> {
        let Reporting { scope, lease, report } = reporting;
        let Some(attempt) = self.attempts.get_mut(&lease) else { return Ok(Err(Refused::LeaseLost)) };
        let job_id = attempt.job_id;
        let batch = self.ledger.batch(attempt.batch_id).filter(|batch| scope.contains(batch.tenant_id));
        let (Some(job), Some(batch)) = (self.jobs.get_mut(&job_id), batch) else {
            return Ok(Err(Refused::LeaseLost));
        };
        let actor = match report {
            Report::Expired => Actor::Sluice,
            Report::Published { .. }
            | Report::Completed { .. }
            | Report::Failed { .. }
            | Report::Released => Actor::Worker(attempt.worker.clone()),
        };
        let reported = Reported { attempt: &mut *attempt, job: &mut *job, batch };
        let effects = match settle(reported, report, self.now, random::jitter()?) {
            Ok(Settled::Repeated) => return Ok(Ok(job_id)),
            Ok(Settled::Changed(effects)) => effects,
            Err(refused) => return Ok(Err(refused)),
        };
        if attempt.end.is_some() {
            self.ended.insert(lease);
        }
        self.changed.insert(job_id);
        let (batch_id, position, ended) = (job.batch_id, job.position, Ended::of(&job.state));
        self.ledger.end_jobs(batch_id, ended);
        let Effects { change, output, satisfies, dooms, rest } = effects;
        self.ledger.record(batch_id, Some(job_id), &actor, change);
        self.outputs.extend(output.map(|output| (job_id, output)));
        let required = |kind| Required { batch_id, position, kind };
        self.satisfied.extend(satisfies.into_iter().map(required));
        self.doomed.extend(dooms.into_iter().map(required));
        match rest {
            Rest::GoesOn => {}
            Rest::IsCanceled => self.canceled.push(batch_id),
        }
        Ok(Ok(job_id))
    }

    /// Writes it all, and says who is to be woken.
    async fn write(&mut self, db: &impl Db) -> Result<&'static [Topic], store::Error> {
        if self.changed.is_empty() {
            return Ok(&[]);
        }
        let ended: Vec<&Attempt> = self.ended.iter().filter_map(|lease| self.attempts.get(lease)).collect();
        let mut changes = Changes::default();
        attempts::update(&mut changes, &ended);
        let changed: Vec<&Job> = self.changed.iter().filter_map(|id| self.jobs.get(id)).collect();
        runs::write_jobs(&mut changes, &changed);
        attempts::put_out(db, self.outputs.drain().collect()).await?;
        self.promote(db, &mut changes).await?;
        if !self.doomed.is_empty() || !self.canceled.is_empty() {
            // What is left of the batches is looked at now.
            std::mem::take(&mut changes).write(db).await?;
        }
        self.skip(db).await?;
        self.ledger.settle();
        self.cancel_rest(db).await?;
        let nothing = Ledger::new(Vec::new(), self.now);
        // A slot is free now, and jobs may be ready.
        std::mem::replace(&mut self.ledger, nothing).write(db, changes).await
    }

    async fn promote(&mut self, db: &impl Db, changes: &mut Changes) -> Result<(), store::Error> {
        if self.satisfied.is_empty() {
            return Ok(());
        }
        let waiting = runs::waiting_for(db, &self.satisfied).await?;
        runs::satisfy(changes, &waiting, self.now);
        for job in waiting.iter().filter(|job| job.unsatisfied <= job.satisfied) {
            self.ledger.record(job.batch_id, Some(job.job_id), &Actor::Sluice, Change::JobReady);
        }
        Ok(())
    }

    async fn skip(&mut self, db: &impl Db) -> Result<(), store::Error> {
        if self.doomed.is_empty() {
            return Ok(());
        }
        let doomed = runs::doomed_by(db, &self.doomed).await?;
        let ids: Vec<JobId> = doomed.iter().map(|(_, job)| *job).collect();
        runs::skip(db, &ids, self.now).await?;
        for (batch, job) in doomed {
            self.ledger.record(batch, Some(job), &Actor::Sluice, Change::JobSkipped);
            self.ledger.end_jobs(batch, Ended { succeeded: 0, otherwise: 1 });
        }
        Ok(())
    }

    /// Cancels the batches that don't go on after a failure, unless they have ended with it.
    async fn cancel_rest(&mut self, db: &impl Db) -> Result<(), store::Error> {
        for id in std::mem::take(&mut self.canceled) {
            if self.ledger.batch(id).is_some_and(|batch| batch.unfinished > 0 && !batch.is_canceling()) {
                self.ledger.cancel(db, id, &Actor::Sluice).await?;
            }
        }
        Ok(())
    }
}
