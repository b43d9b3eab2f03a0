//! What has been kept long enough is deleted, in small steps and with all that hangs on it; and nothing else is.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionTrait};
use serde_json::{Value, json};
use sluice::{config::Config, domain::retention::Pruned};

use crate::{
    history::whole,
    running::{claim, complete, extract, load, statuses},
    support::{Event, TestApp, generous, kept, on_both, text},
};

/// What still tells of a batch that is not there: the history, and what became of firings and windows.
const TELL: [&str; 3] = ["events", "firings", "backfill_windows"];

/// In seconds.
const HOUR: i64 = 3_600;

type Ends = (String, String);

/// Makes a batch with these jobs between these ends, and gives its id.
async fn batch(app: &TestApp, (source, destination): &Ends, jobs: Value) -> String {
    let input = json!({ "sourceConnectionId": source, "destinationConnectionId": destination, "jobs": jobs });
    text(&app.create_batch(input).await["batch"]["id"])
}

/// An extract, and a load that requires it.
fn two(name: &str) -> Value {
    json!([extract(name), load(&format!("load of {name}"), json!({ "extract": [name] }))])
}

/// Claims what there is for an hour, and gives the lease of each object's job.
async fn claim_for_an_hour(app: &TestApp) -> BTreeMap<String, String> {
    let input = json!({ "worker": "w", "limit": 100, "leaseSeconds": 3_600 });
    let payload = app.done("claimJobs", "claims { lease job { object } }", input).await;
    let claims = payload["claims"].as_array().unwrap().iter();
    claims.map(|claim| (text(&claim["job"]["object"]), text(&claim["lease"]))).collect()
}

/// So many extracts and as many loads, each of which requires five of the extracts.
fn many(count: usize) -> Value {
    let extracts = (0..count).map(|number| extract(&format!("e{number}")));
    let required = |number| (0..5).map(|more| format!("e{}", (number + more) % count)).collect::<Vec<_>>();
    let loads = (0..count).map(|number| load(&format!("l{number}"), json!({ "extract": required(number) })));
    extracts.chain(loads).collect()
}

/// Makes a batch that ends at once: it is canceled.
async fn ended(app: &TestApp, ends: &Ends, jobs: Value) -> String {
    let id = batch(app, ends, jobs).await;
    app.done("cancelBatch", "batch { status }", json!({ "id": id })).await;
    id
}

async fn fail(app: &TestApp, lease: &str) {
    let failure = json!({ "lease": lease, "code": "X", "message": "x", "retryable": false });
    app.done("failJob", "job { status }", failure).await;
}

/// The batches that there are, the oldest first.
async fn batches(app: &TestApp) -> Vec<String> {
    let data = app.data("{ batches(first: 100, orderBy: { field: CREATED_AT, direction: ASC }) { nodes { id } totalCount } }", Value::Null).await;
    let nodes = data["batches"]["nodes"].as_array().unwrap();
    assert_eq!(data["batches"]["totalCount"], nodes.len());
    nodes.iter().map(|batch| text(&batch["id"])).collect()
}

/// How many rows each table has that tell of batches and their jobs, of those that `TELL` and of the others. Of the
/// others each must belong to a batch that is there.
async fn rows(app: &TestApp) -> BTreeMap<String, i64> {
    let db = app.db_connect().await;
    let backend = db.get_database_backend();
    let columns = match backend {
        DbBackend::Postgres => {
            "SELECT table_name AS place, column_name AS name FROM information_schema.columns
             WHERE table_schema = current_schema() AND column_name IN ('batch_id', 'job_id')"
        }
        _ => {
            "SELECT tables.name AS place, columns.name AS name FROM sqlite_master AS tables
             JOIN pragma_table_info(tables.name) AS columns
             WHERE tables.type = 'table' AND columns.name IN ('batch_id', 'job_id')"
        }
    };
    let number = async |sql: String| -> i64 {
        let row = db.query_one_raw(Statement::from_string(backend, sql)).await.unwrap().unwrap();
        row.try_get("", "number").unwrap()
    };
    let mut rows = BTreeMap::new();
    for column in db.query_all_raw(Statement::from_string(backend, columns)).await.unwrap() {
        let (table, column): (String, String) =
            (column.try_get("", "place").unwrap(), column.try_get("", "name").unwrap());
        rows.insert(table.clone(), number(format!("SELECT count(*) AS number FROM {table}")).await);
        let of = if column == "batch_id" { "batches" } else { "jobs" };
        let orphans = number(format!(
            "SELECT count(*) AS number FROM {table} WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT id FROM {of})"
        ))
        .await;
        assert!(orphans == 0 || TELL.contains(&&*table), "{orphans} rows of {table} belong to nothing");
    }
    rows.insert("batches".into(), number("SELECT count(*) AS number FROM batches".into()).await);
    db.close().await.unwrap();
    assert!(
        ["attempts", "dependencies", "jobs", "outputs", "ready_jobs"]
            .iter()
            .all(|name| rows.contains_key(*name))
    );
    rows
}

/// The same without what tells.
async fn rows_that_belong(app: &TestApp) -> BTreeMap<String, i64> {
    let mut rows = rows(app).await;
    rows.retain(|table, _| !TELL.contains(&&**table));
    rows
}

fn pruned(batches: u64, jobs: u64, events: u64) -> Pruned {
    Pruned { batches, jobs, events }
}

fn keeping_two_days(config: &mut Config) {
    config.retention = kept("2d", "3d");
}

/// Follows what comes after this cursor, each event with these fields.
fn follow(after: &Value, fields: &str) -> String {
    format!("subscription {{ events(after: {after}) {{ {fields} node {{ kind batchId jobId attempt }} }} }}")
}

fn code(response: &Value) -> &Value {
    &response["errors"][0]["extensions"]["code"]
}

/// How many events a batch of `two` jobs leaves that is canceled before it starts.
const EVENTS: usize = 4;

/// Deletes events that are older than this, once they can be seen: so many.
async fn trim(app: &TestApp, keep: &str, events: u64) {
    let pruner = app.pruner().await;
    let mut all = pruned(0, 0, 0);
    while all.events < events {
        all = all.and(pruner.run(kept("", keep)).await);
    }
    assert_eq!(all, pruned(0, 0, events));
}

on_both! {
    async fn what_ended_long_ago_goes_with_all_that_hangs_on_it_and_everything_else_stays(app: TestApp) {
        let ends = app.create_ends().await;
        let running = batch(app, &ends, two("running")).await;
        let canceling = batch(app, &ends, two("canceling")).await;
        assert_eq!(claim_for_an_hour(app).await.len(), 2);
        app.done("cancelBatch", "batch { status }", json!({ "id": canceling })).await;
        let good = batch(app, &ends, two("good")).await;
        let done = json!({ "lease": claim(app).await["good"], "output": { "file": "x" } });
        app.done("completeJob", "job { status }", done).await;
        complete(app, &claim(app).await["load of good"]).await;
        let bad = batch(app, &ends, two("bad")).await;
        fail(app, &claim(app).await["bad"]).await;
        let off = ended(app, &ends, two("off")).await;
        // One that was missed when its job was taken out of its lane.
        app.db_execute("INSERT INTO ready_jobs SELECT id, batch_id, type, connection_id, priority FROM jobs WHERE object = 'off'").await;
        let pending = batch(app, &ends, two("pending")).await;
        let again = ended(app, &ends, two("again")).await;
        app.done("retryBatch", "batch { status }", json!({ "id": again })).await;
        app.advance(HOUR / 2);
        let young = ended(app, &ends, two("young")).await;

        let pruner = app.pruner().await;
        let before = rows(app).await;
        assert_eq!(pruner.dry_run(kept("20m", "")).await, pruned(3, 6, 0));
        assert_eq!(rows(app).await, before, "nothing was deleted");
        assert_eq!(pruner.run(kept("20m", "")).await, pruned(3, 6, 0));
        assert_eq!(batches(app).await, [&running, &canceling, &pending, &again, &young].map(String::as_str));
        for gone in [good, bad, off] {
            let query = "query ($id: ID!) { batch(id: $id) { id } node(id: $id) { id } }";
            assert_eq!(app.data(query, json!({ "id": gone })).await, json!({ "batch": null, "node": null }));
        }
        let after = rows(app).await;
        let less = |table: &str| before[table] - after[table];
        let tables = ["batches", "jobs", "dependencies", "attempts", "outputs", "ready_jobs"];
        assert_eq!(tables.map(less), [3, 6, 3, 3, 1, 1]);
        assert_eq!(pruner.run(kept("20m", "")).await, pruned(0, 0, 0));
        assert_eq!(rows(app).await, after);
    }

    async fn a_large_batch_goes_step_by_step_unseen_and_claims_go_on_in_between(app: TestApp) {
        let ends = app.create_ends().await;
        let large = json!({
            "sourceConnectionId": ends.0, "destinationConnectionId": ends.1, "jobs": many(600), "idempotencyKey": "k"
        });
        let id = text(&app.create_batch(large.clone()).await["batch"]["id"]);
        app.done("cancelBatch", "batch { status }", json!({ "id": id })).await;
        let job = app.data("{ jobs(first: 1) { nodes { id } } }", Value::Null).await["jobs"]["nodes"][0]["id"].take();
        let live = batch(app, &ends, (0..20).map(|number| extract(&format!("live{number}"))).collect()).await;
        app.advance(1);

        let pruner = app.pruner().await;
        let mut all = pruned(0, 0, 0);
        let mut steps = 0;
        while let Some(step) = pruner.step(kept("0s", "")).await {
            assert!(step.jobs <= 500, "{step:?}");
            all = all.and(step);
            steps += 1;
            // Nobody sees that anything is left of it, and nothing can be done with it.
            let query = "query ($id: ID!, $job: ID!) { jobs { totalCount } batches { totalCount } batch(id: $id) { id }
                job(id: $job) { id } node(id: $job) { id } }";
            assert_eq!(app.data(query, json!({ "id": id, "job": job })).await, json!({
                "jobs": { "totalCount": 20 }, "batches": { "totalCount": 1 }, "batch": null, "job": null, "node": null,
            }));
            for mutation in ["retryBatch", "cancelBatch", "deleteBatch"] {
                assert_eq!(app.refused(mutation, json!({ "id": id })).await, ["NOT_FOUND id"]);
            }
            let input = json!({ "worker": "w", "limit": 1 });
            let claims = app.done("claimJobs", "claims { lease }", input).await;
            complete(app, &text(&claims["claims"][0]["lease"])).await;
        }
        assert_eq!(all, pruned(1, 1_200, 0));
        // Out of sight, 3,000 dependencies and 500 jobs, 500 jobs, 200 jobs and the batch.
        assert_eq!(steps, 4);
        assert_eq!(rows(app).await["jobs"], 20);
        assert_eq!(batches(app).await, [live]);
        let anew = text(&app.create_batch(large).await["batch"]["id"]);
        assert_ne!(anew, id, "its key is free");
    }

    async fn what_a_killed_pruner_has_left_is_out_of_sight_and_the_next_one_deletes_it(app: TestApp) {
        let ends = app.create_ends().await;
        ended(app, &ends, many(600)).await;
        ended(app, &ends, two("other")).await;
        app.advance(1);
        let pruner = app.pruner().await;
        pruner.step(kept("0s", "")).await;
        pruner.step(kept("0s", "")).await;
        drop(pruner);
        assert_eq!(batches(app).await, [""; 0]);
        rows(app).await;
        // One that keeps everything, as a server does that starts.
        let left = pruned(2, 702, 0);
        assert_eq!(app.pruner().await.dry_run(kept("1d", "")).await, left);
        assert_eq!(app.pruner().await.run(kept("", "")).await, left);
        assert!(rows_that_belong(app).await.values().all(|rows| *rows == 0));
    }

    async fn a_batch_that_somebody_runs_again_meanwhile_stays(app: TestApp) {
        let ends = app.create_ends().await;
        let id = ended(app, &ends, two("again")).await;
        app.advance(1);
        let (pruner, db) = (app.pruner().await, app.db_connect().await);
        if db.get_database_backend() == DbBackend::Postgres {
            // Whoever runs it again has locked it, and nobody waits for that.
            let other = db.begin().await.unwrap();
            other.execute_unprepared("SELECT FROM batches FOR UPDATE").await.unwrap();
            assert_eq!(pruner.run(kept("0s", "")).await, pruned(0, 0, 0));
            other.rollback().await.unwrap();
        }
        db.close().await.unwrap();
        app.done("retryBatch", "batch { status }", json!({ "id": id })).await;
        assert_eq!(pruner.run(kept("0s", "")).await, pruned(0, 0, 0));
        assert_eq!(statuses(app, &id).await["again"], "READY");
        for object in ["again", "load of again"] {
            complete(app, &claim(app).await[object]).await;
        }
        app.advance(1);
        assert_eq!(pruner.run(kept("0s", "")).await, pruned(1, 2, 0));
    }

    async fn two_pruners_at_once_delete_each_batch_once(app: TestApp) {
        let ends = app.create_ends().await;
        for number in 0..30 {
            ended(app, &ends, many(5 + number)).await;
        }
        let jobs = (0..30).map(|number| 2 * (5 + number)).sum();
        app.advance(1);
        let (one, other) = (app.pruner().await, app.pruner().await);
        let (one, other) = futures_util::join!(one.run(kept("0s", "")), other.run(kept("0s", "")));
        let left = app.pruner().await.run(kept("0s", "")).await;
        assert_eq!(one.and(other).and(left), pruned(30, jobs, 0));
        assert!(rows_that_belong(app).await.values().all(|rows| *rows == 0));
        let query = "{ events(filter: { kinds: [BATCH_DELETED] }, first: 100) { nodes { actor { kind } batchId } } }";
        let told = loop {
            let told = app.data(query, Value::Null).await["events"]["nodes"].take();
            if told.as_array().unwrap().len() >= 30 {
                break told;
            }
        };
        let mut ids: Vec<String> = told.as_array().unwrap().iter().map(|event| text(&event["batchId"])).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), told.as_array().unwrap().len()), (30, 30));
        assert_eq!(told[0]["actor"]["kind"], "SLUICE");
    }

    async fn a_step_takes_as_many_statements_for_much_as_for_little(app: TestApp) {
        let ends = app.create_ends().await;
        let pruner = app.pruner().await;
        let steps = async || {
            let mut steps = Vec::new();
            loop {
                pruner.statements.take();
                let step = pruner.step(kept("0s", "")).await;
                steps.push(pruner.statements.take().len());
                if step.is_none() {
                    return steps;
                }
            }
        };
        ended(app, &ends, two("little")).await;
        app.advance(1);
        let little = steps().await;
        for _ in 0..40 {
            ended(app, &ends, many(5)).await;
        }
        app.advance(1);
        assert_eq!(steps().await, little);
        assert_eq!(little.len(), 3, "out of sight, away, and a look that finds nothing");
        assert!(little.iter().all(|statements| *statements <= 8), "{little:?}");
    }

    async fn a_backfill_and_a_firing_outlive_their_batches_and_nothing_is_run_again(app: TestApp) {
        let ends = app.create_ends().await;
        let template = json!({
            "sourceConnectionId": ends.0, "destinationConnectionId": ends.1, "jobs": [extract("Account")]
        });
        let input = json!({ "name": "nightly", "template": template });
        let schedule = text(&app.done("createSchedule", "schedule { id }", input).await["schedule"]["id"]);
        app.done("triggerSchedule", "firing { outcome }", json!({ "id": schedule, "idempotencyKey": "t" })).await;
        complete(app, &claim(app).await["Account"]).await;
        let input = json!({
            "scheduleId": schedule, "from": "2026-01-01", "to": "2026-01-03", "step": "P1D", "maxParallel": 1
        });
        let backfill = text(&app.done("createBackfill", "backfill { id }", input).await["backfill"]["id"]);
        let next = async || {
            let input = json!({ "worker": "w", "waitSeconds": 30, "leaseSeconds": 3_600 });
            text(&app.done("claimJobs", "claims { lease }", input).await["claims"][0]["lease"])
        };
        complete(app, &next().await).await;
        let second = next().await;
        app.advance(1);

        let pruner = app.pruner().await;
        assert_eq!(pruner.run(kept("0s", "")).await, pruned(1, 1, 0), "the backfill goes on, and needs its batches");
        complete(app, &second).await;
        let query = "query ($id: ID!) { backfill(id: $id) { status progress { pending running succeeded }
            windows { nodes { index status batch { id } } }
            schedule { firings { nodes { outcome batch { id } } } } } }";
        let status = async || app.data(query, json!({ "id": backfill })).await["backfill"].take();
        while status().await["status"] != "SUCCEEDED" {}
        app.advance(1);
        assert_eq!(pruner.run(kept("0s", "")).await, pruned(2, 2, 0));
        let window = |index: u32| json!({ "index": index, "status": "SUCCEEDED", "batch": null });
        let expected = json!({
            "status": "SUCCEEDED", "progress": { "pending": 0, "running": 0, "succeeded": 2 },
            "windows": { "nodes": [window(0), window(1)] },
            "schedule": { "firings": { "nodes": [{ "outcome": "FIRED", "batch": null }] } },
        });
        assert_eq!(status().await, expected);
        let again = json!({ "id": schedule, "idempotencyKey": "t" });
        app.done("triggerSchedule", "firing { outcome batch { id } }", again).await;
        app.done("retryBackfill", "backfill { id }", json!({ "id": backfill })).await;
        assert_eq!(status().await, expected);
        assert_eq!(batches(app).await, [""; 0]);
        rows(app).await;
    }

    async fn the_history_is_kept_for_a_time_of_its_own_and_from_there_on_whole(app: TestApp) {
        let ends = app.create_ends().await;
        let old = ended(app, &ends, two("old")).await;
        app.advance(2 * HOUR);
        ended(app, &ends, two("young")).await;
        let all = whole(app, 2 * EVENTS).await;
        let pruner = app.pruner().await;
        assert_eq!(pruner.run(kept("1h", "")).await, pruned(1, 2, 0));
        assert_eq!(whole(app, 2 * EVENTS + 1).await[..2 * EVENTS], all, "it tells of the batch that is gone");
        assert_eq!(pruner.dry_run(kept("", "1h")).await, pruned(0, 0, EVENTS as u64));
        trim(app, "1h", EVENTS as u64).await;
        let kept = whole(app, EVENTS + 1).await;
        assert_eq!(kept[..EVENTS], all[EVENTS..]);
        assert_eq!((&kept[EVENTS]["node"]["kind"], &kept[EVENTS]["node"]["batchId"]), (&json!("BATCH_DELETED"), &json!(old)));
        rows(app).await;
    }

    async fn whoever_comes_back_after_too_long_is_told_that_something_is_gone(app: TestApp) {
        let ends = app.create_ends().await;
        ended(app, &ends, two("old")).await;
        app.advance(2 * HOUR);
        ended(app, &ends, two("young")).await;
        let all = whole(app, 2 * EVENTS).await;
        trim(app, "1h", EVENTS as u64).await;
        let query = "query ($after: String, $before: String) { events(first: 50, after: $after, before: $before) {
            edges { cursor node { kind batchId jobId attempt } } } }";
        for missed in &all[..EVENTS - 1] {
            let cursor = &missed["cursor"];
            let response = app.graphql(query, json!({ "after": cursor })).await;
            assert_eq!(code(&response), "HISTORY_GONE", "{response}");
            let message = text(&response["errors"][0]["message"]);
            assert!(message.contains("not kept any more, up to 2026-11-23T12:00:00Z;"), "{message}");
            let mut stream = app.stream(&follow(cursor, "cursor")).await;
            let response = stream.next().await;
            assert_eq!(code(&response), "HISTORY_GONE", "{response}");
            assert_eq!(stream.event().await, Some(Event::Complete));
            let mut socket = app.open_socket().await;
            socket.subscribe("1", &follow(cursor, "cursor")).await;
            assert!(socket.hear().await.to_string().contains("HISTORY_GONE"));
            let nothing = app.data(query, json!({ "before": cursor })).await;
            assert_eq!(nothing["events"]["edges"], json!([]));
        }
        // Who has seen the last one that is gone has missed nothing.
        let last = &all[EVENTS - 1]["cursor"];
        let mut stream = app.stream(&follow(last, "cursor")).await;
        for kept in &all[EVENTS..] {
            assert_eq!(&stream.next().await["data"]["events"], kept);
        }
        let rest = app.data(query, json!({ "after": last })).await;
        assert_eq!(rest["events"]["edges"].as_array().unwrap()[..], all[EVENTS..]);
    }

    async fn a_follower_that_is_overtaken_is_told_and_its_stream_ends(app: TestApp) with generous {
        let ends = app.create_ends().await;
        ended(app, &ends, many(400)).await;
        let all = whole(app, 802).await;
        app.advance(1);
        // What it asks for is more than what is kept for a client that does not read.
        let heavy: Vec<String> = (0..450).map(|number| format!("c{number}: cursor")).collect();
        let mut stream = app.stream(&follow(&all[0]["cursor"], &heavy.join(" "))).await;
        let mut seen = 0;
        let last = loop {
            let response = stream.next().await;
            if response.get("errors").is_some() {
                break response;
            }
            seen += 1;
            assert_eq!(response["data"]["events"]["node"], all[seen]["node"]);
            if seen == 1 {
                trim(app, "0s", 802).await;
            }
        };
        assert_eq!(code(&last), "HISTORY_GONE", "{last}");
        assert_eq!(stream.event().await, Some(Event::Complete));
        assert_eq!(seen, 500, "what was read in one go");
    }

    async fn what_comes_is_heard_where_nothing_is_left_of_what_was(app: TestApp) {
        let ends = app.create_ends().await;
        ended(app, &ends, two("old")).await;
        app.advance(1);
        let last = whole(app, EVENTS).await.pop().unwrap()["cursor"].take();
        trim(app, "0s", EVENTS as u64).await;
        assert_eq!(whole(app, 0).await, [Value::Null; 0]);
        let mut resumed = app.stream(&follow(&last, "cursor")).await;
        let mut stream = app.stream("subscription { events { node { kind } } }").await;
        // It is there a little later than its head: something goes on happening until it hears of it.
        let heard = tokio::select! {
            heard = stream.next() => heard,
            () = async { loop { ended(app, &ends, two("new")).await; } } => unreachable!(),
        };
        assert_eq!(heard.get("errors"), None, "{heard}");
        assert_eq!(resumed.next().await["data"]["events"]["node"]["kind"], "BATCH_CREATED");
    }

    async fn a_server_deletes_by_itself_what_it_has_kept_long_enough(app: TestApp) with keeping_two_days {
        let ends = app.create_ends().await;
        let id = ended(app, &ends, two("old")).await;
        whole(app, EVENTS).await;
        let metrics = async |name: &str| -> u64 {
            let metrics = app.get("/metrics").await.text();
            let line = metrics.lines().find(|line| line.starts_with(&format!("sluice_pruned_{name}_total ")));
            line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
        };
        let mut stream = app.stream(&format!("subscription {{ batch(id: \"{id}\") {{ status }} }}")).await;
        assert_eq!(stream.next().await["data"]["batch"]["status"], "CANCELED");
        app.advance(47 * HOUR);
        let young = ended(app, &ends, two("young")).await;
        assert_eq!(batches(app).await, [&*id, &young]);
        app.advance(HOUR + 1);
        assert_eq!(stream.event().await, Some(Event::Complete), "it hears that the batch is gone");
        while metrics("batches").await < 1 {}
        assert_eq!((metrics("batches").await, metrics("jobs").await, metrics("events").await), (1, 2, 0));
        assert_eq!(batches(app).await, [young]);
        // Its events are told of a day longer.
        app.advance(24 * HOUR);
        while metrics("events").await < EVENTS as u64 {
            app.advance(300);
        }
        assert_eq!(metrics("events").await, EVENTS as u64);
        rows(app).await;
    }
}
