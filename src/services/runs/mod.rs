//! Running batches: claims, reports, heartbeats, expiry, cancel and retry.

mod claim;
mod control;
mod heartbeat;
mod ledger;
mod queue;
mod settle;
mod watermarks;

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::Value;

pub use claim::Started;
pub use control::Reran;
pub use heartbeat::{Beat, Heard};
pub use ledger::Ledger;
pub use queue::ClaimQueue;
pub use settle::{Answer, Reporting};

use super::{Error, Services, gather::Gather, in_chunks, wakeups::Wakeups};
use crate::{
    clock::Clock,
    domain::{
        access::{Caller, Scope},
        attempt::Attempt,
        claim::{Claim, ClaimDraft},
        id::JobId,
        lease::LeaseToken,
        settle::{Refused, Report},
    },
    store::{self, Store, attempts},
    telemetry::Metrics,
};

/// The most reports that one transaction takes, unless a single request has more.
const REPORTS_AT_ONCE: usize = 1024;
/// The most leases that are ended at once.
const EXPIRED_AT_ONCE: u64 = 256;

/// What the rounds of claims and reports need. They run in tasks of their own.
#[derive(Debug, Clone)]
pub struct Runs {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) wakeups: Arc<Wakeups>,
    pub(super) metrics: Arc<Metrics>,
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
    pub async fn claim_jobs(&self, caller: &Caller, draft: ClaimDraft) -> Result<Vec<Started>, Error> {
        let scope = caller.may_work()?;
        self.claims.ask(Claim::parse(draft, scope)?).await
    }

    /// Makes a report about the attempt that has this lease true, and gives the job as it is then.
    pub async fn report(&self, caller: &Caller, lease: &LeaseToken, report: Report) -> Result<Answer, Error> {
        let scope = caller.may_work()?;
        let reporting = Reporting { scope, lease: lease.hash(), report };
        let answer = self.reports.ask(vec![reporting]).await?.pop();
        Ok(answer.unwrap_or(Err(Refused::LeaseLost)))
    }

    /// Makes several reports true in one transaction, and answers each on its own.
    pub async fn report_all(
        &self,
        caller: &Caller,
        reports: Vec<(LeaseToken, Report)>,
    ) -> Result<Vec<Answer>, Error> {
        let scope = caller.may_work()?;
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let reporting = |(lease, report): (LeaseToken, _)| Reporting { scope, lease: lease.hash(), report };
        self.reports.ask(reports.into_iter().map(reporting).collect()).await
    }

    /// Ends the leases that have expired. Any number of servers may do so at once.
    pub async fn end_expired_leases(&self) -> Result<Reaped, Error> {
        let db = self.store.reader();
        let leases = attempts::expired(db, self.now(), EXPIRED_AT_ONCE).await?;
        let expired = |lease| Reporting { scope: Scope::SLUICE, lease, report: Report::Expired };
        let reports: Vec<Reporting> = leases.into_iter().map(expired).collect();
        let answers = if reports.is_empty() { Vec::new() } else { self.reports.ask(reports).await? };
        let leases = answers.iter().filter(|answer| answer.is_ok()).count();
        Ok(Reaped { leases, next: attempts::next_expiry(db).await? })
    }

    /// What these jobs have put out, those that have.
    pub async fn outputs(&self, scope: Scope, jobs: &[JobId]) -> Result<HashMap<JobId, Arc<Value>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(jobs, async |ids| attempts::outputs(db, scope, &ids).await).await?;
        Ok(found.into_iter().map(|(id, output)| (id, Arc::new(output))).collect())
    }

    /// The attempts at these jobs, oldest first.
    pub async fn attempts(
        &self,
        scope: Scope,
        jobs: &[JobId],
    ) -> Result<HashMap<JobId, Vec<Arc<Attempt>>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(jobs, async |ids| attempts::of_jobs(db, scope, &ids).await).await?;
        let mut attempts: HashMap<_, Vec<_>> = HashMap::new();
        for attempt in found {
            attempts.entry(attempt.job_id).or_default().push(Arc::new(attempt));
        }
        Ok(attempts)
    }
}

/// Starts the queue in which reports gather. Those of one request are made true in one transaction, with
/// others that come at the same time.
pub fn reports(runs: &Runs) -> Gather<Vec<Reporting>, Vec<Answer>> {
    let runs = runs.clone();
    Gather::start(REPORTS_AT_ONCE, move |requests| {
        let runs = runs.clone();
        async move { runs.settle_requests(requests).await }
    })
}

impl Runs {
    /// Answers each request, as many in one transaction as it can take.
    async fn settle_requests(&self, requests: Vec<Vec<Reporting>>) -> Result<Vec<Vec<Answer>>, store::Error> {
        let mut answered = Vec::with_capacity(requests.len());
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let (mut lengths, mut reports) = (Vec::new(), Vec::new());
            while let Some(request) =
                requests.next_if(|next| reports.is_empty() || reports.len() + next.len() <= REPORTS_AT_ONCE)
            {
                lengths.push(request.len());
                reports.extend(request);
            }
            let mut answers = self.settle_round(reports).await?.into_iter();
            answered.extend(lengths.into_iter().map(|length| answers.by_ref().take(length).collect()));
        }
        Ok(answered)
    }
}
