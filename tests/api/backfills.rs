//! Backfills: planned, made lazily, steered and retried, beside live batches.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, TransactionTrait};
use serde_json::{Value, json};

use crate::support::{TestApp, generous, on_both, problems, text};

const SHOWN: &str = "status progress { total pending running succeeded failed canceled }";

/// Makes a schedule of one extract, with these values of other fields.
async fn schedule(app: &TestApp, others: Value) -> String {
    let mut input = json!({ "name": "nightly" });
    if others["template"].is_null() {
        let (source, destination) = app.create_ends().await;
        input["template"] = json!({
            "sourceConnectionId": source, "destinationConnectionId": destination, "updatedSince": "2026-11-01",
            "jobs": [{ "type": "EXTRACT", "object": "Account", "since": "2020-01-01" }],
        });
    }
    for (name, value) in others.as_object().unwrap() {
        input[name] = value.clone();
    }
    text(&app.done("createSchedule", "schedule { id }", input).await["schedule"]["id"])
}

/// What `createBackfill` takes: so many days, with these values of other fields.
fn days(schedule: &str, days: u32, others: Value) -> Value {
    let to = format!("2026-01-{:02}", days + 1);
    let mut input = json!({ "scheduleId": schedule, "from": "2026-01-01", "to": to, "step": "P1D" });
    for (name, value) in others.as_object().unwrap() {
        input[name] = value.clone();
    }
    input
}

async fn create(app: &TestApp, input: Value) -> String {
    text(&app.done("createBackfill", "backfill { id }", input).await["backfill"]["id"])
}

/// Steers a backfill, and gives what is shown of it then.
async fn steer(app: &TestApp, mutation: &str, id: &str) -> Value {
    let selection = format!("backfill {{ {SHOWN} }}");
    shown(&app.done(mutation, &selection, json!({ "id": id })).await["backfill"])
}

/// Until it ends, no window begins on PostgreSQL, so that an answer can tell what its mutation has made of them.
/// SQLite has one writer, whom this would hold back as well.
async fn hold_batches(app: &TestApp) -> DatabaseTransaction {
    let held = app.db_connect().await.begin().await.unwrap();
    if held.get_database_backend() == DbBackend::Postgres {
        held.execute_unprepared("LOCK TABLE batches IN SHARE MODE").await.unwrap();
    }
    held
}

/// `RUNNING 5: 2 pending, 1 running, …` as a short text.
fn shown(backfill: &Value) -> Value {
    let of = |name: &str| backfill["progress"][name].as_u64().unwrap();
    let counts = ["pending", "running", "succeeded", "failed", "canceled"];
    let counts: Vec<_> =
        counts.iter().filter(|name| of(name) > 0).map(|name| format!("{} {name}", of(name))).collect();
    format!("{} of {}: {}", text(&backfill["status"]), of("total"), counts.join(", ")).into()
}

/// Waits until a backfill shows this.
async fn until(app: &TestApp, id: &str, expected: &str) {
    let query = format!("query ($id: ID!) {{ backfill(id: $id) {{ {SHOWN} }} }}");
    for asked in 0.. {
        let seen = shown(&app.data(&query, json!({ "id": id })).await["backfill"]);
        if seen == expected {
            return;
        }
        assert!(asked < 2_000, "never came about: {expected}; it is {seen}");
    }
}

/// Claims a job, and gives what is selected of the claim.
async fn claim(app: &TestApp, selection: &str) -> Value {
    let input = json!({ "worker": "w", "waitSeconds": 30, "leaseSeconds": 3_600 });
    app.done("claimJobs", &format!("claims {{ lease {selection} }}"), input).await["claims"][0].take()
}

async fn complete(app: &TestApp, claim: &Value) {
    app.done("completeJob", "job { status }", json!({ "lease": claim["lease"] })).await;
}

async fn fail(app: &TestApp, claim: &Value) {
    let input = json!({ "lease": claim["lease"], "code": "x", "message": "y", "retryable": false });
    app.done("failJob", "job { status }", input).await;
}

/// Windows, each as `0 2026-01-01 PENDING`.
fn windows(list: &Value) -> Vec<String> {
    let shown = |window: &Value| {
        format!("{} {} {}", window["index"], &text(&window["since"])[..10], text(&window["status"]))
    };
    list["nodes"].as_array().unwrap().iter().map(shown).collect()
}

on_both! {
    async fn a_year_by_day_is_planned_by_the_clocks_of_the_schedule_and_nothing_is_written(app: TestApp) {
        let timetable = json!({ "cron": "@daily", "timeZone": "Europe/Berlin" });
        let id = schedule(app, json!({ "timetable": timetable })).await;
        let plan = "query ($input: CreateBackfillInput!, $after: String) { planBackfill(input: $input) {
            windows(first: 2, after: $after) { totalCount nodes { index since until status batch { id } }
                pageInfo { hasPreviousPage hasNextPage endCursor } }
            batchCount jobCount priority timeZone userErrors { code field } } }";
        let input = json!({ "scheduleId": id, "from": "2025-12-31T23:00:00Z", "to": "2026-12-31T23:00:00Z", "step": "P1D" });
        let first = app.data(plan, json!({ "input": input })).await["planBackfill"].take();
        let window = |index: u32, since: &str, until: &str| json!({
            "index": index, "since": since, "until": until, "status": "PENDING", "batch": null });
        assert_eq!(first["windows"]["nodes"], json!([
            window(0, "2025-12-31T23:00:00Z", "2026-01-01T23:00:00Z"),
            window(1, "2026-01-01T23:00:00Z", "2026-01-02T23:00:00Z"),
        ]));
        assert_eq!(first["windows"]["totalCount"], 365);
        assert_eq!((&first["batchCount"], &first["jobCount"], &first["priority"], &first["timeZone"]),
            (&json!(365), &json!(365), &json!(-100), &json!("Europe/Berlin")));
        assert_eq!(first["userErrors"], json!([]));
        let all = "query ($input: CreateBackfillInput!) { planBackfill(input: $input) {
            windows(last: 100) { nodes { index since until } pageInfo { hasPreviousPage hasNextPage } } } }";
        let last = app.data(all, json!({ "input": input })).await["planBackfill"]["windows"].take();
        assert_eq!(last["nodes"][32], json!({
            "index": 297, "since": "2026-10-24T22:00:00Z", "until": "2026-10-25T23:00:00Z" }));
        assert_eq!(last["pageInfo"], json!({ "hasPreviousPage": true, "hasNextPage": false }));
        let after = json!({ "input": input, "after": first["windows"]["pageInfo"]["endCursor"] });
        let next = app.data(plan, after).await["planBackfill"].take();
        assert_eq!(next["windows"]["nodes"][0]["index"], 2);
        let query = "query ($id: ID!) { schedule(id: $id) { backfills { totalCount } batches { totalCount } } }";
        let none = json!({ "backfills": { "totalCount": 0 }, "batches": { "totalCount": 0 } });
        assert_eq!(app.data(query, json!({ "id": id })).await["schedule"], none);
    }

    async fn everything_that_is_wrong_with_a_backfill_is_said_at_once(app: TestApp) {
        let id = schedule(app, json!({})).await;
        let wrong = json!({ "scheduleId": "schedule_00000000000000000000000000", "from": "soon", "to": "2026-01-01",
            "step": "a day", "maxParallel": 0, "priority": 1_001, "idempotencyKey": " " });
        let mut refused = app.refused("createBackfill", wrong).await;
        refused.sort();
        assert_eq!(refused, [
            "BLANK idempotencyKey", "INVALID_DURATION step", "INVALID_SINCE from", "NOT_FOUND scheduleId",
            "OUT_OF_RANGE maxParallel", "OUT_OF_RANGE priority",
        ]);
        for (others, expected) in [
            (json!({ "scheduleId": "batch_00000000000000000000000000" }), "WRONG_ID_KIND scheduleId"),
            (json!({ "to": "2026-01-01" }), "OUT_OF_RANGE to"),
            (json!({ "from": "2027-01-01" }), "OUT_OF_RANGE to"),
            (json!({ "step": "P0D" }), "OUT_OF_RANGE step"),
            (json!({ "step": "-P1D" }), "OUT_OF_RANGE step"),
            (json!({ "step": "PT1S", "from": "2014-01-01", "to": "2026-01-01" }), "TOO_MANY step"),
            (json!({ "maxParallel": 101 }), "OUT_OF_RANGE maxParallel"),
            (json!({ "priority": 0 }), "OUT_OF_RANGE priority"),
        ] {
            assert_eq!(app.refused("createBackfill", days(&id, 3, others)).await, [expected]);
        }
        let plan = "query ($input: CreateBackfillInput!) { planBackfill(input: $input) {
            windows { totalCount } batchCount userErrors { code message field } } }";
        let million = days(&id, 1, json!({ "from": "2026-01-01", "to": "2026-01-12T13:46:40Z", "step": "PT1S" }));
        let planned = app.data(plan, json!({ "input": million })).await["planBackfill"].take();
        assert_eq!(problems(&planned["userErrors"]), ["TOO_MANY step"]);
        assert!(text(&planned["userErrors"][0]["message"]).contains(" 1000000 windows"));
        assert_eq!((&planned["batchCount"], &planned["windows"]["totalCount"]), (&json!(0), &json!(0)));

        let query = "query ($id: ID!) { schedule(id: $id) { template {
            sourceConnection { id } destinationConnection { id } } } }";
        let ends = app.data(query, json!({ "id": id })).await["schedule"]["template"].take();
        for (live, expected) in [(-1_000, Err("OUT_OF_RANGE priority")), (-950, Ok(-1_000)), (7, Ok(-93))] {
            let template = json!({
                "sourceConnectionId": ends["sourceConnection"]["id"], "priority": live,
                "destinationConnectionId": ends["destinationConnection"]["id"],
                "jobs": [{ "type": "EXTRACT", "object": "Account" }],
            });
            let id = schedule(app, json!({ "name": live.to_string(), "template": template })).await;
            let plan = "query ($input: CreateBackfillInput!) { planBackfill(input: $input) {
                priority userErrors { code field } } }";
            let planned = app.data(plan, json!({ "input": days(&id, 3, json!({})) })).await["planBackfill"].take();
            match expected {
                Ok(priority) => assert_eq!(planned["priority"], priority),
                Err(problem) => assert_eq!(problems(&planned["userErrors"]), [problem]),
            }
        }

        let source = app.data(query, json!({ "id": id })).await["schedule"]["template"]["sourceConnection"].take();
        app.done("archiveConnection", "connection { id }", source).await;
        assert_eq!(app.refused("createBackfill", days(&id, 3, json!({}))).await, ["WRONG_STATE scheduleId"]);
        let planned = app.data(plan, json!({ "input": days(&id, 3, json!({})) })).await["planBackfill"].take();
        assert_eq!((problems(&planned["userErrors"]), &planned["batchCount"]),
            (vec!["WRONG_STATE scheduleId".to_owned()], &json!(3)));
    }

    async fn the_batch_of_a_window_asks_for_its_data_and_for_all_of_it(app: TestApp) {
        let (source, destination) = (app.create_connection("s").await, app.create_connection("d").await);
        let id = schedule(app, json!({ "template": {
            "sourceConnectionId": source, "destinationConnectionId": destination, "since": "2001-01-01", "priority": 5,
            "jobs": [
                { "type": "EXTRACT", "object": "Account", "since": "2020-01-01", "updatedSince": "2026-11-01" },
                { "type": "LOAD", "object": "accounts", "allowDelete": true },
            ],
        } })).await;
        let backfill = create(app, days(&id, 2, json!({ "order": "NEWEST_FIRST" }))).await;
        let claimed = claim(app, "job { effectiveSince effectiveUntil effectiveUpdatedSince batch {
            since until updatedSince priority trigger schedule { id } backfill { id }
            jobs { since updatedSince allowDelete } } }").await;
        let job = json!({ "since": null, "updatedSince": null, "allowDelete": false });
        assert_eq!(claimed["job"], json!({
            "effectiveSince": "2026-01-02T00:00:00Z", "effectiveUntil": "2026-01-03T00:00:00Z",
            "effectiveUpdatedSince": null,
            "batch": {
                "since": "2026-01-02T00:00:00Z", "until": "2026-01-03T00:00:00Z", "updatedSince": null, "priority": -95,
                "trigger": "BACKFILL", "schedule": { "id": id }, "backfill": { "id": backfill }, "jobs": [job, job],
            },
        }));
    }

    async fn windows_are_begun_as_others_end_and_never_more_at_once_than_asked_for(app: TestApp) {
        let id = schedule(app, json!({})).await;
        let backfill = create(app, days(&id, 5, json!({ "maxParallel": 2 }))).await;
        for (begun, expected) in [
            (2, "RUNNING of 5: 3 pending, 2 running"),
            (3, "RUNNING of 5: 2 pending, 2 running, 1 succeeded"),
            (4, "RUNNING of 5: 1 pending, 2 running, 2 succeeded"),
            (5, "RUNNING of 5: 2 running, 3 succeeded"),
            (5, "RUNNING of 5: 1 running, 4 succeeded"),
        ] {
            until(app, &backfill, expected).await;
            let query = "query ($id: ID!) { schedule(id: $id) { batches(first: 10) { nodes { since } } } }";
            let batches = app.data(query, json!({ "id": id })).await["schedule"]["batches"]["nodes"].take();
            let days: Vec<_> = (1..=begun).rev().map(|day| json!({ "since": format!("2026-01-{day:02}T00:00:00Z") })).collect();
            assert_eq!(batches, json!(days));
            complete(app, &claim(app, "").await).await;
        }
        until(app, &backfill, "SUCCEEDED of 5: 5 succeeded").await;
        let query = "query ($id: ID!) { backfill(id: $id) { id schedule { name } tenant { name } from to step timeZone order
            maxParallel priority pausedAt userErrors { code } createdAt startedAt endedAt version } node(id: $id) { id } }";
        let seen = app.data(query, json!({ "id": backfill })).await;
        assert_eq!(seen["backfill"], json!({
            "id": backfill, "schedule": { "name": "nightly" }, "tenant": { "name": "default" },
            "from": "2026-01-01T00:00:00Z", "to": "2026-01-06T00:00:00Z", "step": "P1D", "timeZone": "UTC",
            "order": "OLDEST_FIRST", "maxParallel": 2, "priority": -100, "pausedAt": null, "userErrors": [],
            "createdAt": "2026-11-23T12:00:00Z", "startedAt": "2026-11-23T12:00:00Z", "endedAt": "2026-11-23T12:00:00Z",
            "version": 2,
        }));
        assert_eq!(seen["node"]["id"], backfill);
        let events = "query ($id: ID!) { events(filter: { backfillId: $id }) { nodes {
            kind actor { kind } batchId scheduleId backfill { id } } } }";
        for expected in ["BACKFILL_CREATED CLIENT", "BACKFILL_SUCCEEDED SLUICE"] {
            loop {
                let told = app.data(events, json!({ "id": backfill })).await["events"]["nodes"].take();
                let told: Vec<_> = told.as_array().unwrap().iter().map(|event| {
                    assert_eq!((&event["backfill"]["id"], &event["scheduleId"]), (&json!(backfill), &json!(id)));
                    format!("{} {}", text(&event["kind"]), text(&event["actor"]["kind"]))
                }).collect();
                if told.iter().any(|event| event == expected) {
                    assert!(told.len() <= 2, "{told:?}");
                    break;
                }
            }
        }
    }

    async fn a_backfill_that_is_paused_begins_no_window_until_it_is_resumed(app: TestApp) {
        let id = schedule(app, json!({})).await;
        let backfill = create(app, days(&id, 3, json!({}))).await;
        until(app, &backfill, "RUNNING of 3: 2 pending, 1 running").await;
        for _ in 0..2 {
            assert_eq!(steer(app, "pauseBackfill", &backfill).await, "PAUSED of 3: 2 pending, 1 running");
        }
        complete(app, &claim(app, "").await).await;
        app.advance(5);
        until(app, &backfill, "PAUSED of 3: 2 pending, 1 succeeded").await;
        let query = "query ($id: ID!) { backfill(id: $id) { version pausedAt schedule { batches { totalCount } } } }";
        assert_eq!(app.data(query, json!({ "id": backfill })).await["backfill"], json!({
            "version": 2, "pausedAt": "2026-11-23T12:00:00Z", "schedule": { "batches": { "totalCount": 1 } } }));
        for _ in 0..2 {
            steer(app, "resumeBackfill", &backfill).await;
            until(app, &backfill, "RUNNING of 3: 1 pending, 1 running, 1 succeeded").await;
        }
        complete(app, &claim(app, "").await).await;
        until(app, &backfill, "RUNNING of 3: 1 running, 2 succeeded").await;
        steer(app, "pauseBackfill", &backfill).await;
        complete(app, &claim(app, "").await).await;
        // There is nothing left to hold back.
        until(app, &backfill, "SUCCEEDED of 3: 3 succeeded").await;
        for mutation in ["pauseBackfill", "resumeBackfill", "cancelBackfill"] {
            assert_eq!(app.refused(mutation, json!({ "id": backfill })).await, ["WRONG_STATE id"], "{mutation}");
        }
        assert_eq!(steer(app, "retryBackfill", &backfill).await, "SUCCEEDED of 3: 3 succeeded");
    }

    async fn a_backfill_that_is_canceled_stops_what_runs_and_goes_on_when_it_is_retried(app: TestApp) {
        let id = schedule(app, json!({})).await;
        let backfill = create(app, days(&id, 5, json!({ "maxParallel": 2 }))).await;
        until(app, &backfill, "RUNNING of 5: 3 pending, 2 running").await;
        let running = claim(app, "").await;
        for _ in 0..2 {
            assert_eq!(steer(app, "cancelBackfill", &backfill).await, "CANCELING of 5: 1 running, 4 canceled");
        }
        assert_eq!(app.refused("retryBackfill", json!({ "id": backfill })).await, ["WRONG_STATE id"]);
        fail(app, &running).await;
        until(app, &backfill, "CANCELED of 5: 5 canceled").await;
        assert_eq!(steer(app, "cancelBackfill", &backfill).await, "CANCELED of 5: 5 canceled");
        let held = hold_batches(app).await;
        assert_eq!(steer(app, "retryBackfill", &backfill).await, "RUNNING of 5: 5 pending");
        held.commit().await.unwrap();
        for _ in 0..5 {
            complete(app, &claim(app, "").await).await;
        }
        until(app, &backfill, "SUCCEEDED of 5: 5 succeeded").await;
        let query = "query ($id: ID!) { schedule(id: $id) { batches { totalCount } } }";
        assert_eq!(app.data(query, json!({ "id": id })).await["schedule"]["batches"]["totalCount"], 5);

        let untouched = create(app, days(&id, 2, json!({}))).await;
        until(app, &untouched, "RUNNING of 2: 1 pending, 1 running").await;
        assert_eq!(steer(app, "cancelBackfill", &untouched).await, "CANCELED of 2: 2 canceled");
    }

    async fn only_what_did_not_succeed_is_run_again(app: TestApp) {
        let (source, destination) = (app.create_connection("s").await, app.create_connection("d").await);
        let id = schedule(app, json!({ "template": {
            "sourceConnectionId": source, "destinationConnectionId": destination,
            "jobs": [
                { "type": "EXTRACT", "object": "a" },
                { "type": "LOAD", "object": "b", "requiredObjects": { "extract": ["a"] } },
            ],
        } })).await;
        let backfill = create(app, days(&id, 3, json!({}))).await;
        let selection = "job { object batch { since } }";
        for day in 1..=3 {
            complete(app, &claim(app, selection).await).await;
            let load = claim(app, selection).await;
            if day == 2 { complete(app, &load).await } else { fail(app, &load).await }
        }
        until(app, &backfill, "FAILED of 3: 1 succeeded, 2 failed").await;
        let query = "query ($id: ID!) { backfill(id: $id) { windows(filter: { statuses: [FAILED] }) {
            totalCount nodes { index since status batch { id status } } } } }";
        let failed = app.data(query, json!({ "id": backfill })).await["backfill"]["windows"].take();
        assert_eq!(windows(&failed), ["0 2026-01-01 FAILED", "2 2026-01-03 FAILED"]);
        assert_eq!((&failed["totalCount"], &failed["nodes"][1]["batch"]["status"]), (&json!(2), &json!("FAILED")));

        // Somebody removes the batch of one of them: it gets another one.
        app.done("deleteBatch", "batch { id }", json!({ "id": failed["nodes"][1]["batch"]["id"] })).await;
        steer(app, "retryBackfill", &backfill).await;
        until(app, &backfill, "RUNNING of 3: 1 pending, 1 running, 1 succeeded").await;
        let mut ran = Vec::new();
        for _ in 0..3 {
            let claimed = claim(app, selection).await;
            ran.push(format!("{} {}", text(&claimed["job"]["object"]), &text(&claimed["job"]["batch"]["since"])[..10]));
            complete(app, &claimed).await;
        }
        assert_eq!(ran, ["b 2026-01-01", "a 2026-01-03", "b 2026-01-03"]);
        until(app, &backfill, "SUCCEEDED of 3: 3 succeeded").await;
    }

    async fn a_backfill_goes_on_when_the_batch_of_a_window_is_retried_by_itself(app: TestApp) {
        let id = schedule(app, json!({})).await;
        let backfill = create(app, days(&id, 2, json!({}))).await;
        let failed = claim(app, "job { batch { id } }").await;
        fail(app, &failed).await;
        complete(app, &claim(app, "").await).await;
        until(app, &backfill, "FAILED of 2: 1 succeeded, 1 failed").await;
        app.done("retryBatch", "batch { status }", failed["job"]["batch"].clone()).await;
        until(app, &backfill, "RUNNING of 2: 1 running, 1 succeeded").await;
        complete(app, &claim(app, "").await).await;
        until(app, &backfill, "SUCCEEDED of 2: 2 succeeded").await;
    }

    async fn a_window_whose_batch_is_canceled_or_removed_counts_as_canceled(app: TestApp) {
        let id = schedule(app, json!({})).await;
        let backfill = create(app, days(&id, 2, json!({ "maxParallel": 2 }))).await;
        until(app, &backfill, "RUNNING of 2: 2 running").await;
        let query = "query ($id: ID!) { schedule(id: $id) { batches { nodes { id } } } }";
        let batches = app.data(query, json!({ "id": id })).await["schedule"]["batches"]["nodes"].take();
        app.done("cancelBatch", "batch { id }", batches[0].clone()).await;
        app.done("deleteBatch", "batch { id }", batches[1].clone()).await;
        until(app, &backfill, "FAILED of 2: 2 canceled").await;
    }

    async fn a_template_that_does_not_do_any_more_pauses_a_backfill_and_says_why(app: TestApp) {
        let id = schedule(app, json!({})).await;
        let backfill = create(app, days(&id, 3, json!({}))).await;
        let running = claim(app, "job { connection { id } batch { id } }").await;
        app.done("archiveConnection", "connection { id }", running["job"]["connection"].clone()).await;
        complete(app, &running).await;
        until(app, &backfill, "PAUSED of 3: 2 pending, 1 succeeded").await;
        let query = "query ($id: ID!) { backfill(id: $id) { pausedAt userErrors { code field } schedule { version name
            template { destinationConnection { id } } } } }";
        let seen = app.data(query, json!({ "id": backfill })).await["backfill"].take();
        assert_eq!(problems(&seen["userErrors"]), ["WRONG_STATE sourceConnectionId"]);
        let other = app.create_connection("another").await;
        app.done("updateSchedule", "schedule { id }", json!({
            "id": id, "version": 1, "name": "mended",
            "template": {
                "sourceConnectionId": other,
                "destinationConnectionId": seen["schedule"]["template"]["destinationConnection"]["id"],
                "jobs": [{ "type": "EXTRACT", "object": "Account" }],
            },
        })).await;
        steer(app, "resumeBackfill", &backfill).await;
        until(app, &backfill, "RUNNING of 3: 1 pending, 1 running, 1 succeeded").await;
        assert_eq!(app.data(query, json!({ "id": backfill })).await["backfill"]["userErrors"], json!([]));
    }

    async fn the_same_key_gives_the_first_backfill_again(app: TestApp) {
        let id = schedule(app, json!({})).await;
        let keyed = |others: Value| {
            let mut input = days(&id, 3, others);
            input["idempotencyKey"] = "k".into();
            input
        };
        let first = create(app, keyed(json!({}))).await;
        assert_eq!(create(app, keyed(json!({ "priority": -100, "to": "1767484800" }))).await, first);
        for others in [json!({ "step": "P1W" }), json!({ "priority": -7 }), json!({ "order": "NEWEST_FIRST" })] {
            let refused = app.refused("createBackfill", keyed(others)).await;
            assert_eq!(refused, ["IDEMPOTENCY_CONFLICT idempotencyKey"]);
        }
        let query = "query ($id: ID!) { schedule(id: $id) { backfills { totalCount nodes { id } } } }";
        let all = app.data(query, json!({ "id": id })).await["schedule"]["backfills"].take();
        assert_eq!(all, json!({ "totalCount": 1, "nodes": [{ "id": first }] }));
    }

    async fn live_batches_go_before_a_year_by_day_on_a_connection_with_one_slot(app: TestApp) {
        let input = json!({ "name": "narrow", "provider": "csv", "maxConcurrentJobs": 1 });
        let made = app.done("createConnection", "connection { id }", input).await;
        let template = json!({
            "sourceConnectionId": made["connection"]["id"], "destinationConnectionId": made["connection"]["id"],
            "jobs": [{ "type": "EXTRACT", "object": "Account" }],
        });
        for (name, overlap) in [("skip", "SKIP"), ("queue", "QUEUE"), ("cancel", "CANCEL_PREVIOUS")] {
            let input = json!({
                "name": name, "timetable": { "cron": "* * * * *" }, "overlapPolicy": overlap, "template": template });
            let id = text(&app.done("createSchedule", "schedule { id }", input).await["schedule"]["id"]);
            let year = json!({ "scheduleId": id, "from": "2025-01-01", "to": "2026-01-01", "step": "P1D", "maxParallel": 3 });
            let backfill = create(app, year).await;
            until(app, &backfill, "RUNNING of 365: 362 pending, 3 running").await;
            let selection = "job { batch { trigger since } }";
            let mut running = claim(app, selection).await;
            assert_eq!(running["job"]["batch"]["trigger"], "BACKFILL");
            for _ in 0..2 {
                app.advance(60);
                let fired = "query ($id: ID!) { schedule(id: $id) { lastFiring { outcome batch { status } } } }";
                while app.data(fired, json!({ "id": id })).await["schedule"]["lastFiring"]["batch"]["status"] != "PENDING" {}
                complete(app, &running).await;
                let live = claim(app, selection).await;
                assert_eq!(live["job"]["batch"]["trigger"], "SCHEDULE", "{name}");
                complete(app, &live).await;
                running = claim(app, selection).await;
                assert_eq!(running["job"]["batch"]["trigger"], "BACKFILL", "{name}");
            }
            until(app, &backfill, "RUNNING of 365: 360 pending, 3 running, 2 succeeded").await;
            app.done("deleteSchedule", "schedule { id }", json!({ "id": id })).await;
            fail(app, &running).await;
        }
    }

    async fn a_schedule_that_is_removed_takes_its_backfills_along_and_cancels_them(app: TestApp) {
        let id = schedule(app, json!({})).await;
        let backfill = create(app, days(&id, 3, json!({ "maxParallel": 2 }))).await;
        until(app, &backfill, "RUNNING of 3: 1 pending, 2 running").await;
        let running = claim(app, "job { batch { id } }").await;
        app.done("pauseSchedule", "schedule { id }", json!({ "id": id })).await;
        until(app, &backfill, "RUNNING of 3: 1 pending, 2 running").await;
        app.done("deleteSchedule", "schedule { id }", json!({ "id": id })).await;
        let query = "query ($id: ID!) { backfill(id: $id) { id } batches { nodes {
            status trigger schedule { id } backfill { id } } } }";
        let seen = app.data(query, json!({ "id": backfill })).await;
        let batch = |status: &str| json!({ "status": status, "trigger": "BACKFILL", "schedule": null, "backfill": null });
        assert_eq!(seen["backfill"], Value::Null);
        assert_eq!(seen["batches"]["nodes"], json!([batch("CANCELED"), batch("CANCELING")]));
        fail(app, &running).await;
        let seen = app.data(query, json!({ "id": backfill })).await;
        assert_eq!(seen["batches"]["nodes"], json!([batch("CANCELED"), batch("CANCELED")]));
    }

    async fn windows_are_listed_in_the_order_of_time_begun_or_not(app: TestApp) with generous {
        let id = schedule(app, json!({})).await;
        for (order, begun) in [("OLDEST_FIRST", [0, 1, 2]), ("NEWEST_FIRST", [6, 5, 4])] {
            let backfill = create(app, days(&id, 7, json!({ "order": order, "maxParallel": 2 }))).await;
            until(app, &backfill, "RUNNING of 7: 5 pending, 2 running").await;
            complete(app, &claim(app, "").await).await;
            until(app, &backfill, "RUNNING of 7: 4 pending, 2 running, 1 succeeded").await;
            let status = |index: u32| match begun.iter().position(|begun| *begun == index) {
                None => "PENDING",
                Some(0) => "SUCCEEDED",
                Some(_) => "RUNNING",
            };
            let query = "query ($id: ID!, $filter: BackfillWindowFilter, $first: Int, $after: String, $last: Int, $before: String) {
                backfill(id: $id) { windows(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
                    totalCount nodes { index since status } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";
            for statuses in [vec![], vec!["PENDING"], vec!["RUNNING", "SUCCEEDED"], vec!["SUCCEEDED", "PENDING"], vec!["FAILED"]] {
                let expected: Vec<String> = (0..7)
                    .filter(|index| statuses.is_empty() || statuses.contains(&status(*index)))
                    .map(|index| format!("{index} 2026-01-{:02} {}", index + 1, status(index)))
                    .collect();
                for (size, cursor, from, more, backward) in [
                    ("first", "after", "endCursor", "hasNextPage", false),
                    ("last", "before", "startCursor", "hasPreviousPage", true),
                ] {
                    for rows in 1..=4 {
                        let (mut found, mut at) = (Vec::new(), Value::Null);
                        loop {
                            let mut variables = json!({ "id": backfill, "filter": { "statuses": statuses } });
                            (variables[size], variables[cursor]) = (rows.into(), at);
                            let mut page = app.data(query, variables).await["backfill"]["windows"].take();
                            assert_eq!(page["totalCount"], expected.len());
                            let shown = windows(&page);
                            found = if backward { [shown, found].concat() } else { [found, shown].concat() };
                            if page["pageInfo"][more] == false {
                                break;
                            }
                            at = page["pageInfo"][from].take();
                        }
                        assert_eq!(found, expected, "{order} {statuses:?} {size} {rows}");
                    }
                }
            }
            steer(app, "cancelBackfill", &backfill).await;
        }
    }

    async fn progress_costs_the_same_for_one_backfill_and_for_many(app: TestApp) {
        let id = schedule(app, json!({})).await;
        let query = "query ($id: ID!) { schedule(id: $id) { backfills(first: 50) { nodes {
            progress { pending running } schedule { name } } } } }";
        let mut costs = Vec::new();
        for count in [1, 9] {
            for _ in 0..count {
                let backfill = create(app, days(&id, 3, json!({}))).await;
                until(app, &backfill, "RUNNING of 3: 2 pending, 1 running").await;
                steer(app, "cancelBackfill", &backfill).await;
            }
            let (mut data, mut statements) = (Value::Null, usize::MAX);
            // What goes on in the background counts too: the least of some tries is the query's own.
            for _ in 0..5 {
                let of_this = app.statements.during(async { data = app.data(query, json!({ "id": id })).await });
                statements = statements.min(of_this.await);
            }
            costs.push(statements);
            assert_eq!(data["schedule"]["backfills"]["nodes"].as_array().unwrap().len(), [1, 10][costs.len() - 1]);
        }
        assert_eq!(costs[0], costs[1]);
    }

    async fn a_batch_can_ask_for_data_up_to_a_point(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        let input = |since: &str, until: &str, jobs: Value| json!({
            "sourceConnectionId": source, "destinationConnectionId": destination,
            "since": since, "until": until, "jobs": jobs, "idempotencyKey": format!("{since} {until}"),
        });
        let extract = json!([{ "type": "EXTRACT", "object": "a" }]);
        let selection = "batch { since until jobs { effectiveSince effectiveUntil } }";
        let made = app.done("createBatch", selection, input("2026-01-01", "2026-02-01", extract.clone())).await;
        assert_eq!(made["batch"], json!({
            "since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z",
            "jobs": [{ "effectiveSince": "2026-01-01T00:00:00Z", "effectiveUntil": "2026-02-01T00:00:00Z" }],
        }));
        let wrong = input("2026-02-01", "2026-02-01", json!([{ "type": "EXTRACT", "object": "a", "since": "2026-03-01" }]));
        assert_eq!(app.refused("createBatch", wrong).await, ["OUT_OF_RANGE until", "OUT_OF_RANGE jobs.0.since"]);
        let deleting = input("2026-01-01", "2026-02-02", json!([
            { "type": "EXTRACT", "object": "a" },
            { "type": "LOAD", "object": "b", "allowDelete": true, "requiredObjects": { "extract": ["a"] } },
        ]));
        assert_eq!(app.refused("createBatch", deleting).await, ["UNSAFE_DELETE jobs.1.allowDelete"]);
        let mut other = input("2026-01-01", "2026-02-01", extract);
        other["until"] = "2026-03-01".into();
        assert_eq!(app.refused("createBatch", other).await, ["IDEMPOTENCY_CONFLICT idempotencyKey"]);
    }

    async fn watermarks_move_when_a_backfill_has_succeeded_that_was_asked_to_and_no_further_than_its_start(app: TestApp) {
        let id = schedule(app, json!({ "incremental": { "overlapSeconds": 0 }, "template": {
            "sourceConnectionId": app.create_connection("s").await, "destinationConnectionId": app.create_connection("d").await,
            "jobs": [{ "type": "EXTRACT", "object": "Account" }],
        } })).await;
        let levels = "query ($id: ID!) { schedule(id: $id) { watermarks { nodes { object at } } } }";
        let at = async || {
            let seen = app.data(levels, json!({ "id": id })).await;
            seen["schedule"]["watermarks"]["nodes"].get(0).map_or(Value::Null, |first| first["at"].clone())
        };
        let run = async |to: &str, others: Value| {
            let mut input = days(&id, 2, others);
            input["to"] = to.into();
            input["from"] = "2026-01-01".into();
            input["step"] = "P1Y".into();
            let backfill = create(app, input).await;
            let claimed = claim(app, "job { window { since until updatedSince updatedSinceOrigin } }").await;
            let until = format!("{}Z", to.trim_end_matches('Z'));
            assert_eq!(claimed["job"]["window"], json!({
                "since": "2026-01-01T00:00:00Z", "until": until, "updatedSince": null, "updatedSinceOrigin": "NONE" }));
            app.advance(600);
            complete(app, &claimed).await;
            self::until(app, &backfill, "SUCCEEDED of 1: 1 succeeded").await;
        };
        run("2026-02-01T00:00:00Z", json!({})).await;
        assert_eq!(at().await, Value::Null, "untouched unless asked");
        run("2026-02-01T00:00:00Z", json!({ "advanceWatermark": true })).await;
        assert_eq!(at().await, "2026-02-01T00:00:00Z");
        run("2026-12-24T00:00:00Z", json!({ "advanceWatermark": true })).await;
        assert_eq!(at().await, "2026-11-23T12:20:00Z", "no further than when it was begun");
        run("2026-03-01T00:00:00Z", json!({ "advanceWatermark": true })).await;
        assert_eq!(at().await, "2026-11-23T12:20:00Z", "never back");

        let other = schedule(app, json!({ "name": "plain" })).await;
        let refused = app.refused("createBackfill", days(&other, 2, json!({ "advanceWatermark": true }))).await;
        assert_eq!(refused, ["INVALID_VALUE advanceWatermark"]);
    }
}
