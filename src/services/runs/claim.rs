//! One round of claims: for all workers that ask at the moment, in one transaction.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};

use super::{Runs, ledger::Ledger};
use crate::{
    domain::{
        access::Scope,
        attempt::Attempt,
        claim::{Candidate, Claim, hand_out, open_lanes},
        event::{Actor, Change},
        id::{BatchId, JobId},
        job::Job,
        lease::LeaseToken,
    },
    services::{random, wakeups::Topic},
    store::{self, Changes, Db, Transaction, attempts, claims, ready, runs},
};

/// An attempt that has started.
#[derive(Debug, Clone)]
pub struct Started {
    /// The secret of its lease.
    pub lease: LeaseToken,
    /// When the lease ends, unless a heartbeat comes before, UTC.
    pub expires_at: DateTime<Utc>,
    /// The number of the attempt.
    pub attempt: i32,
    /// The job.
    pub job: Arc<Job>,
}

/// What a round has found.
pub struct Claimed {
    /// What each claim has got.
    pub started: Vec<Vec<Started>>,
    /// When the next backoff ends, UTC.
    pub next_backoff_end: Option<DateTime<Utc>>,
}

impl Runs {
    /// Hands out ready jobs to these claims.
    pub async fn claim_round(&self, claims: &[Claim]) -> Result<Claimed, store::Error> {
        let (mut transaction, mut next_backoff_end) = self.take_turn().await?;
        let now = self.clock.now();
        if next_backoff_end.is_some_and(|end| end <= now) {
            ready::end_backoffs(transaction.db(), now).await?;
            // PostgreSQL numbers a transaction when it first writes, and the history goes by that. What starts jobs must
            // have a later number than what made them ready: until they are chosen, it writes nothing.
            transaction.commit().await?;
            (transaction, next_backoff_end) = self.take_turn().await?;
        }
        let db = transaction.db();
        let handed = choose(db, claims).await?;
        let started = self.start(db, claims, &handed).await?;
        transaction.commit().await?;
        self.metrics.started(started.iter().map(Vec::len).sum());
        if let Some(expiry) = started.iter().flatten().map(|started| started.expires_at).min() {
            self.wakeups.expires(expiry);
            self.wakeups.changed(&[Topic::History]);
        }
        Ok(Claimed { started, next_backoff_end })
    }

    /// A transaction in which nobody else claims, and when the next backoff ends.
    async fn take_turn(&self) -> Result<(Transaction, Option<DateTime<Utc>>), store::Error> {
        let transaction = self.store.write().await?;
        claims::lock(transaction.db()).await?;
        let next_backoff_end = claims::next_backoff_end(transaction.db()).await?;
        Ok((transaction, next_backoff_end))
    }

    /// Remembers that these claims were made.
    pub async fn remember(&self, claims: &[&Claim]) -> Result<(), store::Error> {
        let wanted: Vec<_> = claims.iter().map(|claim| claim.wanted.clone()).collect();
        let transaction = self.store.write().await?;
        claims::remember_calls(transaction.db(), &wanted, self.clock.now()).await?;
        transaction.commit().await
    }

    /// Starts what was handed out. What has changed since it was chosen is left out.
    async fn start(
        &self,
        db: &impl Db,
        claims: &[Claim],
        handed: &[Vec<Candidate>],
    ) -> Result<Vec<Vec<Started>>, store::Error> {
        let chosen: Vec<Candidate> = handed.concat();
        let mut started: Vec<Vec<Started>> = claims.iter().map(|_| Vec::new()).collect();
        if chosen.is_empty() {
            return Ok(started);
        }
        let mut batches: Vec<BatchId> = chosen.iter().map(|job| job.batch_id).collect();
        batches.sort_unstable();
        batches.dedup();
        let locked = runs::lock(db, Scope::SLUICE, &batches).await?;
        // Not before: an attempt must not seem to have started before the one that ended meanwhile.
        let now = self.clock.now();
        let mut ledger = Ledger::new(locked, now);
        let ids: Vec<JobId> = chosen.iter().map(|job| job.job_id).collect();
        let jobs = claims::start(db, &ids, now).await?;
        let mut jobs: HashMap<JobId, Job> = jobs.into_iter().map(|job| (job.id, job)).collect();
        let mut new = Vec::with_capacity(jobs.len());
        for ((claim, handed), started) in claims.iter().zip(handed).zip(&mut started) {
            let actor = Actor::Worker(claim.worker.clone());
            for candidate in handed {
                let Some(job) = jobs.remove(&candidate.job_id) else { continue };
                let lease = random::lease()?;
                let attempt = first_of(&job, claim, &lease, now);
                if let Some(change) = ledger.batch_mut(job.batch_id).and_then(|batch| batch.start(now)) {
                    ledger.record(job.batch_id, None, &actor, change);
                }
                let number = attempt.number;
                ledger.record(job.batch_id, Some(job.id), &actor, Change::JobStarted { attempt: number });
                let expires_at = attempt.expires_at;
                new.push((attempt, job.connection_id));
                started.push(Started { lease, expires_at, attempt: number, job: Arc::new(job) });
            }
        }
        let mut changes = Changes::default();
        attempts::insert(&mut changes, &new);
        // Those that were not to be claimed any more do not belong there either.
        ready::remove(&mut changes, &ids);
        ledger.write(db, changes).await?;
        Ok(started)
    }
}

/// What the claims get, as far as it is known before anything is written.
async fn choose(db: &impl Db, claims: &[Claim]) -> Result<Vec<Vec<Candidate>>, store::Error> {
    let lanes = claims::lanes(db).await?;
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    let running = claims::running(db, None).await?;
    let open = open_lanes(lanes, &running, claims);
    let filled = claims::fill(db, open).await?;
    Ok(hand_out(&filled, running, claims))
}

/// The attempt that a claim starts.
fn first_of(job: &Job, claim: &Claim, lease: &LeaseToken, now: DateTime<Utc>) -> Attempt {
    Attempt {
        job_id: job.id,
        batch_id: job.batch_id,
        number: job.last_attempt,
        lease_hash: lease.hash(),
        lease_duration: claim.lease,
        worker: claim.worker.clone(),
        started_at: now,
        expires_at: now + claim.lease.delta(),
        end: None,
        progress: None,
    }
}
