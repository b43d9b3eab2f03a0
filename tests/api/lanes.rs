//! What can be claimed stands in a table of its own, and no index of the jobs speaks of their state.

use serde_json::{Value, json};

use crate::{
    running::{claim, complete, extract, load, statuses},
    support::{TestApp, on_both, text},
};

/// Takes back what the change has made, as it was before.
const BACK: [&str; 8] = [
    "DROP TABLE ready_jobs",
    "DROP INDEX attempts_live",
    "DROP INDEX batches_unsuccessful",
    "ALTER TABLE attempts DROP COLUMN connection_id",
    "CREATE INDEX jobs_claimable ON jobs (type) WHERE status = 'ready' AND not_before IS NULL",
    "CREATE INDEX jobs_running ON jobs (tenant_id, connection_id) WHERE status = 'running'",
    "CREATE INDEX jobs_status_id ON jobs (status, id)",
    "CREATE UNIQUE INDEX attempts_live ON attempts (job_id) WHERE outcome IS NULL",
];

/// Makes a batch with these jobs between these ends, and gives its id.
async fn batch(app: &TestApp, (source, destination): &(String, String), jobs: Value) -> String {
    let input = json!({ "sourceConnectionId": source, "destinationConnectionId": destination, "jobs": jobs });
    text(&app.create_batch(input).await["batch"]["id"])
}

/// The objects of the jobs in these states, sorted.
async fn listed(app: &TestApp, statuses: &[&str]) -> Vec<String> {
    let query = "query ($statuses: [JobStatus!]) { jobs(filter: { statuses: $statuses }) { nodes { object } totalCount } }";
    let data = app.data(query, json!({ "statuses": statuses })).await;
    let nodes = data["jobs"]["nodes"].as_array().unwrap();
    assert_eq!(data["jobs"]["totalCount"], nodes.len());
    let mut objects: Vec<String> = nodes.iter().map(|job| text(&job["object"])).collect();
    objects.sort_unstable();
    objects
}

on_both! {
    async fn what_ran_and_what_was_ready_before_there_were_lanes_goes_on(app: TestApp) {
        let ends = app.create_ends().await;
        let first = batch(app, &ends, json!([extract("A"), load("a", json!({ "extract": ["A"] }))])).await;
        let running = claim(app).await;
        let second = batch(app, &ends, json!([extract("B"), load("b", json!({ "extract": ["B"] }))])).await;
        for sql in BACK {
            app.db_execute(sql).await;
        }
        app.db_execute("DELETE FROM seaql_migrations WHERE version = 'm0020_lanes'").await;
        app.migrate().await;

        complete(app, &running["A"]).await;
        for objects in [["B", "a"].as_slice(), &["b"]] {
            let mut claimed: Vec<_> = claim(app).await.into_iter().collect();
            claimed.sort_unstable();
            assert_eq!(claimed.iter().map(|(object, _)| &**object).collect::<Vec<_>>(), objects);
            for (_, lease) in claimed {
                complete(app, &lease).await;
            }
        }
        for id in [first, second] {
            assert_eq!(statuses(app, &id).await[""], "SUCCEEDED");
        }
    }

    async fn jobs_are_listed_by_each_of_their_states(app: TestApp) {
        let ends = app.create_ends().await;
        let jobs = |name: &str| {
            let load_of = |number| load(&format!("{name}-load{number}"), json!({ "extract": [format!("{name}{number}")] }));
            json!([extract(&format!("{name}1")), extract(&format!("{name}2")), load_of(1), load_of(2)])
        };
        batch(app, &ends, jobs("done")).await;
        for _ in 0..2 {
            for lease in claim(app).await.values() {
                complete(app, lease).await;
            }
        }
        batch(app, &ends, jobs("bad")).await;
        let leases = claim(app).await;
        complete(app, &leases["bad1"]).await;
        let failure = json!({ "lease": leases["bad2"], "code": "X", "message": "x", "retryable": false });
        app.done("failJob", "job { status }", failure).await;
        let canceled = batch(app, &ends, jobs("off")).await;
        app.done("cancelBatch", "batch { status }", json!({ "id": canceled })).await;
        let input = json!({ "worker": "w", "limit": 1 });
        app.done("claimJobs", "claims { lease }", input).await;
        batch(app, &ends, jobs("new")).await;

        assert_eq!(listed(app, &["READY"]).await, ["new1", "new2"]);
        assert_eq!(listed(app, &["RUNNING"]).await, ["bad-load1"]);
        assert_eq!(listed(app, &["BLOCKED"]).await, ["new-load1", "new-load2"]);
        assert_eq!(listed(app, &["FAILED"]).await, ["bad2"]);
        assert_eq!(listed(app, &["SKIPPED"]).await, ["bad-load2"]);
        assert_eq!(listed(app, &["CANCELED"]).await, ["off-load1", "off-load2", "off1", "off2"]);
        assert_eq!(listed(app, &["SUCCEEDED"]).await, ["bad1", "done-load1", "done-load2", "done1", "done2"]);
        assert_eq!(listed(app, &["FAILED", "RUNNING"]).await, ["bad-load1", "bad2"]);
    }
}
