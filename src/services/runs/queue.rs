//! Workers that ask for jobs. Those that come at the same time are served in one round; those that wait
//! for work wait here, all together, and cost nothing until there is some.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Runs,
    claim::{Claimed, Started},
    settle::Reporting,
};
use crate::{
    domain::{
        access::Scope,
        claim::{Claim, Wanted},
        settle::Report,
    },
    services::{Error, wakeups::Topic},
    store,
};

/// The most jobs that one round hands out.
const JOBS_AT_ONCE: usize = 1024;
/// The most workers that one round serves.
const CLAIMS_AT_ONCE: usize = 256;
/// How long who waits for work goes without a look at the table, should a wake-up get lost.
const POLL: TimeDelta = TimeDelta::seconds(10);
/// How often it is written down that the same jobs were asked for.
const REMEMBER: TimeDelta = TimeDelta::seconds(20);
/// How many kinds of claims are known to be written down.
const REMEMBERED: usize = 1024;

type Reply = oneshot::Sender<Result<Vec<Started>, Arc<store::Error>>>;

/// The queue of one server.
#[derive(Debug)]
pub struct ClaimQueue {
    sender: mpsc::Sender<(Claim, Reply)>,
}

impl ClaimQueue {
    /// Starts to serve claims. Ends when this is dropped, or when the server stops.
    pub fn start(runs: Runs, stop: watch::Receiver<bool>) -> Self {
        let (sender, receiver) = mpsc::channel(CLAIMS_AT_ONCE);
        tokio::spawn(async move {
            let waiting = Waiting {
                work: runs.wakeups.subscribe(Topic::Work),
                look_again: runs.clock.now(),
                runs,
                workers: Vec::new(),
                remembered: HashMap::new(),
            };
            waiting.serve(receiver, stop).await;
        });
        Self { sender }
    }

    /// Gives jobs as soon as there are some; none when the claim's wait is over.
    pub async fn ask(&self, claim: Claim) -> Result<Vec<Started>, Error> {
        let (reply, answer) = oneshot::channel();
        let interrupted = || Error::Failed(Arc::new(store::Error::Interrupted));
        self.sender.send((claim, reply)).await.map_err(|_| interrupted())?;
        answer.await.map_err(|_| interrupted())?.map_err(Error::Failed)
    }
}

/// A worker that waits for its answer.
struct Worker {
    claim: Claim,
    until: DateTime<Utc>,
    reply: Reply,
}

struct Waiting {
    runs: Runs,
    work: watch::Receiver<()>,
    workers: Vec<Worker>,
    look_again: DateTime<Utc>,
    remembered: HashMap<Wanted, DateTime<Utc>>,
}

/// Why the table is looked at.
enum Woken {
    ByWork,
    ByWorker,
    ByTime,
    ToStop,
}

impl Waiting {
    async fn serve(mut self, mut receiver: mpsc::Receiver<(Claim, Reply)>, mut stop: watch::Receiver<bool>) {
        let mut incoming = Vec::new();
        loop {
            let clock = self.runs.clock.clone();
            let idle = self.workers.is_empty();
            let woken = tokio::select! {
                received = receiver.recv_many(&mut incoming, CLAIMS_AT_ONCE) => {
                    if received == 0 { Woken::ToStop } else { Woken::ByWorker }
                }
                _ = self.work.changed(), if !idle => Woken::ByWork,
                () = clock.sleep_until(self.look_again), if !idle => Woken::ByTime,
                _ = stop.wait_for(|stop| *stop) => Woken::ToStop,
            };
            match woken {
                Woken::ByWorker => self.admit(&mut incoming).await,
                Woken::ByWork | Woken::ByTime => {}
                Woken::ToStop => return self.dismiss(incoming),
            }
            self.look().await;
        }
    }

    async fn admit(&mut self, incoming: &mut Vec<(Claim, Reply)>) {
        let now = self.runs.clock.now();
        let new: Vec<Worker> = incoming
            .drain(..)
            .map(|(claim, reply)| Worker { until: now + claim.wait, claim, reply })
            .collect();
        let is_news = |worker: &&Worker| {
            self.remembered.get(&worker.claim.wanted).is_none_or(|at| *at + REMEMBER <= now)
        };
        let news: Vec<&Claim> = new.iter().filter(is_news).map(|worker| &worker.claim).collect();
        if !news.is_empty() {
            match self.runs.remember(&news).await {
                Ok(()) => {
                    if self.remembered.len() > REMEMBERED {
                        self.remembered.clear();
                    }
                    self.remembered.extend(news.iter().map(|claim| (claim.wanted.clone(), now)));
                }
                // It only tells people why a job waits.
                Err(error) => tracing::warn!(%error, "could not write down who asks for work"),
            }
        }
        self.workers.extend(new);
    }

    /// Looks at the table for all who wait, each once, in as many rounds as that takes.
    async fn look(&mut self) {
        // Only now: a wake-up between two rounds concerns also those whose round is over.
        self.work.mark_unchanged();
        self.look_again = self.runs.clock.now() + POLL;
        self.workers.retain(|worker| !worker.reply.is_closed());
        let mut left = self.workers.len();
        while left > 0 {
            // Who goes on waiting stands behind the others then.
            left = left.saturating_sub(self.round().await);
        }
        let ends = self.workers.iter().map(|worker| worker.until);
        self.look_again = ends.fold(self.look_again, DateTime::min);
    }

    /// Serves the first who wait, as many as one round can, and says how many those were.
    async fn round(&mut self) -> usize {
        let mut jobs = 0;
        let served = self.workers.iter().take(CLAIMS_AT_ONCE).take_while(|worker| {
            jobs += worker.claim.limit;
            jobs <= JOBS_AT_ONCE
        });
        let claims: Vec<Claim> = served.map(|worker| worker.claim.clone()).collect();
        let runs = self.runs.clone();
        let served = claims.len();
        // In a task of its own: should it panic, the queue goes on.
        let round = tokio::spawn(async move { runs.claim_round(&claims).await }).await;
        match round.unwrap_or(Err(store::Error::Interrupted)) {
            Ok(claimed) => self.answer(served, claimed).await,
            Err(error) => {
                let error = Arc::new(error);
                self.workers.drain(..served).for_each(|worker| {
                    let _ = worker.reply.send(Err(error.clone()));
                });
            }
        }
        served
    }

    async fn answer(&mut self, served: usize, Claimed { started, next_backoff_end }: Claimed) {
        let now = self.runs.clock.now();
        let mut again = Vec::new();
        let mut unheard = Vec::new();
        let started = started.into_iter().chain(std::iter::repeat_with(Vec::new));
        for (worker, started) in self.workers.drain(..served).zip(started) {
            if started.is_empty() && now < worker.until {
                again.push(worker);
            } else if let Err(Ok(started)) = worker.reply.send(Ok(started)) {
                unheard.extend(started);
            }
        }
        self.workers.extend(again);
        self.look_again = next_backoff_end.map_or(self.look_again, |end| self.look_again.min(end));
        self.give_back(unheard).await;
    }

    /// Gives back what was started for workers that have hung up before they heard of it.
    async fn give_back(&self, unheard: Vec<Started>) {
        if unheard.is_empty() {
            return;
        }
        let reports = unheard.iter().map(|started| Reporting {
            scope: Scope::SLUICE,
            lease: started.lease.hash(),
            report: Report::Released,
        });
        let reports = reports.collect();
        if let Err(error) = self.runs.settle_round(reports).await {
            tracing::warn!(%error, "could not give back jobs that nobody fetched; their leases will expire");
        }
    }

    /// The server stops: nobody waits any longer.
    fn dismiss(self, incoming: Vec<(Claim, Reply)>) {
        let waiting = self.workers.into_iter().map(|worker| worker.reply);
        waiting.chain(incoming.into_iter().map(|(_, reply)| reply)).for_each(|reply| {
            let _ = reply.send(Ok(Vec::new()));
        });
    }
}
