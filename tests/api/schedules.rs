//! Schedules: made, changed, shown ahead; when they fire and what becomes of that.

use serde_json::{Value, json};

use crate::support::{Method, TestApp, on_both, problems, text};

const FIRINGS: &str = "query ($id: ID!) { schedule(id: $id) { nextAt
    lastFiring { dueAt }
    firings(first: 100) { totalCount nodes {
        dueAt cause outcome reason batch { id status trigger schedule { id } } userErrors { code field } } } } }";

/// What `createSchedule` takes: a batch of one extract, each hour.
async fn hourly(app: &TestApp) -> Value {
    let (source, destination) = app.create_ends().await;
    json!({
        "name": "hourly",
        "timetable": { "cron": "@hourly" },
        "template": {
            "sourceConnectionId": source,
            "destinationConnectionId": destination,
            "jobs": [{ "type": "EXTRACT", "object": "Account" }],
        },
    })
}

/// The same with other values of some fields.
fn but(mut input: Value, others: Value) -> Value {
    for (name, value) in others.as_object().unwrap() {
        input[name] = value.clone();
    }
    input
}

async fn create(app: &TestApp, input: Value) -> String {
    text(&app.done("createSchedule", "schedule { id }", input).await["schedule"]["id"])
}

/// The firings of a schedule, newest first, once there are this many.
async fn firings(app: &TestApp, id: &str, count: usize) -> Vec<Value> {
    loop {
        let data = app.data(FIRINGS, json!({ "id": id })).await;
        let nodes = data["schedule"]["firings"]["nodes"].as_array().unwrap().clone();
        if nodes.len() >= count {
            assert_eq!(data["schedule"]["firings"]["totalCount"], count);
            return nodes;
        }
    }
}

/// What became of them, newest first: `2026-11-23T13:00:00Z FIRED`, `… SKIPPED OVERLAP`.
async fn outcomes(app: &TestApp, id: &str, count: usize) -> Vec<String> {
    let told = |firing: &Value| {
        let reason = firing["reason"].as_str().unwrap_or_default();
        format!("{} {} {reason}", text(&firing["dueAt"]), text(&firing["outcome"])).trim_end().to_owned()
    };
    firings(app, id, count).await.iter().map(told).collect()
}

/// Runs the only job that can be claimed to its end.
async fn run_one(app: &TestApp) {
    let input = json!({ "worker": "w", "waitSeconds": 30 });
    let claimed = app.done("claimJobs", "claims { lease }", input).await;
    let lease = &claimed["claims"][0]["lease"];
    app.done("completeJob", "job { status }", json!({ "lease": lease })).await;
}

/// Asserts what the history says of a schedule, once it says so much: it is seen a moment after the change.
async fn assert_told(app: &TestApp, id: &str, expected: &[&str]) {
    let query = "query ($id: ID!) { events(filter: { scheduleId: $id }, first: 100) { nodes {
        kind batchId schedule { id } actor { kind } } } }";
    loop {
        let data = app.data(query, json!({ "id": id })).await;
        let nodes = data["events"]["nodes"].as_array().unwrap();
        assert!(nodes.iter().all(|node| node["batchId"].is_null()));
        let told = |node: &Value| format!("{} {}", text(&node["kind"]), text(&node["actor"]["kind"]));
        if nodes.len() >= expected.len() {
            assert_eq!(nodes.iter().map(told).collect::<Vec<_>>(), expected);
            return;
        }
    }
}

on_both! {
    async fn a_schedule_is_made_as_it_was_asked_for(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        let selection = "schedule { name timetable { cron timeZone clockGap clockOverlap } overlapPolicy catchUp
            catchUpSeconds pausedAt nextAt version createdAt updatedAt tenant { name } lastFiring { id }
            template { sourceConnection { name } destinationConnection { name } since updatedSince priority failurePolicy
                jobs { type object grain connection { name } since updatedSince allowDelete maxAttempts
                    requiredObjects { extract load loadResult } } } }";
        let made = app.done("createSchedule", selection, json!({
            "name": "nightly",
            "timetable": { "cron": "30 2 * * *", "timeZone": "europe/berlin", "clockGap": "SKIP", "clockOverlap": "BOTH" },
            "overlapPolicy": "QUEUE",
            "catchUp": "ALL",
            "catchUpSeconds": 3600,
            "template": {
                "sourceConnectionId": source,
                "destinationConnectionId": destination,
                "since": "2010-01-01",
                "priority": 5,
                "failurePolicy": "CANCEL_BATCH",
                "jobs": [
                    { "type": "EXTRACT", "object": "Account", "grain": "daily", "updatedSince": 1262304000 },
                    { "type": "LOAD", "object": "accounts", "connectionId": source, "maxAttempts": 7,
                      "requiredObjects": { "extract": ["Account"] } },
                ],
            },
        })).await;
        let job = |others: Value| but(json!({
            "grain": null, "connection": null, "since": null, "updatedSince": null, "allowDelete": false,
            "maxAttempts": 3, "requiredObjects": { "extract": [], "load": [], "loadResult": [] },
        }), others);
        assert_eq!(made["schedule"], json!({
            "name": "nightly",
            "timetable": {
                "cron": "30 2 * * *", "timeZone": "Europe/Berlin", "clockGap": "SKIP", "clockOverlap": "BOTH",
            },
            "overlapPolicy": "QUEUE",
            "catchUp": "ALL",
            "catchUpSeconds": 3600,
            "pausedAt": null,
            "nextAt": "2026-11-24T01:30:00Z",
            "version": 1,
            "createdAt": "2026-11-23T12:00:00Z",
            "updatedAt": "2026-11-23T12:00:00Z",
            "tenant": { "name": "default" },
            "lastFiring": null,
            "template": {
                "sourceConnection": { "name": "source" },
                "destinationConnection": { "name": "destination" },
                "since": "2010-01-01T00:00:00Z",
                "updatedSince": null,
                "priority": 5,
                "failurePolicy": "CANCEL_BATCH",
                "jobs": [
                    job(json!({ "type": "EXTRACT", "object": "Account", "grain": "daily",
                        "updatedSince": "2010-01-01T00:00:00Z" })),
                    job(json!({ "type": "LOAD", "object": "accounts", "connection": { "name": "source" },
                        "maxAttempts": 7, "requiredObjects": { "extract": ["Account"], "load": [], "loadResult": [] } })),
                ],
            },
        }));
    }

    async fn everything_that_is_wrong_with_a_schedule_is_said_at_once(app: TestApp) {
        let input = hourly(app).await;
        let mut wrong = but(input.clone(), json!({
            "name": " ",
            "timetable": { "cron": "61 * * * *", "timeZone": "Europe/Berln" },
            "catchUpSeconds": -1,
        }));
        wrong["template"]["jobs"] = json!([{ "type": "EXTRACT", "object": "", "connectionId": "job_1" }]);
        wrong["template"]["sourceConnectionId"] = "connection_00000000000000000000000000".into();
        let mut refused = app.refused("createSchedule", wrong).await;
        refused.sort();
        assert_eq!(refused, [
            "BLANK name",
            "BLANK template.jobs.0.object",
            "INVALID_CRON timetable.cron",
            "INVALID_ID template.jobs.0.connectionId",
            "INVALID_TIME_ZONE timetable.timeZone",
            "NOT_FOUND template.sourceConnectionId",
            "OUT_OF_RANGE catchUpSeconds",
        ]);
        create(app, input.clone()).await;
        assert_eq!(app.refused("createSchedule", input).await, ["NAME_TAKEN name"]);
    }

    async fn a_schedule_fires_each_time_that_it_is_due(app: TestApp) {
        let id = create(app, hourly(app).await).await;
        app.advance(3_599);
        app.advance(1);
        let first = firings(app, &id, 1).await.remove(0);
        assert_eq!(first["dueAt"], "2026-11-23T13:00:00Z");
        assert_eq!((&first["cause"], &first["outcome"]), (&json!("TIMETABLE"), &json!("FIRED")));
        let batch = &first["batch"];
        assert_eq!(batch["trigger"], "SCHEDULE");
        assert_eq!(batch["schedule"]["id"], id);
        run_one(app).await;
        app.advance(3_600);
        let due = ["2026-11-23T14:00:00Z FIRED", "2026-11-23T13:00:00Z FIRED"];
        assert_eq!(outcomes(app, &id, 2).await, due);

        let query = "query ($id: ID!) { schedule(id: $id) { nextAt lastFiring { dueAt schedule { name } }
            batches { totalCount nodes { status } } } }";
        let schedule = app.data(query, json!({ "id": id })).await["schedule"].take();
        assert_eq!(schedule, json!({
            "nextAt": "2026-11-23T15:00:00Z",
            "lastFiring": { "dueAt": "2026-11-23T14:00:00Z", "schedule": { "name": "hourly" } },
            "batches": { "totalCount": 2, "nodes": [{ "status": "PENDING" }, { "status": "SUCCEEDED" }] },
        }));
        // As the documentation has it: the tenant stands there for a schedule's batches.
        let rest = app.get(&format!("/batch/{}", text(&batch["id"]))).await.json();
        assert!(rest["tenant_id"].as_str().unwrap().starts_with("tenant_"), "{rest}");
    }

    async fn an_earlier_batch_that_has_not_ended_is_met_as_the_schedule_says(app: TestApp) {
        let input = hourly(app).await;
        for (policy, second, first) in [
            ("SKIP", "SKIPPED", "PENDING"),
            ("QUEUE", "QUEUED", "PENDING"),
            ("ALLOW", "FIRED", "PENDING"),
            ("CANCEL_PREVIOUS", "FIRED", "CANCELED"),
        ] {
            let id = create(app, but(input.clone(), json!({ "name": policy, "overlapPolicy": policy }))).await;
            for _ in 0..2 {
                app.done("triggerSchedule", "firing { id }", json!({ "id": id })).await;
            }
            let fired = firings(app, &id, 2).await;
            assert_eq!(fired[0]["outcome"], second, "{policy}");
            assert_eq!(fired[1]["batch"]["status"], first, "{policy}");
        }
    }

    async fn one_firing_waits_for_the_end_of_an_earlier_batch_and_others_are_left_out(app: TestApp) {
        let id = create(app, but(hourly(app).await, json!({ "overlapPolicy": "QUEUE" }))).await;
        for hours in 1..=3 {
            app.advance(3_600);
            firings(app, &id, hours).await;
        }
        let waiting = ["2026-11-23T15:00:00Z SKIPPED OVERLAP", "2026-11-23T14:00:00Z QUEUED", "2026-11-23T13:00:00Z FIRED"];
        assert_eq!(outcomes(app, &id, 3).await, waiting);
        run_one(app).await;
        app.advance(1);
        let released = ["2026-11-23T15:00:00Z SKIPPED OVERLAP", "2026-11-23T14:00:00Z FIRED", "2026-11-23T13:00:00Z FIRED"];
        while outcomes(app, &id, 3).await != released {
            app.advance(1);
        }
        assert_eq!(firings(app, &id, 3).await[1]["batch"]["trigger"], "SCHEDULE");
        let told = ["SCHEDULE_CREATED CLIENT", "FIRING_QUEUED SLUICE", "FIRING_SKIPPED SLUICE"];
        assert_told(app, &id, &told).await;
    }

    async fn what_was_missed_leaves_a_record_and_is_made_up_for_as_the_schedule_says(app: TestApp) {
        let input = hourly(app).await;
        let mut ids = Vec::new();
        for catch_up in ["NONE", "LATEST", "ALL"] {
            let others = json!({ "name": catch_up, "catchUp": catch_up, "overlapPolicy": "ALLOW" });
            ids.push(create(app, but(input.clone(), others)).await);
        }
        app.advance(3 * 3_600 + 600);
        let told = async |id: &str| {
            let outcomes = outcomes(app, id, 3).await;
            outcomes.iter().map(|told| told["2026-11-23T".len()..].to_owned()).collect::<Vec<_>>()
        };
        let missed = ["15:00:00Z SKIPPED MISSED", "14:00:00Z SKIPPED MISSED", "13:00:00Z SKIPPED MISSED"];
        assert_eq!(told(&ids[0]).await, missed);
        assert_eq!(told(&ids[1]).await, ["15:00:00Z FIRED", missed[1], missed[2]]);
        assert_eq!(told(&ids[2]).await, ["15:00:00Z FIRED", "14:00:00Z FIRED", "13:00:00Z FIRED"]);
    }

    async fn a_schedule_that_is_paused_is_not_due_but_can_be_triggered(app: TestApp) {
        let id = create(app, but(hourly(app).await, json!({ "overlapPolicy": "ALLOW" }))).await;
        let paused = app.done("pauseSchedule", "schedule { pausedAt nextAt version }", json!({ "id": id })).await;
        let expected = json!({ "pausedAt": "2026-11-23T12:00:00Z", "nextAt": null, "version": 2 });
        assert_eq!(paused["schedule"], expected);
        let again = app.done("pauseSchedule", "schedule { pausedAt nextAt version }", json!({ "id": id })).await;
        assert_eq!(again["schedule"], expected);
        app.advance(5_400);
        let selection = "firing { cause outcome dueAt batch { trigger schedule { id } } }";
        let key = json!({ "id": id, "idempotencyKey": "k" });
        let fired = app.done("triggerSchedule", selection, key.clone()).await["firing"].take();
        assert_eq!(fired, json!({
            "cause": "TRIGGER", "outcome": "FIRED", "dueAt": "2026-11-23T13:30:00Z",
            "batch": { "trigger": "MANUAL", "schedule": { "id": id } },
        }));
        assert_eq!(app.done("triggerSchedule", selection, key).await["firing"], fired);
        let resumed = app.done("resumeSchedule", "schedule { pausedAt nextAt version }", json!({ "id": id })).await;
        assert_eq!(resumed["schedule"], json!({ "pausedAt": null, "nextAt": "2026-11-23T14:00:00Z", "version": 3 }));
        assert_eq!(firings(app, &id, 1).await.len(), 1);
        app.advance(1_800);
        assert_eq!(outcomes(app, &id, 2).await[0], "2026-11-23T14:00:00Z FIRED");
        let told = ["SCHEDULE_CREATED CLIENT", "SCHEDULE_PAUSED CLIENT", "SCHEDULE_RESUMED CLIENT"];
        assert_told(app, &id, &told).await;
    }

    async fn what_a_server_whose_clock_is_ahead_has_fired_is_not_due_once_more(app: TestApp) {
        let input = but(hourly(app).await, json!({ "overlapPolicy": "ALLOW" }));
        let id = create(app, input.clone()).await;
        app.advance(3_600);
        firings(app, &id, 1).await;
        app.advance(-600);
        let update = but(input, json!({ "id": id, "version": 1 }));
        let updated = app.done("updateSchedule", "schedule { nextAt }", update).await;
        assert_eq!(updated["schedule"]["nextAt"], "2026-11-23T14:00:00Z");
        app.done("pauseSchedule", "schedule { id }", json!({ "id": id })).await;
        let resumed = app.done("resumeSchedule", "schedule { nextAt }", json!({ "id": id })).await;
        assert_eq!(resumed["schedule"]["nextAt"], "2026-11-23T14:00:00Z");
        app.advance(4_200);
        assert_eq!(outcomes(app, &id, 2).await, ["2026-11-23T14:00:00Z FIRED", "2026-11-23T13:00:00Z FIRED"]);
    }

    async fn a_template_that_will_not_do_any_more_makes_the_firing_fail_visibly(app: TestApp) {
        let input = hourly(app).await;
        let id = create(app, input.clone()).await;
        let source = json!({ "id": input["template"]["sourceConnectionId"] });
        app.done("archiveConnection", "connection { id }", source).await;
        app.advance(3_600);
        let fired = firings(app, &id, 1).await.remove(0);
        assert_eq!(fired["outcome"], "FAILED");
        assert_eq!(fired["batch"], Value::Null);
        assert_eq!(problems(&fired["userErrors"]), ["WRONG_STATE sourceConnectionId"]);
        assert_told(app, &id, &["SCHEDULE_CREATED CLIENT", "FIRING_FAILED SLUICE"]).await;
        let query = "query ($id: ID!) { events(filter: { scheduleId: $id }, last: 1) { nodes { error { code message } } } }";
        let told = app.data(query, json!({ "id": id })).await;
        let error = json!({ "code": "WRONG_STATE", "message": "this connection is archived and takes no new batches" });
        assert_eq!(told["events"]["nodes"][0]["error"], error);
        assert_eq!(app.refused("triggerSchedule", json!({ "id": id })).await, ["WRONG_STATE id"]);
        assert_eq!(firings(app, &id, 1).await.len(), 1);
    }

    async fn a_schedule_is_replaced_whole_and_removed_without_its_batches(app: TestApp) {
        let input = hourly(app).await;
        let id = create(app, input.clone()).await;
        app.done("triggerSchedule", "firing { id }", json!({ "id": id })).await;
        let mut update = but(input, json!({ "id": id, "version": 1, "name": "daily" }));
        update["timetable"] = json!({ "cron": "@daily", "timeZone": "Asia/Kathmandu" });
        let selection = "schedule { name nextAt version timetable { cron } }";
        let updated = app.done("updateSchedule", selection, update.clone()).await;
        assert_eq!(updated["schedule"], json!({
            "name": "daily", "nextAt": "2026-11-23T18:15:00Z", "version": 2, "timetable": { "cron": "@daily" },
        }));
        assert_eq!(app.refused("updateSchedule", update).await, ["STALE_VERSION version"]);
        assert_eq!(app.refused("deleteSchedule", json!({ "id": id, "version": 1 })).await, ["STALE_VERSION version"]);
        app.done("deleteSchedule", "schedule { name }", json!({ "id": id, "version": 2 })).await;
        let data = app.data("query ($id: ID!) { schedule(id: $id) { id } batches { nodes { trigger schedule { id } } } }",
            json!({ "id": id })).await;
        assert_eq!(data, json!({ "schedule": null, "batches": { "nodes": [{ "trigger": "MANUAL", "schedule": null }] } }));
        let told = ["SCHEDULE_CREATED CLIENT", "SCHEDULE_UPDATED CLIENT", "SCHEDULE_DELETED CLIENT"];
        assert_told(app, &id, &told).await;
        app.advance(86_400);
        assert_eq!(app.refused("triggerSchedule", json!({ "id": id })).await, ["NOT_FOUND id"]);
    }

    async fn runs_are_shown_ahead_with_what_the_clocks_make_of_them(app: TestApp) {
        let query = "query ($input: NextRunsInput!) { nextRuns(input: $input) {
            runs { at local label } userErrors { code message field } } }";
        let ask = async |timetable: Value, after: &str, first: i32| {
            let input = json!({ "timetable": timetable, "after": after, "first": first });
            app.data(query, json!({ "input": input })).await["nextRuns"].take()
        };
        let berlin = json!({ "cron": "30 2 * * *", "timeZone": "Europe/Berlin" });
        assert_eq!(ask(berlin.clone(), "2027-03-27T00:00:00Z", 3).await["runs"], json!([
            { "at": "2027-03-27T01:30:00Z", "local": "2027-03-27T02:30:00+01:00", "label": null },
            { "at": "2027-03-28T01:00:00Z", "local": "2027-03-28T03:00:00+02:00", "label": "SHIFTED" },
            { "at": "2027-03-29T00:30:00Z", "local": "2027-03-29T02:30:00+02:00", "label": null },
        ]));
        let both = but(berlin, json!({ "clockOverlap": "BOTH" }));
        assert_eq!(ask(both, "2027-10-31T00:00:00Z", 2).await["runs"], json!([
            { "at": "2027-10-31T00:30:00Z", "local": "2027-10-31T02:30:00+02:00", "label": "FIRST_OF_TWO" },
            { "at": "2027-10-31T01:30:00Z", "local": "2027-10-31T02:30:00+01:00", "label": "SECOND_OF_TWO" },
        ]));
        for (cron, zone, expected) in [
            ("0 0 31 2 *", "UTC", "INVALID_CRON timetable.cron"),
            ("*/0 * * * *", "UTC", "INVALID_CRON timetable.cron"),
            ("0 25 * * *", "UTC", "INVALID_CRON timetable.cron"),
            ("0 0 * * *", "Mars/Olympus", "INVALID_TIME_ZONE timetable.timeZone"),
            (&"*".repeat(10_000), "UTC", "TOO_LONG timetable.cron"),
        ] {
            let refused = ask(json!({ "cron": cron, "timeZone": zone }), "2027-01-01T00:00:00Z", 1).await;
            assert_eq!(problems(&refused["userErrors"]), [expected]);
        }
        let refused = ask(json!({ "cron": "@daily" }), "2027-01-01T00:00:00Z", 101).await;
        assert_eq!(problems(&refused["userErrors"]), ["OUT_OF_RANGE first"]);
    }

    async fn a_page_of_schedules_with_their_last_firings_takes_two_statements(app: TestApp) {
        let input = hourly(app).await;
        for number in 0..5 {
            let id = create(app, but(input.clone(), json!({ "name": format!("s{number}") }))).await;
            app.done("triggerSchedule", "firing { id }", json!({ "id": id })).await;
        }
        let query = "{ schedules { nodes { name lastFiring { outcome dueAt } } } }";
        app.data(query, Value::Null).await;
        app.statements.take();
        let data = app.data(query, Value::Null).await;
        assert_eq!(app.statements.take().len(), 2);
        let nodes = data["schedules"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 5);
        assert!(nodes.iter().all(|node| node["lastFiring"]["outcome"] == "FIRED"), "{data}");
    }

    async fn rest_can_replace_and_delete_a_batch_of_a_schedule(app: TestApp) {
        let id = create(app, hourly(app).await).await;
        let fired = app.done("triggerSchedule", "firing { batch { id } }", json!({ "id": id })).await;
        let path = format!("/batch/{}", text(&fired["firing"]["batch"]["id"]));
        let mut body = app.get(&path).await.json();
        body.as_object_mut().unwrap().remove("id");
        let replaced = app.send_json(Method::PUT, &path, &[], &body).await;
        assert_eq!(replaced.status, 200, "{}", replaced.text());
        assert_eq!(app.send(Method::DELETE, &path, &[], Vec::new()).await.status, 200);
    }
}
