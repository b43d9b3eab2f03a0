//! Incremental schedules: each job asks for what has changed since it last succeeded.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::{
    running::{complete, extract, load},
    support::{TestApp, on_both, text},
};

/// What `createSchedule` takes: two objects, each extracted and loaded, asked for with an overlap of a minute.
async fn two_objects(app: &TestApp) -> Value {
    let (source, destination) = app.create_ends().await;
    json!({
        "name": "incremental",
        "incremental": { "overlapSeconds": 60 },
        "overlapPolicy": "ALLOW",
        "template": {
            "sourceConnectionId": source,
            "destinationConnectionId": destination,
            "jobs": [
                extract("A"), load("a", json!({ "extract": ["A"] })),
                extract("B"), load("b", json!({ "extract": ["B"] })),
            ],
        },
    })
}

async fn create(app: &TestApp, input: &Value) -> String {
    text(&app.done("createSchedule", "schedule { id }", input.clone()).await["schedule"]["id"])
}

/// Makes the schedule what this input says, of which it is the version.
async fn update(app: &TestApp, id: &str, version: i32, mut input: Value) {
    (input["id"], input["version"]) = (id.into(), version.into());
    app.done("updateSchedule", "schedule { id }", input).await;
}

/// Makes a batch.
async fn trigger(app: &TestApp, id: &str) -> String {
    let fired = app.done("triggerSchedule", "firing { batch { id } }", json!({ "id": id })).await;
    text(&fired["firing"]["batch"]["id"])
}

/// Claims what there is for an hour, and gives the lease of each object's job.
async fn claim(app: &TestApp) -> HashMap<String, String> {
    let input = json!({ "worker": "w", "limit": 100, "leaseSeconds": 3600 });
    let payload = app.done("claimJobs", "claims { lease job { object } }", input).await;
    let claims = payload["claims"].as_array().unwrap().iter();
    claims.map(|claim| (text(&claim["job"]["object"]), text(&claim["lease"]))).collect()
}

/// Completes all jobs that can be claimed, ten seconds after they have started, and those that can be then, and so on.
/// Those of objects named here fail for good.
async fn finish_but(app: &TestApp, failing: &[&str]) {
    loop {
        let leases = claim(app).await;
        if leases.is_empty() {
            return;
        }
        app.advance(10);
        for (object, lease) in &leases {
            match failing.contains(&&**object) {
                true => fail(app, lease).await,
                false => complete(app, lease).await,
            }
        }
    }
}

async fn finish(app: &TestApp) {
    finish_but(app, &[]).await;
}

async fn fail(app: &TestApp, lease: &str) {
    let input = json!({ "lease": lease, "code": "X", "message": "x", "retryable": false });
    app.done("failJob", "job { status }", input).await;
}

/// Completes jobs that were claimed before, those of these objects.
async fn complete_all(app: &TestApp, leases: &HashMap<String, String>) {
    for lease in leases.values() {
        complete(app, lease).await;
    }
}

/// From when on each object of a batch is asked for, and why: `12:00:40 WATERMARK`, `NONE`.
async fn asked_for(app: &TestApp, batch: &str) -> Vec<String> {
    let query = "query ($id: ID!) { batch(id: $id) { jobs { object effectiveUpdatedSince
        window { updatedSince updatedSinceOrigin } } } }";
    let data = app.data(query, json!({ "id": batch })).await;
    let told = |job: &Value| {
        let window = &job["window"];
        assert_eq!(window["updatedSince"], job["effectiveUpdatedSince"], "{job}");
        let at = time(&window["updatedSince"]).map(|at| format!("{at} ")).unwrap_or_default();
        format!("{} {at}{}", text(&job["object"]), text(&window["updatedSinceOrigin"]))
    };
    data["batch"]["jobs"].as_array().unwrap().iter().map(told).collect()
}

/// The time of day, on the day of the tests.
fn time(at: &Value) -> Option<String> {
    let at = at.as_str()?;
    Some(at.strip_prefix("2026-11-23T").unwrap_or(at).trim_end_matches('Z').to_owned())
}

/// How far the objects of a schedule have got, in their order: `A 12:00:00`, `b reset`.
async fn levels(app: &TestApp, id: &str) -> Vec<String> {
    let query = "query ($id: ID!) { schedule(id: $id) { watermarks { nodes { object at resetAt } } } }";
    let data = app.data(query, json!({ "id": id })).await;
    let told = |node: &Value| match time(&node["at"]) {
        Some(at) => format!("{} {at}", text(&node["object"])),
        None => {
            assert!(node["resetAt"].is_string(), "{node}");
            format!("{} reset", text(&node["object"]))
        }
    };
    let mut told: Vec<String> =
        data["schedule"]["watermarks"]["nodes"].as_array().unwrap().iter().map(told).collect();
    told.sort();
    told
}

const EVERYTHING: [&str; 4] = ["A NONE", "a NONE", "B NONE", "b NONE"];

on_both! {
    async fn the_first_batch_asks_for_everything_and_the_next_for_what_has_changed(app: TestApp) {
        let mut input = two_objects(app).await;
        input["template"]["since"] = "2010-01-01".into();
        let id = create(app, &input).await;
        let first = trigger(app, &id).await;
        assert_eq!(asked_for(app, &first).await, EVERYTHING);
        assert_eq!(levels(app, &id).await, [""; 0]);
        app.advance(100);
        finish(app).await;
        // What its loads have written is what its extracts had read.
        assert_eq!(levels(app, &id).await, ["A 12:01:40", "B 12:01:40", "a 12:01:40", "b 12:01:40"]);

        let second = trigger(app, &id).await;
        let changed = ["A 12:00:40 WATERMARK", "a 12:00:40 WATERMARK", "B 12:00:40 WATERMARK", "b 12:00:40 WATERMARK"];
        assert_eq!(asked_for(app, &second).await, changed);
        let query = "query ($id: ID!) { schedule(id: $id) { incremental { overlapSeconds }
                watermarks { totalCount nodes { type object grain at connection { name } } } }
            batches(first: 1) { nodes { updatedSince jobs { since updatedSince
                window { since sinceOrigin updatedSince updatedSinceOrigin } } } } }";
        let data = app.data(query, json!({ "id": id })).await;
        assert_eq!(data["schedule"]["incremental"], json!({ "overlapSeconds": 60 }));
        assert_eq!(data["schedule"]["watermarks"]["totalCount"], 4);
        let watermark = |object: &str| {
            let nodes = data["schedule"]["watermarks"]["nodes"].as_array().unwrap();
            nodes.iter().find(|node| node["object"] == object).unwrap().clone()
        };
        let expected = |object: &str, of: &str, connection: &str| json!({
            "type": of, "object": object, "grain": null, "at": "2026-11-23T12:01:40Z", "connection": { "name": connection },
        });
        assert_eq!(watermark("A"), expected("A", "EXTRACT", "source"));
        assert_eq!(watermark("b"), expected("b", "LOAD", "destination"));
        let batch = &data["batches"]["nodes"][0];
        assert_eq!(batch["updatedSince"], Value::Null);
        assert_eq!(batch["jobs"][0], json!({
            "since": null, "updatedSince": "2026-11-23T12:00:40Z",
            "window": {
                "since": "2010-01-01T00:00:00Z", "sinceOrigin": "BATCH",
                "updatedSince": "2026-11-23T12:00:40Z", "updatedSinceOrigin": "WATERMARK",
            },
        }));
        // Who runs it is told the same.
        let claimed = app.done("claimJobs", "claims { job { effectiveUpdatedSince window { updatedSinceOrigin } } }",
            json!({ "worker": "w" })).await;
        assert_eq!(claimed["claims"][0]["job"], json!({
            "effectiveUpdatedSince": "2026-11-23T12:00:40Z", "window": { "updatedSinceOrigin": "WATERMARK" },
        }));
    }

    async fn what_failed_is_asked_for_again_and_the_rest_goes_on(app: TestApp) {
        let id = create(app, &two_objects(app).await).await;
        trigger(app, &id).await;
        finish_but(app, &["A", "b"]).await;
        assert_eq!(levels(app, &id).await, [""; 0]);
        let second = trigger(app, &id).await;
        assert_eq!(asked_for(app, &second).await, EVERYTHING);
        finish_but(app, &["b"]).await;
        assert_eq!(levels(app, &id).await, ["A 12:00:20", "a 12:00:20"]);
        let third = trigger(app, &id).await;
        let expected = ["A 11:59:20 WATERMARK", "a 11:59:20 WATERMARK", "B NONE", "b NONE"];
        assert_eq!(asked_for(app, &third).await, expected);
        finish_but(app, &["a"]).await;
        assert_eq!(levels(app, &id).await, ["A 12:00:20", "B 12:00:40", "a 12:00:20", "b 12:00:40"]);
    }

    async fn a_retry_asks_for_the_same_and_moves_what_it_makes_succeed(app: TestApp) {
        let id = create(app, &two_objects(app).await).await;
        trigger(app, &id).await;
        finish(app).await;
        app.advance(80);
        let batch = trigger(app, &id).await;
        finish_but(app, &["a"]).await;
        let failed = ["A 12:00:00", "B 12:01:40", "a 12:00:00", "b 12:01:40"];
        assert_eq!(levels(app, &id).await, failed);
        app.advance(3_600);
        app.done("retryBatch", "batch { status }", json!({ "id": batch })).await;
        let asked = asked_for(app, &batch).await;
        assert_eq!(asked[1], "a 11:59:00 WATERMARK");
        finish(app).await;
        // An hour later, it writes what was read then.
        assert_eq!(levels(app, &id).await, ["A 12:01:40", "B 12:01:40", "a 12:01:40", "b 12:01:40"]);
    }

    async fn an_older_batch_that_ends_later_moves_nothing_back(app: TestApp) {
        let mut input = two_objects(app).await;
        input["template"]["jobs"] = json!([extract("A")]);
        let id = create(app, &input).await;
        trigger(app, &id).await;
        let older = claim(app).await;
        app.advance(100);
        trigger(app, &id).await;
        finish(app).await;
        assert_eq!(levels(app, &id).await, ["A 12:01:40"]);
        complete_all(app, &older).await;
        assert_eq!(levels(app, &id).await, ["A 12:01:40"]);
    }

    async fn everything_of_one_object_is_asked_for_after_a_reset(app: TestApp) {
        let id = create(app, &two_objects(app).await).await;
        trigger(app, &id).await;
        finish(app).await;
        app.advance(80);
        trigger(app, &id).await;
        let running = claim(app).await;
        let selection = "schedule { id } watermarks { type object at resetAt }";
        let input = json!({ "scheduleId": id, "object": "A" });
        for _ in 0..2 {
            let reset = app.done("resetWatermark", selection, input.clone()).await;
            assert_eq!(reset["schedule"]["id"], id);
            assert_eq!(reset["watermarks"], json!([
                { "type": "EXTRACT", "object": "A", "at": null, "resetAt": "2026-11-23T12:01:40Z" },
            ]));
        }
        let query = "query ($id: ID!) { events(filter: { scheduleId: $id, kinds: [WATERMARK_RESET] }) {
            nodes { object actor { kind } } } }";
        let told = loop {
            let mut data = app.data(query, json!({ "id": id })).await;
            if data["events"]["nodes"] != json!([]) {
                break data["events"]["nodes"].take();
            }
        };
        assert_eq!(told, json!([{ "object": "A", "actor": { "kind": "CLIENT" } }]));
        // What runs at that moment does not undo it.
        complete_all(app, &running).await;
        finish(app).await;
        assert_eq!(levels(app, &id).await, ["A reset", "B 12:01:40", "a 12:01:40", "b 12:01:40"]);
        app.advance(100);
        let next = trigger(app, &id).await;
        let expected = ["A NONE", "a NONE", "B 12:00:40 WATERMARK", "b 12:00:40 WATERMARK"];
        assert_eq!(asked_for(app, &next).await, expected, "the load takes over all that the extract shows");
        finish(app).await;
        let after = trigger(app, &id).await;
        assert!(asked_for(app, &after).await.iter().all(|asked| asked.ends_with("12:02:30 WATERMARK")));

        for (object, of, problem) in [("C", None, "UNKNOWN_OBJECT object"), ("A", Some("LOAD"), "UNKNOWN_OBJECT object")] {
            let input = json!({ "scheduleId": id, "object": object, "type": of });
            assert_eq!(app.refused("resetWatermark", input).await, [problem]);
        }
        let wrong = json!({ "scheduleId": "schedule_00000000000000000000000000", "object": " " });
        assert_eq!(app.refused("resetWatermark", wrong).await, ["BLANK object"]);
        let nobodys = json!({ "scheduleId": "schedule_00000000000000000000000000", "object": "A" });
        assert_eq!(app.refused("resetWatermark", nobodys).await, ["NOT_FOUND scheduleId"]);
    }

    async fn the_first_batch_does_not_undo_a_reset_either(app: TestApp) {
        let id = create(app, &two_objects(app).await).await;
        trigger(app, &id).await;
        app.done("resetWatermark", "schedule { id }", json!({ "scheduleId": id, "object": "A" })).await;
        app.done("resetWatermark", "schedule { id }", json!({ "scheduleId": id, "object": "A" })).await;
        finish(app).await;
        assert_eq!(levels(app, &id).await, ["A reset", "B 12:00:00", "a 12:00:00", "b 12:00:00"]);
    }

    async fn a_load_into_another_connection_gets_everything(app: TestApp) {
        let mut input = two_objects(app).await;
        let id = create(app, &input).await;
        trigger(app, &id).await;
        finish(app).await;
        input["template"]["jobs"][1]["connectionId"] = app.create_connection("elsewhere").await.into();
        update(app, &id, 1, input).await;
        let next = trigger(app, &id).await;
        let expected = ["A NONE", "a NONE", "B 11:59:00 WATERMARK", "b 11:59:00 WATERMARK"];
        assert_eq!(asked_for(app, &next).await, expected);
        finish(app).await;
        let levels = levels(app, &id).await;
        assert_eq!(levels, ["A 12:00:20", "B 12:00:20", "a 12:00:00", "a 12:00:20", "b 12:00:20"]);
    }

    async fn a_job_that_says_itself_since_when_goes_by_no_watermark(app: TestApp) {
        let mut input = two_objects(app).await;
        input["template"]["updatedSince"] = "2020-01-01".into();
        input["template"]["jobs"][2]["updatedSince"] = "2015-01-01".into();
        let id = create(app, &input).await;
        let first = trigger(app, &id).await;
        let expected = ["A 2020-01-01T00:00:00 BATCH", "a 2020-01-01T00:00:00 BATCH",
            "B 2015-01-01T00:00:00 JOB", "b 2020-01-01T00:00:00 BATCH"];
        assert_eq!(asked_for(app, &first).await, expected);
        finish(app).await;
        assert_eq!(levels(app, &id).await, ["A 12:00:00", "a 12:00:00", "b 12:00:00"]);
        let second = trigger(app, &id).await;
        let expected = ["A 11:59:00 WATERMARK", "a 11:59:00 WATERMARK", "B 2015-01-01T00:00:00 JOB", "b 11:59:00 WATERMARK"];
        assert_eq!(asked_for(app, &second).await, expected);
    }

    async fn a_load_that_deletes_gets_no_part_of_its_extract(app: TestApp) {
        let mut deleting = two_objects(app).await;
        let incremental = deleting.clone();
        deleting["template"]["jobs"][1]["allowDelete"] = true.into();
        let refused = ["UNSAFE_DELETE template.jobs.1.allowDelete"];
        assert_eq!(app.refused("createSchedule", deleting.clone()).await, refused);
        let mut whole = deleting.clone();
        whole["incremental"] = Value::Null;
        let id = create(app, &whole).await;
        let mut update = deleting.clone();
        (update["id"], update["version"]) = (id.clone().into(), 1.into());
        assert_eq!(app.refused("updateSchedule", update).await, refused);

        let mut input = incremental;
        input["name"] = "other".into();
        let other = create(app, &input).await;
        let mut update = deleting.clone();
        (update["id"], update["version"]) = (other.into(), 1.into());
        assert_eq!(app.refused("updateSchedule", update).await, refused);

        deleting["incremental"]["overlapSeconds"] = (30 * 24 * 60 * 60 + 1).into();
        let mut both = app.refused("createSchedule", deleting.clone()).await;
        both.sort();
        assert_eq!(both, ["OUT_OF_RANGE incremental.overlapSeconds", refused[0]]);
        app.db_execute("UPDATE schedules SET overlap_seconds = 0").await;
        assert_eq!(app.refused("triggerSchedule", json!({ "id": id })).await, ["UNSAFE_DELETE id"]);
    }

    async fn nothing_moves_without_a_schedule_that_asks_for_it(app: TestApp) {
        let input = two_objects(app).await;
        let id = create(app, &input).await;
        // Made before it was changed, and ended after.
        trigger(app, &id).await;
        let mut whole = input.clone();
        whole["incremental"] = Value::Null;
        update(app, &id, 1, whole.clone()).await;
        finish(app).await;
        assert_eq!(levels(app, &id).await, [""; 0]);
        // Made before it was changed back.
        trigger(app, &id).await;
        update(app, &id, 2, input.clone()).await;
        finish(app).await;
        assert_eq!(levels(app, &id).await, [""; 0]);
        // No more what the schedule has asked for.
        let batch = trigger(app, &id).await;
        let mut replacement = input["template"].clone();
        (replacement["id"], replacement["version"]) = (batch.into(), 1.into());
        replacement["jobs"] = json!([extract("A")]);
        app.done("updateBatch", "batch { id }", replacement).await;
        finish(app).await;
        assert_eq!(levels(app, &id).await, [""; 0]);
        // From where it had got before.
        trigger(app, &id).await;
        finish(app).await;
        update(app, &id, 3, whole).await;
        let batch = trigger(app, &id).await;
        assert_eq!(asked_for(app, &batch).await, EVERYTHING);
        finish(app).await;
        update(app, &id, 4, input).await;
        let batch = trigger(app, &id).await;
        assert_eq!(asked_for(app, &batch).await[0], "A 11:59:50 WATERMARK");
    }

    async fn watermarks_go_with_their_schedule(app: TestApp) {
        let id = create(app, &two_objects(app).await).await;
        trigger(app, &id).await;
        finish(app).await;
        trigger(app, &id).await;
        app.done("deleteSchedule", "schedule { id }", json!({ "id": id })).await;
        finish(app).await;
        let data = app.data("{ batches { nodes { status } } }", Value::Null).await;
        assert_eq!(data["batches"]["nodes"], json!([{ "status": "SUCCEEDED" }, { "status": "SUCCEEDED" }]));
        let connection = app.db_connect().await;
        let sql = "SELECT count(*) AS number FROM watermarks";
        let rows = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), sql)).await;
        let number: i64 = rows.unwrap().unwrap().try_get("", "number").unwrap();
        assert_eq!(number, 0);
        connection.close().await.unwrap();
    }

    async fn what_had_succeeded_of_a_canceled_batch_moves(app: TestApp) {
        let id = create(app, &two_objects(app).await).await;
        let batch = trigger(app, &id).await;
        let extracts = claim(app).await;
        complete(app, &extracts["A"]).await;
        let load = claim(app).await;
        complete(app, &load["a"]).await;
        app.done("cancelBatch", "batch { id }", json!({ "id": batch })).await;
        assert_eq!(levels(app, &id).await, [""; 0]);
        complete(app, &extracts["B"]).await;
        assert_eq!(levels(app, &id).await, ["A 12:00:00", "a 12:00:00"]);
    }

    async fn a_batch_ends_with_its_watermarks_or_not_at_all(app: TestApp) {
        let mut input = two_objects(app).await;
        input["template"]["jobs"] = json!([extract("A")]);
        let id = create(app, &input).await;
        trigger(app, &id).await;
        let lease = claim(app).await["A"].clone();
        app.db_execute("ALTER TABLE watermarks RENAME TO out_of_reach").await;
        let report = "mutation ($input: CompleteJobInput!) { completeJob(input: $input) { job { status } } }";
        let failed = app.graphql(report, json!({ "input": { "lease": lease } })).await;
        assert_eq!(failed["errors"][0]["extensions"]["code"], "INTERNAL", "{failed}");
        app.db_execute("ALTER TABLE out_of_reach RENAME TO watermarks").await;
        let data = app.data("{ batches { nodes { status jobs { status } } } }", Value::Null).await;
        let running = json!([{ "status": "RUNNING", "jobs": [{ "status": "RUNNING" }] }]);
        assert_eq!(data["batches"]["nodes"], running);
        complete(app, &lease).await;
        assert_eq!(levels(app, &id).await, ["A 12:00:00"]);
    }

    async fn a_schedule_and_its_batches_never_wait_for_each_other_in_a_circle(app: TestApp) {
        let mut input = two_objects(app).await;
        input["overlapPolicy"] = "SKIP".into();
        input["template"]["jobs"] = json!([extract("A")]);
        let id = create(app, &input).await;
        for _ in 0..20 {
            trigger(app, &id).await;
            let lease = claim(app).await["A"].clone();
            let by_id = json!({ "id": id });
            let object = json!({ "scheduleId": id, "object": "A" });
            tokio::join!(
                complete(app, &lease),
                app.done("triggerSchedule", "firing { outcome }", by_id.clone()),
                app.done("resetWatermark", "schedule { id }", object),
                app.done("triggerSchedule", "firing { outcome }", by_id),
            );
            finish(app).await;
        }
    }

    async fn the_end_of_a_batch_takes_the_same_number_of_statements_whatever_its_size(app: TestApp) {
        let mut input = two_objects(app).await;
        let mut ends = Vec::new();
        for (name, incremental) in [("incremental", json!({})), ("whole", Value::Null)] {
            for size in [2, 50] {
                let jobs: Vec<Value> = (0..size).map(|number| extract(&format!("object {number}"))).collect();
                (input["name"], input["template"]["jobs"]) = (format!("{name} {size}").into(), jobs.into());
                input["incremental"] = incremental.clone();
                let id = create(app, &input).await;
                for _ in 0..2 {
                    trigger(app, &id).await;
                    let leases = claim(app).await;
                    app.advance(1);
                    let results: Vec<Value> = leases.values().map(|lease| json!({ "lease": lease })).collect();
                    app.statements.take();
                    app.done("finishJobs", "results { userErrors { code } }", json!({ "results": results })).await;
                    ends.push(app.statements.take());
                }
            }
        }
        let about = |table: &str| -> Vec<usize> {
            let named = format!("\"{table}\"");
            ends.iter().map(|end| end.iter().filter(|sql| sql.contains(&named)).count()).collect()
        };
        // To read them, and to move them.
        assert_eq!(about("watermarks"), [2, 2, 2, 2, 0, 0, 0, 0], "{ends:#?}");
        let jobs = about("jobs");
        assert_eq!(jobs, [jobs[4] + 1; 4].into_iter().chain([jobs[4]; 4]).collect::<Vec<_>>(), "{ends:#?}");
    }

    async fn watermarks_are_paged_in_a_stable_order(app: TestApp) {
        let mut input = two_objects(app).await;
        let jobs: Vec<Value> = (0..5).map(|number| extract(&number.to_string())).collect();
        input["template"]["jobs"] = jobs.into();
        let id = create(app, &input).await;
        let query = "query ($id: ID!, $after: String) { schedule(id: $id) { watermarks(first: 2, after: $after) {
            nodes { object } pageInfo { hasNextPage endCursor } } } }";
        let mut walks = Vec::new();
        for _ in 0..2 {
            trigger(app, &id).await;
            finish(app).await;
            let (mut seen, mut after) = (Vec::new(), Value::Null);
            loop {
                let data = app.data(query, json!({ "id": id, "after": after })).await;
                let page = &data["schedule"]["watermarks"];
                seen.extend(page["nodes"].as_array().unwrap().iter().map(|node| text(&node["object"])));
                if page["pageInfo"]["hasNextPage"] == false {
                    break;
                }
                after = page["pageInfo"]["endCursor"].clone();
            }
            walks.push(seen);
        }
        assert_eq!(walks[0], walks[1]);
        walks[0].sort();
        assert_eq!(walks[0], ["0", "1", "2", "3", "4"]);
    }
}
