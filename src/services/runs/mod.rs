//! Running batches: claims, reports, heartbeats, expiry, cancel and retry.

mod claim;
mod control;
mod heartbeat;
mod ledger;
mod queue;
mod settle;

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::Value;

pub use claim::Started;
pub use heartbeat::{Beat, Heard};
pub use queue::ClaimQueue;
pub use settle::{Answer, Reporting};

use super::{Error, Services, gather::Gather, in_chunks, wakeups::Wakeups};
use crate::{
    clock::Clock,
    domain::{
        attempt::Attempt,
        claim::{Claim, ClaimDraft},
        id::JobId,
        lease::LeaseToken,
        settle::Report,
    },
    store::{Store, attempts},
};

/// The most reports that one transaction takes.
pub const REPORTS_AT_ONCE: usize = 512;
/// The most leases that are ended at once.
const EXPIRED_AT_ONCE: u64 = 256;

/// What the rounds of claims and reports need. They run in tasks of their own.
#[derive(Debug, Clone)]
pub struct Runs {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) wakeups: Arc<Wakeups>,
}

/// What came of ending expired leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// How many have been ended.
    pub leases: usize,
    /// When the next one expires, UTC.
    pub next: Option<DateTime<Utc>>,
}

impl Services {
    /// Starts attempts at ready jobs, and gives their leases. Waits for work, if the claim says so.
    pub async fn claim_jobs(&self, draft: ClaimDraft) -> Result<Vec<Started>, Error> {
        self.claims.ask(Claim::parse(draft)?).await
    }

    /// Makes a report about the attempt that has this lease true, and gives the job as it is then.
    pub async fn report(&self, lease: &LeaseToken, report: Report) -> Result<Answer, Error> {
        self.reports.ask((lease.hash(), report)).await
    }

    /// Makes several reports true, each on its own.
    pub async fn report_all(&self, reports: Vec<(LeaseToken, Report)>) -> Result<Vec<Answer>, Error> {
        let reports = reports.iter().map(|(lease, report)| self.report(lease, report.clone()));
        futures_util::future::try_join_all(reports).await
    }

    /// Ends the leases that have expired. Any number of servers may do so at once.
    pub async fn end_expired_leases(&self) -> Result<Reaped, Error> {
        let db = self.store.reader();
        let expired = attempts::expired(db, self.now(), EXPIRED_AT_ONCE).await?;
        let reports = expired.into_iter().map(|lease| self.reports.ask((lease, Report::Expired)));
        let answers: Vec<Answer> = futures_util::future::try_join_all(reports).await?;
        let leases = answers.iter().filter(|answer| answer.is_ok()).count();
        Ok(Reaped { leases, next: attempts::next_expiry(db).await? })
    }

    /// What these jobs have put out, those that have.
    pub async fn outputs(&self, jobs: &[JobId]) -> Result<HashMap<JobId, Arc<Value>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(jobs, async |ids| attempts::outputs(db, &ids).await).await?;
        Ok(found.into_iter().map(|(id, output)| (id, Arc::new(output))).collect())
    }

    /// The attempts at these jobs, oldest first.
    pub async fn attempts(&self, jobs: &[JobId]) -> Result<HashMap<JobId, Vec<Arc<Attempt>>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(jobs, async |ids| attempts::of_jobs(db, &ids).await).await?;
        let mut attempts: HashMap<_, Vec<_>> = HashMap::new();
        for attempt in found {
            attempts.entry(attempt.job_id).or_default().push(Arc::new(attempt));
        }
        Ok(attempts)
    }
}

/// Starts the queue in which reports gather.
pub fn reports(runs: &Runs) -> Gather<Reporting, Answer> {
    let runs = runs.clone();
    Gather::start(REPORTS_AT_ONCE, move |reports| {
        let runs = runs.clone();
        async move { runs.settle_round(reports).await }
    })
}
