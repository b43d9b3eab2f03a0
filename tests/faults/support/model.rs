//! What must become of a batch, worked out from what the workers do with each job.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Client, Dice};

/// What a worker does with a job, the first time that it gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    None,
    Releases,
    FailsButMayTryAgain,
    Vanishes,
}

#[derive(Debug, Clone)]
pub struct Planned {
    pub load: bool,
    pub publishes: bool,
    /// In the end it fails for good; otherwise it succeeds.
    pub fails: bool,
    pub quirk: Quirk,
    /// Which earlier jobs it requires, and of which kind.
    pub requires: Vec<(usize, &'static str)>,
}

/// The jobs of a batch; the object of the third is `o3`.
#[derive(Debug, Clone)]
pub struct Plan(pub Vec<Planned>);

impl Plan {
    /// A random graph of this many jobs, without quirks.
    pub fn random(dice: &mut Dice, jobs: usize) -> Self {
        let mut plan: Vec<Planned> = Vec::new();
        for number in 0..jobs {
            let load = dice.one_in(2);
            let mut requires = Vec::new();
            if number > 0 && !dice.one_in(4) {
                for _ in 0..=dice.below(3) {
                    let required = dice.below(number);
                    let kind = match (plan[required].load, dice.one_in(2)) {
                        (false, _) => "extract",
                        (true, true) => "load",
                        (true, false) => "loadResult",
                    };
                    if requires.iter().all(|(other, _)| *other != required) {
                        requires.push((required, kind));
                    }
                }
            }
            let (publishes, fails) = (load && dice.one_in(2), dice.one_in(12));
            plan.push(Planned { load, publishes, fails, quirk: Quirk::None, requires });
        }
        Self(plan)
    }

    pub async fn create(&self, client: &Client, connection: &str, key: &str) -> String {
        let jobs: Vec<Value> = self.0.iter().enumerate().map(|(number, job)| {
            let of = |kind: &str| -> Vec<String> {
                let these = job.requires.iter().filter(|(_, other)| *other == kind);
                these.map(|(required, _)| format!("o{required}")).collect()
            };
            json!({
                "type": if job.load { "LOAD" } else { "EXTRACT" }, "object": format!("o{number}"), "maxAttempts": 20,
                "requiredObjects": { "extract": of("extract"), "load": of("load"), "loadResult": of("loadResult") },
            })
        }).collect();
        client.batch(connection, key, jobs.into()).await
    }

    /// The status that each job must end with, and that of the batch.
    pub fn end(&self) -> (Vec<&'static str>, &'static str) {
        let mut ends: Vec<&'static str> = Vec::new();
        for job in &self.0 {
            let there = job.requires.iter().all(|(required, kind)| {
                let published = *kind == "load" && self.0[*required].publishes && ends[*required] == "FAILED";
                ends[*required] == "SUCCEEDED" || published
            });
            ends.push(match (there, job.fails) {
                (false, _) => "SKIPPED",
                (true, true) => "FAILED",
                (true, false) => "SUCCEEDED",
            });
        }
        let all = ends.iter().all(|end| *end == "SUCCEEDED");
        (ends, if all { "SUCCEEDED" } else { "FAILED" })
    }
}

/// The number of the job with this object.
pub fn number(object: &Value) -> usize {
    object.as_str().unwrap()[1..].parse().unwrap()
}

/// Follows the events of one batch from state to state; each must be one that may come then.
pub struct Fold {
    pub batch: &'static str,
    /// By id: the status, and how many attempts have started.
    pub jobs: HashMap<String, (&'static str, i64)>,
}

impl Fold {
    /// `jobs`: each with its id, and whether it requires anything.
    pub fn new(jobs: impl Iterator<Item = (String, bool)>) -> Self {
        let first = |(id, requires)| (id, (if requires { "BLOCKED" } else { "READY" }, 0));
        Self { batch: "", jobs: jobs.map(first).collect() }
    }

    pub fn take(&mut self, event: &Value) {
        let kind = event["kind"].as_str().unwrap();
        let Some(job) = event["jobId"].as_str() else {
            let (before, after): (&[&str], _) = match kind {
                "BATCH_CREATED" => (&[""], "PENDING"),
                "BATCH_STARTED" => (&["PENDING"], "RUNNING"),
                "BATCH_SUCCEEDED" => (&["RUNNING"], "SUCCEEDED"),
                "BATCH_FAILED" => (&["RUNNING"], "FAILED"),
                other => panic!("{other} was not to happen"),
            };
            assert!(before.contains(&self.batch), "{kind} while {}", self.batch);
            self.batch = after;
            return;
        };
        let (status, attempts) = self.jobs.get_mut(job).unwrap();
        let (before, after) = match kind {
            "JOB_READY" => ("BLOCKED", "READY"),
            "JOB_STARTED" => ("READY", "RUNNING"),
            "LOAD_PUBLISHED" => ("RUNNING", "RUNNING"),
            "JOB_SUCCEEDED" => ("RUNNING", "SUCCEEDED"),
            "ATTEMPT_FAILED" | "JOB_RELEASED" => ("RUNNING", "READY"),
            "JOB_FAILED" => ("RUNNING", "FAILED"),
            "JOB_SKIPPED" => ("BLOCKED", "SKIPPED"),
            other => panic!("{other} was not to happen"),
        };
        assert_eq!(*status, before, "{kind} of {job}");
        *status = after;
        *attempts += i64::from(kind == "JOB_STARTED");
        if let Some(attempt) = event["attempt"].as_i64() {
            assert_eq!(attempt, *attempts, "{kind} of {job}");
        }
    }
}
