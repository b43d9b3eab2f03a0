//! Batches that run: what workers ask for and report, and what comes of it.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};

use crate::support::{Engine, TestApp, on_both, run, text};

/// Makes a batch with these jobs, and gives its id.
pub async fn batch(app: &TestApp, more: Value, jobs: Value) -> String {
    let (source, destination) = app.create_ends().await;
    let mut input =
        json!({ "sourceConnectionId": source, "destinationConnectionId": destination, "jobs": jobs });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let payload = app.create_batch(input).await;
    assert_eq!(payload["userErrors"], json!([]));
    text(&payload["batch"]["id"])
}

pub fn extract(object: &str) -> Value {
    json!({ "type": "EXTRACT", "object": object })
}

pub fn load(object: &str, required: Value) -> Value {
    json!({ "type": "LOAD", "object": object, "requiredObjects": required })
}

/// Claims what there is, and gives the lease of each object's job.
pub async fn claim(app: &TestApp) -> HashMap<String, String> {
    let input = json!({ "worker": "w", "limit": 100 });
    let payload = app.done("claimJobs", "claims { lease job { object } }", input).await;
    let claims = payload["claims"].as_array().unwrap().iter();
    claims.map(|claim| (text(&claim["job"]["object"]), text(&claim["lease"]))).collect()
}

/// The status of each object's job, and of the batch under the empty name.
pub async fn statuses(app: &TestApp, batch: &str) -> HashMap<String, String> {
    let query = "query ($id: ID!) { batch(id: $id) { status jobs { object status } } }";
    let data = app.data(query, json!({ "id": batch })).await;
    let jobs = data["batch"]["jobs"].as_array().unwrap().iter();
    jobs.map(|job| (text(&job["object"]), text(&job["status"])))
        .chain([(String::new(), text(&data["batch"]["status"]))])
        .collect()
}

/// The kinds of a batch's events, in order.
pub async fn kinds(app: &TestApp, batch: &str) -> Vec<String> {
    let query = "query ($id: ID!) { batch(id: $id) { events(first: 100) { nodes { kind } } } }";
    let data = app.data(query, json!({ "id": batch })).await;
    data["batch"]["events"]["nodes"].as_array().unwrap().iter().map(|event| text(&event["kind"])).collect()
}

pub async fn complete(app: &TestApp, lease: &str) {
    app.done("completeJob", "job { status }", json!({ "lease": lease })).await;
}

fn is(statuses: &HashMap<String, String>, expected: &[(&str, &str)]) {
    let expected = expected.iter().map(|(object, status)| ((*object).to_owned(), (*status).to_owned()));
    assert_eq!(statuses, &expected.collect());
}

/// Waits until a batch has this many events, and gives their kinds. An event is seen a moment after its
/// change where others write at the same time, on any database of the server.
async fn all_kinds(app: &TestApp, batch: &str, count: usize) -> Vec<String> {
    loop {
        let kinds = kinds(app, batch).await;
        if kinds.len() >= count {
            return kinds;
        }
    }
}

/// Everything that a report could change.
async fn everything(app: &TestApp, batch: &str) -> Value {
    let query = "query ($id: ID!) { batch(id: $id) { version updatedAt status
        jobs { status attempt output attempts { number outcome finishedAt expiresAt } } } }";
    app.data(query, json!({ "id": batch })).await
}

/// The reports that a worker can make under a lease, as mutation and input.
fn reports(lease: &str) -> [(&'static str, Value); 4] {
    [
        ("publishLoad", json!({ "lease": lease })),
        ("completeJob", json!({ "lease": lease })),
        ("failJob", json!({ "lease": lease, "code": "X", "message": "x" })),
        ("releaseJob", json!({ "lease": lease })),
    ]
}

on_both! {
    async fn a_claim_gives_what_a_worker_needs(app: TestApp) {
        let jobs = json!([extract("A"), load("a", json!({ "extract": ["A"] }))]);
        let id = batch(app, json!({ "since": "2010-01-01" }), jobs).await;
        let first = claim(app).await;
        let output = json!({ "lease": first["A"], "output": { "rows": [1, 2] }, "records": 5_000_000_000_u64 });
        app.done("completeJob", "job { status }", output).await;
        let selection = "claims { attempt expiresAt job { object effectiveSince connection { name } }
            inputs { kind output job { object } } }";
        let input = json!({ "worker": "w", "types": ["LOAD"], "providers": ["csv"], "leaseSeconds": 90 });
        let payload = app.done("claimJobs", selection, input).await;
        assert_eq!(payload["claims"], json!([{
            "attempt": 1, "expiresAt": "2026-11-23T12:01:30Z",
            "job": { "object": "a", "effectiveSince": "2010-01-01T00:00:00Z", "connection": { "name": "destination" } },
            "inputs": [{ "kind": "EXTRACT", "output": { "rows": [1, 2] }, "job": { "object": "A" } }],
        }]));
        is(&statuses(app, &id).await, &[("A", "SUCCEEDED"), ("a", "RUNNING"), ("", "RUNNING")]);
        let query = "query ($id: ID!) { batch(id: $id) { jobs { progress { records } attempts { number worker outcome records } } } }";
        let data = app.data(query, json!({ "id": id })).await;
        assert_eq!(data["batch"]["jobs"][0], json!({
            "progress": { "records": 5_000_000_000_u64 },
            "attempts": [{ "number": 1, "worker": "w", "outcome": "SUCCEEDED", "records": 5_000_000_000_u64 }],
        }));
    }

    async fn a_job_is_ready_once_when_its_last_requirement_is_there(app: TestApp) {
        let jobs = json!([extract("A"), extract("B"), load("c", json!({ "extract": ["A", "B"] }))]);
        let id = batch(app, json!({}), jobs).await;
        let leases = claim(app).await;
        let results = json!({ "results": [{ "lease": leases["A"] }, { "lease": leases["B"] }] });
        app.done("finishJobs", "results { job { status } userErrors { code } }", results).await;
        is(&statuses(app, &id).await, &[("A", "SUCCEEDED"), ("B", "SUCCEEDED"), ("c", "READY"), ("", "RUNNING")]);
        complete(app, &claim(app).await["c"]).await;
        assert_eq!(all_kinds(app, &id, 10).await, [
            "BATCH_CREATED", "BATCH_STARTED", "JOB_STARTED", "JOB_STARTED", "JOB_SUCCEEDED", "JOB_SUCCEEDED",
            "JOB_READY", "JOB_STARTED", "JOB_SUCCEEDED", "BATCH_SUCCEEDED",
        ]);
    }

    async fn more_results_than_fit_into_a_statement_are_taken_at_once(app: TestApp) {
        let objects: Vec<String> = (0..520).map(|number| format!("o{number}")).collect();
        let mut jobs: Vec<Value> = objects.iter().map(|object| load(object, json!({}))).collect();
        jobs.push(load("last", json!({ "load": objects, "loadResult": objects })));
        let id = batch(app, json!({}), json!(jobs)).await;
        let mut results = Vec::new();
        for _ in 0..6 {
            results.extend(claim(app).await.into_values().map(|lease| json!({ "lease": lease })));
        }
        let payload = app.done("finishJobs", "results { userErrors { code } }", json!({ "results": results })).await;
        assert_eq!(payload["results"], json!(vec![json!({ "userErrors": [] }); 520]));
        assert_eq!(statuses(app, &id).await["last"], "READY");
    }

    async fn a_published_load_lets_those_start_that_wait_for_no_more(app: TestApp) {
        let jobs = json!([
            load("a", json!({})), load("b", json!({ "load": ["a"] })), load("c", json!({ "loadResult": ["a"] })),
        ]);
        let id = batch(app, json!({}), jobs).await;
        let lease = claim(app).await["a"].clone();
        app.done("publishLoad", "job { status }", json!({ "lease": lease })).await;
        is(&statuses(app, &id).await, &[("a", "RUNNING"), ("b", "READY"), ("c", "BLOCKED"), ("", "RUNNING")]);
        // It fails for good: who waits for its result is skipped, who has what it waits for goes on.
        let failed = json!({ "lease": lease, "code": "X", "message": "x", "retryable": false });
        app.done("failJob", "job { status }", failed).await;
        is(&statuses(app, &id).await, &[("a", "FAILED"), ("b", "READY"), ("c", "SKIPPED"), ("", "RUNNING")]);
        complete(app, &claim(app).await["b"]).await;
        assert_eq!(statuses(app, &id).await[""], "FAILED");
    }

    async fn to_repeat_a_report_is_harmless(app: TestApp) {
        let id = batch(app, json!({}), json!([load("a", json!({})), load("b", json!({})), load("c", json!({}))])).await;
        let leases = claim(app).await;
        let [_, completed, _, _] = reports(&leases["a"]);
        let [_, _, failed, _] = reports(&leases["b"]);
        let [_, _, _, released] = reports(&leases["c"]);
        for (name, input) in [completed, failed, released] {
            let first = app.done(name, "job { status notBefore }", input.clone()).await;
            let before = everything(app, &id).await;
            assert_eq!(app.done(name, "job { status notBefore }", input).await, first);
            assert_eq!(everything(app, &id).await, before, "{name}");
        }
    }

    async fn who_lost_its_lease_changes_nothing(app: TestApp) {
        let jobs = json!([load("done", json!({})), load("failed", json!({})), load("released", json!({})), load("expired", json!({}))]);
        let id = batch(app, json!({}), jobs).await;
        let leases = claim(app).await;
        complete(app, &leases["done"]).await;
        for (object, report) in [("failed", 2), ("released", 3)] {
            let (name, input) = reports(&leases[object])[report].clone();
            app.done(name, "job { status }", input).await;
        }
        // The reaper may or may not have been there: an expired lease is lost either way.
        app.advance(61);
        while kinds(app, &id).await.iter().filter(|kind| *kind == "ATTEMPT_FAILED").count() < 2 {}
        let before = everything(app, &id).await;
        // What was said already, or comes to the same, is no new report.
        let said = [("done", vec![0, 1]), ("failed", vec![2]), ("released", vec![3]), ("expired", vec![]), ("unknown", vec![])];
        for (object, said) in said {
            let lease = leases.get(object).cloned().unwrap_or_else(|| "lease_nobody_has".into());
            for (index, (name, input)) in reports(&lease).into_iter().enumerate() {
                if !said.contains(&index) {
                    assert_eq!(app.refused(name, input).await, ["LEASE_LOST lease"], "{object} {name}");
                }
            }
            let beat = json!({ "leases": [{ "lease": lease, "progress": { "records": 1 } }] });
            let heard = app.done("heartbeat", "leases { expiresAt stop }", beat).await;
            assert_eq!(heard["leases"], json!([{ "expiresAt": null, "stop": "LEASE_LOST" }]), "{object}");
        }
        assert_eq!(everything(app, &id).await, before);
    }

    async fn a_lost_attempt_is_made_again_until_there_are_no_more(app: TestApp) {
        let mut job = extract("A");
        job["maxAttempts"] = json!(2);
        let id = batch(app, json!({}), json!([job, load("a", json!({ "extract": ["A"] })), load("b", json!({ "load": ["a"] }))])).await;
        assert_eq!(claim(app).await.len(), 1);
        app.advance(59);
        assert_eq!(statuses(app, &id).await["A"], "RUNNING");
        app.advance(1);
        while statuses(app, &id).await["A"] != "READY" {}
        assert_eq!(claim(app).await.len(), 0, "it waits for a while");
        app.advance(21);
        assert_eq!(claim(app).await.len(), 1);
        app.advance(60);
        while statuses(app, &id).await[""] != "FAILED" {}
        is(&statuses(app, &id).await, &[("A", "FAILED"), ("a", "SKIPPED"), ("b", "SKIPPED"), ("", "FAILED")]);
        let query = "query ($id: ID!) { batch(id: $id) { jobs { attempts { outcome error { code } } } } }";
        let attempts = &app.data(query, json!({ "id": id })).await["batch"]["jobs"][0]["attempts"];
        let lost = json!({ "outcome": "LOST", "error": { "code": "LEASE_EXPIRED" } });
        assert_eq!(attempts, &json!([lost, lost]));
    }

    async fn a_heartbeat_keeps_the_lease_and_a_release_costs_no_attempt(app: TestApp) {
        let id = batch(app, json!({}), json!([extract("A")])).await;
        let lease = claim(app).await["A"].clone();
        for _ in 0..3 {
            app.advance(50);
            let beat = json!({ "leases": [{ "lease": lease, "progress": { "records": 7, "message": "on it" } }] });
            let heard = app.done("heartbeat", "leases { stop }", beat).await;
            assert_eq!(heard["leases"], json!([{ "stop": null }]));
        }
        let query = "query ($id: ID!) { batch(id: $id) { jobs { attempt progress { records message } } } }";
        let data = app.data(query, json!({ "id": id })).await;
        assert_eq!(data["batch"]["jobs"], json!([{ "attempt": 1, "progress": { "records": 7, "message": "on it" } }]));
        app.done("releaseJob", "job { status }", json!({ "lease": lease })).await;
        assert_eq!(app.data(query, json!({ "id": id })).await["batch"]["jobs"][0]["attempt"], 0);
        assert_eq!(claim(app).await.len(), 1, "it may be claimed at once");
    }

    async fn a_waiting_claim_is_answered_when_there_is_work_or_its_time_is_over(app: TestApp) {
        let waiting = json!({ "worker": "w", "waitSeconds": 30 });
        let claims = app.done("claimJobs", "claims { job { object } }", waiting.clone());
        let made = batch(app, json!({}), json!([extract("A")]));
        let (payload, _) = futures_util::future::join(claims, made).await;
        assert_eq!(payload["claims"], json!([{ "job": { "object": "A" } }]));
        let over = async { app.advance(30) };
        let (payload, ()) = futures_util::future::join(app.done("claimJobs", "claims { lease }", json!({ "worker": "w", "waitSeconds": 0 })), over).await;
        assert_eq!(payload["claims"], json!([]));
    }

    async fn workers_that_wait_in_more_than_one_round_cost_nothing_while_they_wait(app: TestApp) {
        // Twelve hundred jobs are more than one round hands out.
        let input = json!({ "worker": "w", "limit": 100, "waitSeconds": 30 });
        let waiting = (0..12).map(|_| app.done("claimJobs", "claims { lease }", input.clone()));
        let are_done = std::cell::Cell::new(false);
        let waiting = async {
            let claims = futures_util::future::join_all(waiting).await;
            are_done.set(true);
            claims
        };
        let looks = |statements: Vec<String>| {
            statements.iter().filter(|sql| sql.contains("WITH RECURSIVE lanes")).count()
        };
        let watching = async {
            // Until all of them are there; then nothing wakes them any more.
            let mut looked = 0;
            while looked < 2 {
                looked += looks(app.statements.take());
                app.data("{ __typename }", json!({})).await;
            }
            let mut looked = 0;
            for _ in 0..200 {
                app.data("{ __typename }", json!({})).await;
                looked += looks(app.statements.take());
            }
            // One that came late waits from then on.
            while !are_done.get() {
                app.advance(30);
                app.data("{ __typename }", json!({})).await;
            }
            looked
        };
        let (claims, looked) = futures_util::future::join(waiting, watching).await;
        assert!(claims.iter().all(|payload| payload["claims"] == json!([])));
        // Some may have come one by one, each with a look for all.
        assert!(looked <= 30, "{looked} looks at the table");
    }

    async fn a_batch_is_canceled_when_its_last_job_has_stopped(app: TestApp) {
        let id = batch(app, json!({}), json!([extract("A"), load("a", json!({ "extract": ["A"] }))])).await;
        let lease = claim(app).await["A"].clone();
        for _ in 0..2 {
            let payload = app.done("cancelBatch", "batch { status }", json!({ "id": id })).await;
            assert_eq!(payload["batch"]["status"], "CANCELING");
        }
        let heard = app.done("heartbeat", "leases { stop }", json!({ "leases": [{ "lease": lease }] })).await;
        assert_eq!(heard["leases"], json!([{ "stop": "CANCELED" }]));
        let query = "query ($id: ID!) { batch(id: $id) { jobs { blockedBy { __typename } } } }";
        let blocked = app.data(query, json!({ "id": id })).await["batch"]["jobs"].take();
        assert_eq!(blocked[0]["blockedBy"], json!([{ "__typename": "WaitsForCancel" }]));
        let failed = json!({ "lease": lease, "code": "STOPPED", "message": "as told" });
        app.done("failJob", "job { status }", failed).await;
        is(&statuses(app, &id).await, &[("A", "CANCELED"), ("a", "CANCELED"), ("", "CANCELED")]);
        app.done("cancelBatch", "batch { status }", json!({ "id": id })).await;

        let id = {
            let input = json!({ "id": id });
            let retried = app.done("retryBatch", "batch { id status }", input).await;
            assert_eq!(retried["batch"]["status"], "RUNNING");
            id
        };
        for object in ["A", "a"] {
            complete(app, &claim(app).await[object]).await;
        }
        assert_eq!(statuses(app, &id).await[""], "SUCCEEDED");
        assert_eq!(app.refused("cancelBatch", json!({ "id": id })).await, ["WRONG_STATE id"]);
    }

    async fn a_job_waits_for_the_cancel_since_it_was_asked_for(app: TestApp) {
        let id = batch(app, json!({}), json!([extract("A"), extract("B")])).await;
        let leases = claim(app).await;
        app.advance(1);
        app.done("cancelBatch", "batch { status }", json!({ "id": id })).await;
        let query = "query ($id: ID!) { batch(id: $id) { updatedAt jobs { object blockedBy {
            ... on WaitsForCancel { since } } } } }";
        let before = app.data(query, json!({ "id": id })).await["batch"].take();
        app.advance(5);
        complete(app, &leases["A"]).await;
        let after = app.data(query, json!({ "id": id })).await["batch"].take();
        assert_ne!(after["updatedAt"], before["updatedAt"]);
        assert_eq!(after["jobs"][0]["blockedBy"], json!([]));
        assert_eq!(after["jobs"][1]["blockedBy"], json!([{ "since": before["updatedAt"] }]));
    }

    async fn an_extract_has_no_result_to_publish_even_after_its_success(app: TestApp) {
        batch(app, json!({}), json!([extract("A")])).await;
        let lease = claim(app).await["A"].clone();
        for _ in 0..2 {
            assert_eq!(app.refused("publishLoad", json!({ "lease": lease })).await, ["WRONG_STATE lease"]);
            complete(app, &lease).await;
        }
    }

    async fn the_rest_is_canceled_where_the_policy_says_so(app: TestApp) {
        let jobs = json!([extract("A"), extract("B"), load("a", json!({ "extract": ["A"] })), load("b", json!({ "extract": ["B"] }))]);
        let id = batch(app, json!({ "failurePolicy": "CANCEL_BATCH" }), jobs).await;
        let leases = claim(app).await;
        let failed = json!({ "lease": leases["A"], "code": "X", "message": "x", "retryable": false });
        app.done("failJob", "job { status }", failed).await;
        is(&statuses(app, &id).await, &[("A", "FAILED"), ("B", "RUNNING"), ("a", "SKIPPED"), ("b", "CANCELED"), ("", "CANCELING")]);
        complete(app, &leases["B"]).await;
        assert_eq!(statuses(app, &id).await[""], "CANCELED");
    }

    async fn a_retry_runs_only_what_did_not_succeed_and_says_so_before(app: TestApp) {
        let jobs = json!([extract("A"), extract("B"), load("a", json!({ "extract": ["A", "B"] }))]);
        let id = batch(app, json!({}), jobs).await;
        let leases = claim(app).await;
        app.done("completeJob", "job { status }", json!({ "lease": leases["A"], "output": "kept" })).await;
        let failed = json!({ "lease": leases["B"], "code": "X", "message": "x", "retryable": false });
        app.done("failJob", "job { status }", failed).await;
        let plan = "query ($id: ID!) { planRetry(input: { id: $id }) { rerun { object } reused { object } userErrors { code } } }";
        let planned = app.data(plan, json!({ "id": id })).await;
        assert_eq!(planned["planRetry"], json!({
            "rerun": [{ "object": "B" }, { "object": "a" }], "reused": [{ "object": "A" }], "userErrors": [],
        }));
        for _ in 0..2 {
            app.done("retryBatch", "batch { status }", json!({ "id": id })).await;
            is(&statuses(app, &id).await, &[("A", "SUCCEEDED"), ("B", "READY"), ("a", "BLOCKED"), ("", "RUNNING")]);
        }
        complete(app, &claim(app).await["B"]).await;
        let payload = app.done("claimJobs", "claims { inputs { output job { object } } }", json!({ "worker": "w" })).await;
        assert_eq!(payload["claims"][0]["inputs"], json!([
            { "output": "kept", "job": { "object": "A" } }, { "output": null, "job": { "object": "B" } },
        ]));
    }

    async fn limits_hold_and_say_why_a_job_waits(app: TestApp) {
        let jobs: Vec<Value> = (0..20).map(|number| extract(&format!("o{number}"))).collect();
        let id = batch(app, json!({}), json!(jobs)).await;
        let query = "{ connections(first: 1) { nodes { id } } }";
        let connection = app.data(query, json!({})).await["connections"]["nodes"][0]["id"].clone();
        app.done("updateConnection", "connection { id }", json!({ "id": connection, "maxConcurrentJobs": 3 })).await;
        let claims = (0..16).map(|_| async { claim(app).await.into_values().collect::<Vec<_>>() });
        let leases = futures_util::future::join_all(claims).await.concat();
        assert_eq!(leases.len(), 3, "sixteen claims at once, three slots");
        let query = "query ($id: ID!) { batch(id: $id) { jobs { status blockedBy { __typename
            ... on WaitsForConnectionSlot { running limit since connection { name } } } } } }";
        let data = app.data(query, json!({ "id": id })).await;
        let ready = data["batch"]["jobs"].as_array().unwrap().iter().find(|job| job["status"] == "READY").unwrap();
        assert_eq!(ready["blockedBy"], json!([{
            "__typename": "WaitsForConnectionSlot", "running": 3, "limit": 3, "since": "2026-11-23T12:00:00Z",
            "connection": { "name": "source" },
        }]));
        complete(app, &leases[0]).await;
        assert_eq!(claim(app).await.len(), 1, "a free slot is used");
    }

    async fn the_cost_of_a_report_does_not_depend_on_the_size_of_the_batch(app: TestApp) {
        let mut costs = Vec::new();
        for size in [10, 10_000] {
            let mut jobs: Vec<Value> = (0..size / 2).map(|number| extract(&format!("o{number}"))).collect();
            jobs.extend((0..size / 2).map(|number| load(&format!("o{number}"), json!({ "extract": [format!("o{number}")] }))));
            let mut input = json!({ "jobs": jobs });
            let ends = ["sourceConnectionId", "destinationConnectionId"];
            for end in ends {
                input[end] = json!(app.create_connection(&format!("{end} {size}")).await);
            }
            assert_eq!(app.create_batch(input).await["userErrors"], json!([]));
            app.statements.take();
            let claims = app.done("claimJobs", "claims { lease }", json!({ "worker": "w", "limit": 4 })).await;
            let claimed = app.statements.take().len();
            let results: Vec<Value> =
                claims["claims"].as_array().unwrap().iter().map(|claim| json!({ "lease": claim["lease"] })).collect();
            assert_eq!(results.len(), 4);
            app.done("finishJobs", "results { userErrors { code } }", json!({ "results": results })).await;
            costs.push((claimed, app.statements.take().len()));
            // Nothing of it is left for the next.
            let left = app.data("{ batches(first: 1) { nodes { id } } }", json!({})).await;
            app.done("cancelBatch", "batch { status }", json!({ "id": left["batches"]["nodes"][0]["id"] })).await;
        }
        assert_eq!(costs[0].1, costs[1].1, "a report");
        // The first claim of all is written down beside, so that jobs can say whether anybody asks.
        assert!(costs[0].0 >= costs[1].0 && costs[1].0 <= 14, "a claim: {costs:?}");
    }

    async fn everything_wrong_with_a_claim_is_said_at_once(app: TestApp) {
        let input = json!({ "worker": " ", "types": [], "providers": [""], "limit": 0, "leaseSeconds": 0, "waitSeconds": 31, "tenantId": "x" });
        assert_eq!(app.refused("claimJobs", input).await, [
            "BLANK worker", "BLANK types", "BLANK providers.0", "INVALID_ID tenantId", "OUT_OF_RANGE limit",
            "OUT_OF_RANGE waitSeconds", "OUT_OF_RANGE leaseSeconds",
        ]);
    }
}

/// SQLite keeps no statistics by itself: it must find the way without them, however many jobs there are.
#[test]
fn who_waits_for_the_jobs_that_ended_is_found_by_their_own_edges_on_sqlite() {
    run(
        Engine::Sqlite,
        |_| {},
        |app| {
            Box::pin(async move {
                let mut jobs: Vec<Value> = (0..1000).map(|number| extract(&format!("o{number}"))).collect();
                jobs.extend((0..1000).map(|number| {
                    let object = format!("o{number}");
                    load(&object, json!({ "extract": [object] }))
                }));
                batch(app, json!({}), json!(jobs)).await;
                let mut results: Vec<Value> = Vec::new();
                while results.len() < 1000 {
                    results.extend(claim(app).await.values().map(|lease| json!({ "lease": lease })));
                }
                app.statements.take();
                app.done("finishJobs", "results { userErrors { code } }", json!({ "results": results }))
                    .await;
                let statements = app.statements.take();
                let waiting = statements.iter().find(|sql| sql.starts_with("WITH required")).unwrap();

                let db = app.db_connect().await;
                let explain =
                    Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {waiting}"));
                let plan = db.query_all_raw(explain).await.unwrap();
                let searches: Vec<String> = plan
                    .iter()
                    .map(|row| row.try_get::<String>("", "detail").unwrap())
                    .filter(|step| step.contains("INDEX"))
                    .collect();
                db.close().await.unwrap();
                assert_eq!(
                    searches,
                    [
                        "SEARCH dependencies USING COVERING INDEX dependencies_dependents (batch_id=? AND required=? AND kind=?)",
                        "SEARCH jobs USING INDEX jobs_batch_position (batch_id=? AND position=?)",
                    ]
                );
            })
        },
    );
}
