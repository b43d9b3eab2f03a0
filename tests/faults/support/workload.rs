//! Workers that run batches to their end and write down what they did.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Client,
    model::{Fold, Plan, Quirk, number},
};

/// The longest that a job may take which is lost with its server and fails once more: up to 20 seconds of
/// backoff, then up to 40, and its leases and the work of others in between.
const BACKOFFS: Duration = Duration::from_secs(100);

/// A job: the batch's id, and its number in the batch.
type Key = (String, usize);

#[derive(Default)]
struct Written {
    plans: HashMap<String, Plan>,
    /// The quirks that are done with.
    had: HashSet<Key>,
    /// Of each job, during which times a worker surely had a lease on it.
    held: HashMap<Key, Vec<(Instant, Instant)>>,
    /// How the reports ended that were taken as the last of a job.
    finished: HashMap<Key, Vec<&'static str>>,
    lost: usize,
}

#[derive(Clone, Default)]
pub struct Workload {
    written: Arc<Mutex<Written>>,
    stop: Arc<AtomicBool>,
}

impl Workload {
    /// Makes this batch, and remembers what is to become of it.
    pub async fn create(&self, client: &Client, connection: &str, key: &str, plan: &Plan) -> String {
        let id = plan.create(client, connection, key).await;
        self.written.lock().unwrap().plans.insert(id.clone(), plan.clone());
        id
    }

    /// Starts a worker for each client. They end with the set, or when [`Self::verify`] has told them to.
    pub fn start(&self, clients: Vec<Client>, lease_seconds: u64, limit: usize) -> JoinSet<()> {
        let mut workers = JoinSet::new();
        for (number, client) in clients.into_iter().enumerate() {
            let this = self.clone();
            workers.spawn(async move {
                let input = json!({
                    "worker": format!("w{number}"), "leaseSeconds": lease_seconds, "waitSeconds": 1, "limit": limit,
                });
                while !this.stop.load(Ordering::Relaxed) {
                    match client.claim(input.clone()).await {
                        Ok(claims) => {
                            let got = Instant::now();
                            for claim in claims {
                                this.work(&client, &claim, got, number).await;
                            }
                        }
                        Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            });
        }
        workers
    }

    async fn work(&self, client: &Client, claim: &Value, got: Instant, worker: usize) {
        let job = &claim["job"];
        let key: Key = (job["batch"]["id"].as_str().unwrap().to_owned(), number(&job["object"]));
        let lease = &claim["lease"];
        let planned = loop {
            // The batch may be known to the workers before its maker has heard of it.
            if let Some(plan) = self.written.lock().unwrap().plans.get(&key.0) {
                break plan.0[key.1].clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let first = self.written.lock().unwrap().had.insert(key.clone());
        let quirk = if first { planned.quirk } else { Quirk::None };
        if quirk == Quirk::Vanishes {
            return;
        }
        // The work.
        tokio::time::sleep(Duration::from_millis((worker % 4) as u64)).await;
        if planned.publishes
            && self.report(client, &key, "publishLoad", json!({ "lease": lease }), got).await.is_none()
        {
            return;
        }
        let failure = |retryable| json!({ "lease": lease, "code": "E", "message": "as planned", "retryable": retryable });
        let (name, input, end) = match (quirk, planned.fails) {
            (Quirk::Releases, _) => ("releaseJob", json!({ "lease": lease }), None),
            (Quirk::FailsButMayTryAgain, _) => ("failJob", failure(true), None),
            (Quirk::None | Quirk::Vanishes, true) => ("failJob", failure(false), Some("FAILED")),
            (Quirk::None | Quirk::Vanishes, false) => {
                ("completeJob", json!({ "lease": lease, "output": { "by": lease } }), Some("SUCCEEDED"))
            }
        };
        if self.report(client, &key, name, input, got).await.is_some()
            && let Some(end) = end
        {
            self.written.lock().unwrap().finished.entry(key).or_default().push(end);
        }
    }

    /// Reports until there is an answer; `None`: the lease was lost. The first sending is the last moment
    /// at which the worker surely had the lease.
    async fn report(&self, client: &Client, key: &Key, name: &str, input: Value, got: Instant) -> Option<()> {
        let sent = Instant::now();
        let answer = client.report(name, input).await;
        let mut written = self.written.lock().unwrap();
        match answer {
            Ok(()) => {
                written.held.entry(key.clone()).or_default().push((got, sent));
                Some(())
            }
            Err(codes) => {
                assert_eq!(codes, ["LEASE_LOST"], "{name}");
                written.lost += 1;
                None
            }
        }
    }

    /// Waits for the end of all batches, then holds all that can be seen of them against the model.
    pub async fn verify(&self, client: &Client) {
        const ENDED: &str = "{ batches(filter: { statuses: [PENDING, RUNNING, CANCELING] }) { totalCount } }";
        let begun = Instant::now();
        while client.insist(ENDED, json!({})).await["batches"]["totalCount"] != 0 {
            if begun.elapsed() > BACKOFFS {
                const WAITING: &str = "{ jobs(first: 20, filter: { statuses: [READY, RUNNING] }) { nodes {
                    id object status notBefore attempts { number worker outcome startedAt finishedAt expiresAt }
                    blockedBy { __typename } batch { id status } } } }";
                panic!("some batches do not end: {}", client.insist(WAITING, json!({})).await);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.stop.store(true, Ordering::Relaxed);
        let plans = self.written.lock().unwrap().plans.clone();
        let (mut jobs, mut lost) = (0, 0);
        for (id, plan) in &plans {
            const BATCH: &str =
                "query ($id: ID!) { batch(id: $id) { status jobCounts { succeeded failed skipped }
                jobs { id object status output attempts { number outcome startedAt finishedAt } } } }";
            let batch = client.insist(BATCH, json!({ "id": id })).await["batch"].take();
            let events = client.events(json!({ "batchId": id }), None).await;
            lost += self.compare(id, plan, &batch, &events);
            jobs += plan.0.len();
        }
        let written = self.written.lock().unwrap();
        eprintln!(
            "{} batches, {jobs} jobs: {lost} attempts lost, {} reports refused under a lost lease",
            plans.len(),
            written.lost
        );
    }

    /// Gives how many attempts were lost.
    fn compare(&self, id: &str, plan: &Plan, batch: &Value, events: &[Value]) -> usize {
        let written = self.written.lock().unwrap();
        let (ends, end) = plan.end();
        assert_eq!(batch["status"], end, "{id}");
        let jobs = batch["jobs"].as_array().unwrap();
        assert_eq!(jobs.len(), ends.len());
        for status in ["succeeded", "failed", "skipped"] {
            let count = ends.iter().filter(|end| end.to_lowercase() == status).count();
            assert_eq!(batch["jobCounts"][status], count, "{id}: {status}");
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let numbered = |job: &Value| (text(&job["id"]), !plan.0[number(&job["object"])].requires.is_empty());
        let mut fold = Fold::new(jobs.iter().map(numbered));
        events.iter().for_each(|event| fold.take(&event["node"]));
        assert_eq!(fold.batch, end, "{id}, by its events");
        let mut lost = 0;
        for job in jobs {
            let number = number(&job["object"]);
            let expected = ends[number];
            assert_eq!(job["status"], expected, "{id} {job}");
            let attempts = job["attempts"].as_array().unwrap();
            assert_eq!(
                fold.jobs[&text(&job["id"])],
                (expected, attempts.len() as i64),
                "{job}, by its events"
            );
            let succeeded = attempts.iter().filter(|attempt| attempt["outcome"] == "SUCCEEDED").count();
            assert_eq!(succeeded, usize::from(expected == "SUCCEEDED"), "{job}");
            for (index, attempt) in attempts.iter().enumerate() {
                assert_eq!(attempt["number"], index + 1);
                assert!(attempt["outcome"].is_string(), "an attempt goes on: {job}");
            }
            for two in attempts.windows(2) {
                let (ended, started) = (time(&two[0]["finishedAt"]), time(&two[1]["startedAt"]));
                assert!(ended <= started, "two attempts at once: {job}");
            }
            lost += attempts.iter().filter(|attempt| attempt["outcome"] == "LOST").count();
            let key = (id.to_owned(), number);
            let finished = written.finished.get(&key).cloned().unwrap_or_default();
            let wanted: &[&str] = if expected == "SKIPPED" { &[] } else { &[expected] };
            assert_eq!(finished, wanted, "what workers were told of {job}");
            let mut held = written.held.get(&key).cloned().unwrap_or_default();
            held.sort();
            // What was reported under one lease begins at the same moment.
            let overlap = held.windows(2).find(|two| two[0].0 != two[1].0 && two[0].1 > two[1].0);
            assert_eq!(overlap, None, "two live leases at once: {job}");
        }
        lost
    }
}

fn time(value: &Value) -> chrono::DateTime<chrono::Utc> {
    value.as_str().unwrap().parse().unwrap()
}
