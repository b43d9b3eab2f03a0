//! Backfills on servers that die: each window has exactly one batch, and no more are under way than was asked for.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    Client, Database, Dice, Engine, Site, database::Observer, on_both, run, schedule::done, until,
};

/// How often servers are killed, or lose their connections to the database.
const FAULTS: usize = 12;
/// How many windows there are.
const WINDOWS: usize = 300;
/// How many of them are run at once.
const PARALLEL: u64 = 3;
/// How many work.
const WORKERS: usize = 6;

/// Claims jobs and finishes them, some badly, until it is told to stop.
async fn work(client: Client, mut dice: Dice, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let claims = client.claim(json!({ "worker": "w", "waitSeconds": 1, "leaseSeconds": 10 })).await;
        for claim in claims.unwrap_or_default() {
            let lease = &claim["lease"];
            if dice.one_in(10) {
                let input = json!({ "lease": lease, "code": "x", "message": "y", "retryable": false });
                client.mutate("failJob", "FailJobInput", input, "userErrors { code }").await;
            } else {
                client
                    .mutate(
                        "completeJob",
                        "CompleteJobInput",
                        json!({ "lease": lease }),
                        "userErrors { code }",
                    )
                    .await;
            }
        }
    }
}

/// A backfill that is watched.
struct Backfill {
    client: Client,
    id: Value,
}

impl Backfill {
    async fn create(client: &Client) -> Self {
        let connection = client.connection("there").await;
        let input = json!({
            "name": "hourly", "timetable": { "cron": "@yearly", "timeZone": "Europe/Berlin" },
            "template": {
                "sourceConnectionId": connection, "destinationConnectionId": connection,
                "jobs": [{ "type": "EXTRACT", "object": "a" }],
            },
        });
        let schedule = done(client, "createSchedule", input, "schedule { id }").await;
        let input = json!({
            "scheduleId": schedule["schedule"]["id"], "from": "2026-03-25", "to": "2026-04-06T12:00:00Z", "step": "PT1H",
            "maxParallel": PARALLEL, "idempotencyKey": "k",
        });
        let mut made = done(client, "createBackfill", input, "backfill { id }").await;
        Self { client: client.clone(), id: made["backfill"]["id"].take() }
    }

    /// Its status. What is under way is held against what was asked for.
    async fn status(&self) -> String {
        const STATUS: &str = "query ($id: ID!) { backfill(id: $id) { status progress { total running } } }";
        let seen = self.client.insist(STATUS, json!({ "id": self.id })).await["backfill"].take();
        assert!(seen["progress"]["running"].as_u64().unwrap() <= PARALLEL, "{seen}");
        assert_eq!(seen["progress"]["total"], WINDOWS);
        seen["status"].as_str().unwrap().to_owned()
    }

    async fn steer(&self, name: &str) {
        let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        // It may have ended, or stand elsewhere since an answer was lost.
        self.client.mutate(name, &kind, json!({ "id": self.id }), "userErrors { code }").await;
    }

    /// Steers it this way and that until it is told to stop.
    async fn meddle(self, stop: Arc<AtomicBool>) -> Self {
        for turn in 0.. {
            match turn % 8 {
                2 => self.steer("pauseBackfill").await,
                3 => self.steer("resumeBackfill").await,
                5 => self.steer("retryBackfill").await,
                6 if turn % 16 == 14 => self.steer("cancelBackfill").await,
                7 => self.steer("retryBackfill").await,
                _ => {}
            }
            self.status().await;
            if stop.load(Ordering::Relaxed) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self
    }

    /// Waits until all of its windows have succeeded.
    async fn succeed(&self) {
        until("the end of the backfill", async || match self.status().await.as_str() {
            "SUCCEEDED" => true,
            "PAUSED" => {
                self.steer("resumeBackfill").await;
                false
            }
            "FAILED" | "CANCELED" => {
                self.steer("retryBackfill").await;
                false
            }
            _ => false,
        })
        .await;
    }

    /// All windows with their batches.
    async fn windows(&self) -> Vec<Value> {
        const WINDOWS: &str =
            "query ($id: ID!, $after: String) { backfill(id: $id) { windows(first: 100, after: $after) {
            nodes { index since until status batch { id since until status backfill { id } } }
            pageInfo { hasNextPage endCursor } } } }";
        let (mut windows, mut after) = (Vec::new(), Value::Null);
        loop {
            let mut page = self.client.insist(WINDOWS, json!({ "id": self.id, "after": after })).await;
            let page = &mut page["backfill"]["windows"];
            windows.append(page["nodes"].as_array_mut().unwrap());
            if page["pageInfo"]["hasNextPage"] == false {
                return windows;
            }
            after = page["pageInfo"]["endCursor"].take();
        }
    }

    /// Holds its windows against the batches that there are.
    async fn verify(&self) {
        let windows = self.windows().await;
        assert_eq!(windows.len(), WINDOWS);
        assert!(windows.windows(2).all(|two| two[0]["until"] == two[1]["since"]), "a gap between windows");
        let mut batches = HashSet::new();
        for (index, window) in windows.iter().enumerate() {
            let batch = &window["batch"];
            assert_eq!((&window["index"], &window["status"]), (&json!(index), &json!("SUCCEEDED")));
            assert_eq!((&batch["since"], &batch["until"]), (&window["since"], &window["until"]), "{window}");
            assert_eq!((&batch["status"], &batch["backfill"]["id"]), (&json!("SUCCEEDED"), &self.id));
            batches.insert(batch["id"].as_str().unwrap().to_owned());
        }
        let seen = self.client.insist("{ batches { totalCount } }", Value::Null).await;
        assert_eq!(
            (batches.len(), &seen["batches"]["totalCount"]),
            (WINDOWS, &json!(WINDOWS)),
            "one batch of each window"
        );
    }
}

/// Lets faults befall the servers while a backfill runs, and looks at what became of it.
async fn befall(sites: &mut [Site], mut fault: impl AsyncFnMut(&mut [Site], &mut Dice)) {
    let mut dice = Dice::new();
    let clients: Vec<_> = sites.iter().map(Site::client).collect();
    let backfill = Backfill::create(&clients[0]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        workers.spawn(work(clients[number % clients.len()].clone(), Dice::new(), stop.clone()));
    }
    let steady = Arc::new(AtomicBool::new(false));
    let meddling = tokio::spawn(backfill.meddle(steady.clone()));
    for _ in 0..FAULTS {
        tokio::time::sleep(Duration::from_millis(dice.below(400) as u64)).await;
        fault(sites, &mut dice).await;
    }
    steady.store(true, Ordering::Relaxed);
    let backfill = meddling.await.unwrap();
    backfill.succeed().await;
    stop.store(true, Ordering::Relaxed);
    backfill.verify().await;
    workers.shutdown().await;
}

on_both! {
    async fn a_server_killed_during_a_backfill_leaves_one_batch_of_each_window(database: &Database) {
        befall(&mut [database.site()], async |sites, _| sites[0].kill_and_restart()).await;
    }
}

#[test]
fn two_servers_that_are_killed_or_cut_off_make_one_batch_of_each_window() {
    let Some(database) = Database::create(Engine::Postgres) else { return };
    run(async {
        let observer = Observer::connect().await;
        befall(&mut [database.site(), database.site()], async |sites, dice| match dice.below(4) {
            0 => observer.cut_off(&database).await,
            1 => sites.iter_mut().for_each(Site::kill_and_restart),
            _ => sites[dice.below(2)].kill_and_restart(),
        })
        .await;
    });
}
