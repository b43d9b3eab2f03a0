//! Servers that are killed, and workers that vanish or freeze.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::support::{
    Client, Database, Dice, Engine,
    model::{Plan, Quirk},
    on_both, run, until,
    workload::Workload,
};

/// How often the server is killed.
const KILLS: usize = 12;

const STATE: &str =
    "query ($id: ID!) { batch(id: $id) { version status jobs { id status attempt output startedAt
    finishedAt error { code } progress { records } attempts { number outcome records error { code } } }
    events { totalCount } } }";

async fn state(client: &Client, batch: &str) -> Value {
    client.insist(STATE, json!({ "id": batch })).await["batch"].take()
}

fn claim(worker: &str, lease_seconds: u64) -> Value {
    json!({ "worker": worker, "leaseSeconds": lease_seconds, "waitSeconds": 5, "limit": 100 })
}

/// Waits until the first attempt of all jobs of the batch is lost, and gives the state after that.
async fn lost(client: &Client, batch: &str) -> Value {
    until("the loss of all attempts", async || {
        let seen = state(client, batch).await;
        let jobs = seen["jobs"].as_array().unwrap();
        jobs.iter().all(|job| job["attempts"][0]["outcome"] == "LOST")
    })
    .await;
    // An answer's parts are read one after the other: what saw the loss may have read the job before it.
    state(client, batch).await
}

on_both! {
    async fn a_server_killed_between_any_two_requests_loses_nothing(database: &Database) {
        let mut dice = Dice::new();
        let mut site = database.site();
        let client = site.client();
        let connection = client.connection("there").await;
        let workload = Workload::default();
        let _workers = workload.start(vec![client.clone(); 6], 4, 2);
        for kill in 0..KILLS {
            for number in 0..2 {
                let plan = Plan::random(&mut dice, 12);
                workload.create(&client, &connection, &format!("{kill}.{number}"), &plan).await;
            }
            let at = client.sent.load(Ordering::Relaxed) + dice.below(60) as u64;
            until("some requests", async || client.sent.load(Ordering::Relaxed) >= at).await;
            site.kill_and_restart();
        }
        workload.verify(&client).await;
    }

    async fn the_jobs_of_a_worker_that_vanished_run_again(database: &Database) {
        let mut dice = Dice::new();
        let site = database.site();
        let client = site.client();
        let connection = client.connection("there").await;
        let workload = Workload::default();
        for number in 0..4 {
            let mut plan = Plan::random(&mut dice, 8);
            // Not in a row: each must wait for its backoff.
            plan.0[0].quirk = Quirk::Vanishes;
            workload.create(&client, &connection, &number.to_string(), &plan).await;
        }
        let _workers = workload.start(vec![client.clone(); 4], 1, 2);
        workload.verify(&client).await;
        let lost = client.events(json!({ "kinds": ["ATTEMPT_FAILED"] }), None).await;
        assert!(lost.len() >= 4, "{lost:?}");
    }

    async fn a_worker_that_wakes_after_its_lease_changes_nothing(database: &Database) {
        let site = database.site();
        let client = site.client();
        let connection = client.connection("there").await;
        let jobs = json!([{ "type": "LOAD", "object": "a" }]);
        let batch = client.batch(&connection, "one", jobs).await;
        let claims = client.claim_some(claim("sleepy", 1)).await;
        let lease = claims[0]["lease"].as_str().unwrap();
        let wakes = async |state_before: Value| {
            let output = json!({ "from": "sleepy" });
            let failure = json!({ "lease": lease, "code": "E", "message": "late", "retryable": false });
            for (name, input) in [
                ("completeJob", json!({ "lease": lease, "output": output, "records": 7 })),
                ("publishLoad", json!({ "lease": lease, "output": output })),
                ("failJob", failure),
                ("releaseJob", json!({ "lease": lease })),
            ] {
                assert_eq!(client.report(name, input).await, Err(vec!["LEASE_LOST".to_owned()]), "{name}");
            }
            let results = json!({ "results": [{ "lease": lease, "output": output }] });
            let selection = "results { userErrors { code } }";
            let finished = client.mutate("finishJobs", "FinishJobsInput", results, selection).await;
            assert_eq!(finished["results"][0]["userErrors"][0]["code"], "LEASE_LOST");
            let beats = json!({ "leases": [{ "lease": lease, "progress": { "records": 7 } }] });
            let selection = "leases { stop expiresAt } userErrors { code }";
            let heard = client.mutate("heartbeat", "HeartbeatInput", beats, selection).await;
            assert_eq!(heard["leases"], json!([{ "stop": "LEASE_LOST", "expiresAt": null }]));
            assert_eq!(state(&client, &batch).await, state_before, "something of it is to be seen");
        };
        wakes(lost(&client, &batch).await).await;

        let others = client.claim_some(claim("other", 60)).await;
        assert_eq!(others[0]["attempt"], 2);
        wakes(state(&client, &batch).await).await;
        let done = json!({ "lease": others[0]["lease"], "output": { "from": "other" } });
        assert_eq!(client.report("completeJob", done).await, Ok(()));
        let after = state(&client, &batch).await;
        assert_eq!((&after["status"], &after["jobs"][0]["output"]["from"]), (&json!("SUCCEEDED"), &json!("other")));
        wakes(after).await;
    }
}
