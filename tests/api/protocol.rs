//! The worker protocol in every order: reports after reports, who gets which job first, and who is told why
//! a job waits.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    running::{batch, claim, extract, load, statuses},
    support::{TestApp, on_both, problems, text},
};

/// What became of an attempt before something is reported about it, and which of [`REPORTS`] are taken then.
const AFTER: [(&str, [bool; 5]); 7] = [
    ("running", [true, true, true, true, true]),
    ("published", [true, true, true, true, true]),
    ("succeeded", [true, true, false, false, false]),
    ("failed", [false, false, true, true, false]),
    ("retried", [false, false, true, true, false]),
    ("released", [false, false, false, false, true]),
    ("lost", [false, false, false, false, false]),
];
const REPORTS: [&str; 5] = ["publishLoad", "completeJob", "failJob", "failJob finally", "releaseJob"];

/// Reports something under a lease, and gives the payload.
async fn report(app: &TestApp, report: &str, lease: &str) -> Value {
    let (name, finally) = report.split_once(' ').unwrap_or((report, ""));
    let mut input = json!({ "lease": lease });
    if name == "failJob" {
        input = json!({ "lease": lease, "code": "X", "message": "x", "retryable": finally.is_empty() });
    }
    app.mutate(name, "job { status }", input).await
}

/// All attempts at the jobs of a batch, and where the jobs stand.
async fn rows(app: &TestApp, id: &str) -> Value {
    let query = "query ($id: ID!) { batch(id: $id) { status version
        jobs { object status attempt notBefore attempts { number outcome finishedAt error { code } } } } }";
    app.data(query, json!({ "id": id })).await
}

/// Makes claims of so many jobs each, one after the other, and gives what `of` says of each job.
async fn claimed(app: &TestApp, limits: &[usize], of: &str, at: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for limit in limits {
        let selection = format!("claims {{ job {{ {of} }} }}");
        let payload = app.done("claimJobs", &selection, json!({ "worker": "w", "limit": limit })).await;
        let claims = payload["claims"].as_array().unwrap().iter();
        found.extend(claims.map(|claim| claim["job"].pointer(at).unwrap().clone()));
    }
    found
}

/// The reasons of each object's job that waits for something.
async fn reasons(app: &TestApp, id: &str) -> Value {
    let query = "query ($id: ID!) { batch(id: $id) { jobs { object blockedBy { __typename
        ... on WaitsForRequirement { since kind job { object } status }
        ... on WaitsForConnectionSlot { since running limit connection { name } }
        ... on WaitsForTenantSlot { since running limit tenant { name } }
        ... on WaitsForRetry { since notBefore }
        ... on WaitsForWorker { since provider type }
        ... on WaitsForCancel { since } } } } }";
    let data = app.data(query, json!({ "id": id })).await;
    let jobs = data["batch"]["jobs"].as_array().unwrap().iter();
    jobs.filter(|job| job["blockedBy"] != json!([]))
        .map(|job| (text(&job["object"]), job["blockedBy"].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

on_both! {
    async fn every_report_after_every_outcome_is_taken_repeated_or_refused(app: TestApp) {
        let object = |outcome: &str, index: usize| format!("{outcome} {index}");
        let cells = |outcome| (0..REPORTS.len()).map(move |index| object(outcome, index));
        let jobs: Vec<Value> =
            AFTER.iter().flat_map(|(outcome, _)| cells(outcome)).map(|object| load(&object, json!({}))).collect();
        let id = batch(app, json!({}), json!(jobs)).await;
        let leases = claim(app).await;
        // Leases last a minute. All others are extended, so that only these are lost.
        let kept: Vec<Value> = leases.iter().filter(|(object, _)| !object.starts_with("lost"))
            .map(|(_, lease)| json!({ "lease": lease })).collect();
        app.advance(30);
        app.done("heartbeat", "leases { stop }", json!({ "leases": kept })).await;
        app.advance(31);
        while statuses(app, &id).await["lost 4"] != "READY" {}
        for (outcome, _) in AFTER {
            let first = match outcome {
                "published" => "publishLoad",
                "succeeded" => "completeJob",
                "failed" => "failJob finally",
                "retried" => "failJob",
                "released" => "releaseJob",
                _ => continue,
            };
            for object in cells(outcome) {
                assert_eq!(report(app, first, &leases[&object]).await["userErrors"], json!([]));
            }
        }
        for (outcome, taken) in AFTER {
            for (index, (name, taken)) in REPORTS.iter().zip(taken).enumerate() {
                let before = rows(app, &id).await;
                let payload = report(app, name, &leases[&object(outcome, index)]).await;
                let expected: &[&str] = if taken { &[] } else { &["LEASE_LOST lease"] };
                assert_eq!(problems(&payload["userErrors"]), expected, "{name} of one that has {outcome}");
                if !["running", "published"].contains(&outcome) {
                    assert_eq!(rows(app, &id).await, before, "{name} of one that has {outcome}");
                }
            }
        }
    }

    async fn a_tenant_with_ten_ready_jobs_is_not_held_up_by_one_with_three_hundred(app: TestApp) {
        for (name, count) in [("many", 300), ("few", 10)] {
            let (tenant, source, destination) = app.create_tenant_with_ends(name).await;
            let jobs: Vec<Value> = (0..count).map(|number| extract(&format!("o{number}"))).collect();
            let input = json!({ "tenantId": tenant, "sourceConnectionId": source, "destinationConnectionId": destination, "jobs": jobs });
            assert_eq!(app.create_batch(input).await["userErrors"], json!([]));
        }
        let few_of = async |limits: &[usize]| {
            let tenants = claimed(app, limits, "batch { tenant { name } }", "/batch/tenant/name").await;
            tenants.iter().filter(|tenant| *tenant == "few").count()
        };
        assert_eq!(few_of(&[1; 10]).await, 5, "one by one");
        assert_eq!(few_of(&[10]).await, 5, "ten at once");
        // Nothing is left for who has few; the other one has all there is.
        assert_eq!(few_of(&[1, 1, 3]).await, 0);
    }

    async fn what_has_the_higher_priority_is_claimed_first(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        for priority in [-5, 10, 0] {
            let input = json!({ "sourceConnectionId": source, "destinationConnectionId": destination,
                "priority": priority, "jobs": [extract("A"), extract("B")] });
            assert_eq!(app.create_batch(input).await["userErrors"], json!([]));
        }
        let priorities = claimed(app, &[1, 2, 3], "batch { priority }", "/batch/priority").await;
        assert_eq!(priorities, [10, 10, 0, 0, -5, -5]);
    }

    async fn each_waiting_worker_gets_what_it_asked_for_and_no_other(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        let (tenant, theirs, there) = app.create_tenant_with_ends("acme").await;
        let other = app.done("createConnection", "connection { id }", json!({ "name": "other", "provider": "sql" })).await;
        let wait = async |more: Value| {
            let mut input = json!({ "worker": "w", "limit": 10, "waitSeconds": 30 });
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let payload = app.done("claimJobs", "claims { job { object } }", input).await;
            payload["claims"].as_array().unwrap().iter().map(|claim| text(&claim["job"]["object"])).collect::<Vec<_>>()
        };
        let nobody = wait(json!({ "providers": ["nobody"] }));
        let batches = [
            json!({ "sourceConnectionId": source, "destinationConnectionId": destination, "jobs": [load("a load", json!({}))] }),
            json!({ "sourceConnectionId": other["connection"]["id"], "destinationConnectionId": destination, "jobs": [extract("of sql")] }),
            json!({ "tenantId": tenant, "sourceConnectionId": theirs, "destinationConnectionId": there, "jobs": [extract("of acme")] }),
        ];
        let mut workers = [
            (json!({ "types": ["LOAD"] }), "a load"),
            (json!({ "providers": ["sql"] }), "of sql"),
            (json!({ "tenantId": tenant }), "of acme"),
        ];
        let served = async {
            // Whoever of them asks first.
            for _ in 0..2 {
                let make = async {
                    for input in &batches {
                        assert_eq!(app.create_batch(input.clone()).await["userErrors"], json!([]));
                    }
                };
                let waiting = workers.iter().map(|(filter, _)| wait(filter.clone()));
                let (claimed, ()) = futures_util::future::join(join_all(waiting), make).await;
                assert_eq!(claimed, workers.each_ref().map(|(_, object)| [*object]));
                workers.reverse();
            }
            app.advance(31);
        };
        let (nothing, ()) = futures_util::future::join(nobody, served).await;
        assert_eq!(nothing, [""; 0], "nobody has such a provider");
    }

    async fn every_reason_why_a_job_waits_is_told_with_since_when(app: TestApp) {
        let jobs = json!([extract("A"), extract("B"), load("a", json!({ "extract": ["A"] }))]);
        let id = batch(app, json!({}), jobs).await;
        let noon = "2026-11-23T12:00:00Z";
        let of_worker = json!([{ "__typename": "WaitsForWorker", "since": noon, "provider": "csv", "type": "EXTRACT" }]);
        let of_requirement = json!([{ "__typename": "WaitsForRequirement", "since": noon, "kind": "EXTRACT", "job": { "object": "A" }, "status": "READY" }]);
        assert_eq!(reasons(app, &id).await, json!({ "A": of_worker, "B": of_worker, "a": of_requirement }));

        app.advance(10);
        let leases = claim(app).await;
        report(app, "failJob", &leases["A"]).await;
        let failed_at = "2026-11-23T12:00:10Z";
        let query = "query ($id: ID!) { batch(id: $id) { jobs { notBefore } } }";
        let not_before = app.data(query, json!({ "id": id })).await["batch"]["jobs"][0]["notBefore"].clone();
        let of_retry = json!([{ "__typename": "WaitsForRetry", "since": failed_at, "notBefore": not_before }]);
        assert_eq!(reasons(app, &id).await["A"], of_retry);

        let tenant = app.data("{ tenants { nodes { id } } }", json!({})).await["tenants"]["nodes"][0]["id"].clone();
        app.done("updateTenant", "tenant { id }", json!({ "id": tenant, "maxConcurrentJobs": 1 })).await;
        report(app, "releaseJob", &leases["B"]).await;
        app.advance(5);
        let lease = claim(app).await["B"].clone();
        app.advance(20);
        assert_eq!(claim(app).await.len(), 0, "the only slot is taken");
        let waits = reasons(app, &id).await;
        assert_eq!(waits["A"][0]["__typename"], "WaitsForTenantSlot", "{waits}");
        assert_eq!((&waits["A"][0]["running"], &waits["A"][0]["limit"], &waits["A"][0]["tenant"]["name"]), (&json!(1), &json!(1), &json!("default")));
        assert_ne!(waits["A"][0]["since"], json!(null));

        app.done("cancelBatch", "batch { status }", json!({ "id": id })).await;
        let of_cancel = json!([{ "__typename": "WaitsForCancel", "since": "2026-11-23T12:00:35Z" }]);
        assert_eq!(reasons(app, &id).await, json!({ "B": of_cancel }));
        report(app, "completeJob", &lease).await;
        assert_eq!(reasons(app, &id).await, json!({}));
    }

    async fn a_batch_is_replaced_before_it_starts_and_deleted_when_it_does_not_run(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        let make = async || {
            let input = json!({ "sourceConnectionId": source, "destinationConnectionId": destination, "jobs": [extract("A")] });
            text(&app.create_batch(input).await["batch"]["id"])
        };
        // What is done to a new batch, where it stands then, and whether it may be replaced and deleted.
        let states: [(&[&str], &str, bool, bool); 6] = [
            (&[], "PENDING", true, true),
            (&["claim"], "RUNNING", false, false),
            (&["claim", "cancel"], "CANCELING", false, false),
            (&["claim", "completeJob"], "SUCCEEDED", false, true),
            (&["claim", "failJob finally"], "FAILED", false, true),
            (&["cancel"], "CANCELED", false, true),
        ];
        for (steps, status, replaced, deleted) in states {
            let id = make().await;
            let mut lease = String::new();
            for step in steps {
                match *step {
                    "claim" => lease = claim(app).await["A"].clone(),
                    "cancel" => drop(app.done("cancelBatch", "batch { id }", json!({ "id": id })).await),
                    name => drop(report(app, name, &lease).await),
                }
            }
            assert_eq!(statuses(app, &id).await[""], status);
            let found = app.data("query ($id: ID!) { batch(id: $id) { version } }", json!({ "id": id })).await;
            let version = &found["batch"]["version"];
            let definition = json!({ "id": id, "version": version, "sourceConnectionId": source, "destinationConnectionId": destination, "jobs": [extract("A"), extract("B")] });
            let refused = |payload: Value| problems(&payload["userErrors"]);
            let expected = |allowed| if allowed { &[][..] } else { &["WRONG_STATE id"][..] };
            assert_eq!(refused(app.mutate("updateBatch", "", definition).await), expected(replaced), "to replace one that is {status}");
            assert_eq!(refused(app.mutate("deleteBatch", "", json!({ "id": id })).await), expected(deleted), "to delete one that is {status}");
        }
    }
}
