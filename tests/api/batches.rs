//! Batches: made, planned, repeated, replaced, deleted, and everything that can be wrong with them.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{TestApp, on_both, problems, text, without_ids};

/// A whole definition: extracts in two grains, loads that wait for them, one connection of a job's own.
fn definition(source: &str, destination: &str, own: &str) -> Value {
    json!({
        "sourceConnectionId": source,
        "destinationConnectionId": destination,
        "since": "2026-01-01",
        "priority": 5,
        "failurePolicy": "CANCEL_BATCH",
        "jobs": [
            { "type": "LOAD", "object": "orders", "requiredObjects": { "extract": ["orders"], "load": ["accounts"] } },
            { "type": "EXTRACT", "object": "orders", "grain": "daily", "since": 1_262_304_000 },
            { "type": "EXTRACT", "object": "orders", "grain": "monthly", "connectionId": own },
            { "type": "EXTRACT", "object": "accounts", "updatedSince": "2026-02-03T04:05:06Z", "maxAttempts": 9 },
            { "type": "LOAD", "object": "accounts", "requiredObjects": { "extract": ["accounts", "accounts"] } },
            { "type": "LOAD", "object": "links", "allowDelete": true,
              "requiredObjects": { "loadResult": ["orders", "accounts"] } },
        ],
    })
}

const WHOLE: &str = "status priority failurePolicy since updatedSince version createdAt startedAt finishedAt
    updatedAt tenant { name } sourceConnection { name } destinationConnection { name }
    jobCounts { total blocked ready running succeeded failed skipped canceled }
    jobs { position type object grain connection { name } since updatedSince effectiveSince
        effectiveUpdatedSince allowDelete maxAttempts attempt status wave createdAt startedAt finishedAt
        requiredObjects { extract load loadResult }
        dependencies { kind satisfied job { position } } dependents { kind satisfied job { position } }
    }
    plan { waves { ...P } criticalPath { ...P } userErrors { code } }";

const PLANNED: &str = "fragment P on PlannedJob { position type object grain connection { name }
    effectiveSince effectiveUpdatedSince wave dependencies { kind job { position } } }";

async fn whole(app: &TestApp, id: &str) -> Value {
    let query = format!("query ($id: ID!) {{ batch(id: $id) {{ {WHOLE} }} }} {PLANNED}");
    app.data(&query, json!({ "id": id })).await["batch"].take()
}

/// Makes a source, a destination and one more connection.
async fn three_connections(app: &TestApp) -> [String; 3] {
    let (source, destination) = app.create_ends().await;
    [source, destination, app.create_connection("own").await]
}

/// What `createBatch` takes for these jobs between these ends.
fn batch((source, destination): &(String, String), jobs: Value) -> Value {
    json!({ "sourceConnectionId": source, "destinationConnectionId": destination, "jobs": jobs })
}

fn extract(object: &str) -> Value {
    json!({ "type": "EXTRACT", "object": object })
}

async fn make(app: &TestApp, input: Value) -> Value {
    app.done("createBatch", "batch { id version updatedAt jobs { id } }", input).await["batch"].take()
}

async fn total(app: &TestApp, list: &str) -> Value {
    app.data(&format!("{{ {list} {{ totalCount }} }}"), json!({})).await[list]["totalCount"].take()
}

/// Says of a batch that it has started.
async fn start(app: &TestApp, batch: &Value) {
    let position = "UPDATE jobs SET status = 'running', attempt = 1, last_attempt = 1, started_at = created_at WHERE position = 0";
    app.db_execute(position).await;
    app.db_execute("UPDATE batches SET status = 'running', started_at = created_at, version = version + 1")
        .await;
    let query = "query ($id: ID!) { batch(id: $id) { status startedAt jobs { status } } }";
    let data = app.data(query, json!({ "id": batch["id"] })).await;
    assert_eq!(data["batch"]["status"], "RUNNING");
}

on_both! {
    async fn a_batch_is_made_as_it_was_asked_for(app: TestApp) {
        let [source, destination, own] = three_connections(app).await;
        let made = make(app, definition(&source, &destination, &own)).await;
        let shown = whole(app, &text(&made["id"])).await;
        insta::assert_json_snapshot!("a_whole_batch", shown);

        let mutation = format!(
            "mutation ($input: CreateBatchInput!) {{ createBatch(input: $input) {{ batch {{ {WHOLE} }} }} }} {PLANNED}"
        );
        let input = definition(&source, &destination, &own);
        let answered = app.data(&mutation, json!({ "input": input })).await["createBatch"]["batch"].take();
        assert_eq!(answered, shown, "a mutation answers what a query does");
    }

    async fn a_plan_is_what_is_then_made(app: TestApp) {
        let [source, destination, own] = three_connections(app).await;
        let input = definition(&source, &destination, &own);
        let query = format!(
            "query ($input: CreateBatchInput!) {{ planBatch(input: $input) {{
                waves {{ ...P job {{ id }} }} criticalPath {{ ...P }} userErrors {{ code }} }} }} {PLANNED}"
        );
        let mut plan = app.data(&query, json!({ "input": input })).await["planBatch"].take();
        assert_eq!(total(app, "batches").await, 0, "a plan makes nothing");
        for job in plan["waves"].as_array_mut().unwrap().iter_mut().flat_map(|wave| wave.as_array_mut().unwrap()) {
            assert_eq!(job.as_object_mut().unwrap().remove("job"), Some(Value::Null));
        }
        let made = make(app, input).await;
        assert_eq!(whole(app, &text(&made["id"])).await["plan"], plan);

        let query = "query ($id: ID!) { batch(id: $id) { plan { waves { position job { id } } } } }";
        let data = app.data(query, json!({ "id": made["id"] })).await;
        for job in data["batch"]["plan"]["waves"].as_array().unwrap().iter().flat_map(|wave| wave.as_array().unwrap()) {
            let position = job["position"].as_u64().unwrap() as usize;
            assert_eq!(job["job"]["id"], made["jobs"][position]["id"]);
        }
    }

    async fn jobs_of_a_batch_are_filtered_by_type_status_and_object(app: TestApp) {
        let [source, destination, own] = three_connections(app).await;
        let made = make(app, definition(&source, &destination, &own)).await;
        let query = "query ($id: ID!, $filter: BatchJobFilter) { batch(id: $id) { jobs(filter: $filter) { position } } }";
        for (filter, expected) in [
            (json!({}), vec![0, 1, 2, 3, 4, 5]),
            (json!({ "type": "LOAD" }), vec![0, 4, 5]),
            (json!({ "statuses": ["READY"] }), vec![1, 2, 3]),
            (json!({ "statuses": [] }), vec![0, 1, 2, 3, 4, 5]),
            (json!({ "object": "orders" }), vec![0, 1, 2]),
            (json!({ "object": "orders", "type": "EXTRACT", "statuses": ["READY", "RUNNING"] }), vec![1, 2]),
            (json!({ "object": "nothing" }), vec![]),
        ] {
            let data = app.data(query, json!({ "id": made["id"], "filter": filter })).await;
            let expected: Value = expected.into_iter().map(|position| json!({ "position": position })).collect();
            assert_eq!(data["batch"]["jobs"], expected, "{filter}");
        }
    }

    async fn everything_wrong_with_a_batch_is_said_at_once(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        let archived = app.create_connection("archived").await;
        app.done("archiveConnection", "", json!({ "id": archived })).await;
        let tenant = app.create_tenant("other").await;
        let foreign = app.create_connection_of(&tenant, "foreign").await;
        let input = json!({
            "sourceConnectionId": tenant,
            "destinationConnectionId": archived,
            "since": "yesterday",
            "updatedSince": "2026-01-01",
            "priority": 1001,
            "idempotencyKey": "k".repeat(256),
            "jobs": [
                { "type": "EXTRACT", "object": " ", "grain": "g".repeat(65), "maxAttempts": 0 },
                { "type": "EXTRACT", "object": "a", "connectionId": source, "allowDelete": true },
                { "type": "EXTRACT", "object": "a", "connectionId": source, "since": "2026-02-30" },
                { "type": "LOAD", "object": "a", "allowDelete": true, "requiredObjects": { "extract": ["a"] } },
                { "type": "LOAD", "object": "b", "connectionId": foreign,
                  "requiredObjects": { "extract": ["nothing"], "load": ["c"], "loadResult": ["", "a"] } },
                { "type": "LOAD", "object": "c", "connectionId": destination, "requiredObjects": { "load": ["b"] } },
                { "type": "LOAD", "object": "d", "connectionId": "d", "maxAttempts": 101 },
            ],
        });
        let refused = app.mutate("createBatch", "batch { id }", input.clone()).await;
        assert_eq!(refused["batch"], Value::Null);
        insta::assert_json_snapshot!("everything_that_is_wrong", without_ids(&refused["userErrors"]));

        let query = "query ($input: CreateBatchInput!) { planBatch(input: $input) {
            waves { object } criticalPath { object } userErrors { code message field } } }";
        let plan = app.data(query, json!({ "input": input })).await["planBatch"].take();
        let expected = json!({ "waves": [], "criticalPath": [], "userErrors": refused["userErrors"] });
        assert_eq!(plan, expected, "a plan says the same");
        assert_eq!(total(app, "batches").await, 0);
    }

    async fn a_cycle_is_named_whole(app: TestApp) {
        let ends = app.create_ends().await;
        let jobs = json!([
            { "type": "LOAD", "object": "a", "requiredObjects": { "load": ["b"] } },
            { "type": "LOAD", "object": "b", "grain": "daily", "requiredObjects": { "loadResult": ["c"] } },
            { "type": "LOAD", "object": "c", "requiredObjects": { "load": ["a"] } },
            { "type": "LOAD", "object": "alone", "requiredObjects": { "load": ["alone"] } },
            { "type": "LOAD", "object": "waits", "requiredObjects": { "load": ["a"] } },
        ]);
        let refused = app.mutate("createBatch", "", batch(&ends, jobs)).await;
        insta::assert_json_snapshot!("a_cycle", refused["userErrors"]);
    }

    async fn a_batch_needs_a_job(app: TestApp) {
        let ends = app.create_ends().await;
        assert_eq!(app.refused("createBatch", batch(&ends, json!([]))).await, ["BLANK jobs"]);
    }

    async fn nothing_of_another_tenant_can_be_used(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        let tenant = app.create_tenant("acme").await;
        let theirs = app.create_connection_of(&tenant, "theirs").await;

        let input = batch(&(theirs.clone(), destination.clone()), json!([extract("a")]));
        assert_eq!(app.refused("createBatch", input).await, ["NOT_FOUND sourceConnectionId"]);
        let mut input = batch(&(theirs.clone(), source), json!([{ "type": "EXTRACT", "object": "a", "connectionId": destination }]));
        input["tenantId"] = json!(tenant);
        let expected = ["NOT_FOUND destinationConnectionId", "NOT_FOUND jobs.0.connectionId"];
        assert_eq!(app.refused("createBatch", input).await, expected);

        let mut input = batch(&(theirs.clone(), theirs.clone()), json!([extract("a")]));
        input["tenantId"] = json!(tenant);
        let made = app.done("createBatch", "batch { tenant { name } jobs { connection { name } } }", input.clone()).await;
        let expected = json!({ "tenant": { "name": "acme" }, "jobs": [{ "connection": { "name": "theirs" } }] });
        assert_eq!(made["batch"], expected);

        let gone = app.create_tenant("gone").await;
        app.done("deleteTenant", "", json!({ "id": gone })).await;
        input["tenantId"] = json!(gone);
        assert_eq!(app.refused("createBatch", input).await, ["NOT_FOUND tenantId"]);
    }

    async fn several_batches_are_made_all_or_none(app: TestApp) {
        let ends = app.create_ends().await;
        let good = |object: &str| batch(&ends, json!([extract(object)]));
        let mut bad = batch(&ends, json!([{ "type": "LOAD", "object": "x", "requiredObjects": { "extract": ["y"] } }]));
        bad["priority"] = json!(-1001);
        let input = json!({ "batches": [good("a"), bad, good("b"), batch(&ends, json!([]))] });
        let expected = [
            "OUT_OF_RANGE batches.1.priority",
            "UNKNOWN_OBJECT batches.1.jobs.0.requiredObjects.extract.0",
            "BLANK batches.3.jobs",
        ];
        assert_eq!(app.refused("createBatches", input).await, expected);
        assert_eq!((total(app, "batches").await, total(app, "jobs").await), (json!(0), json!(0)));

        let input = json!({ "batches": [good("a"), good("b"), good("c")] });
        let made = app.done("createBatches", "batches { id jobs { object } }", input).await;
        let objects: Vec<&Value> = made["batches"].as_array().unwrap().iter().map(|made| &made["jobs"][0]["object"]).collect();
        assert_eq!(objects, ["a", "b", "c"], "in the order given");
        assert_eq!(total(app, "batches").await, 3);

        assert_eq!(app.refused("createBatches", json!({ "batches": [] })).await, ["BLANK batches"]);
        let input = json!({ "batches": vec![good("a"); 101] });
        assert_eq!(app.refused("createBatches", input).await, ["TOO_MANY batches"]);
    }

    async fn a_repeated_request_gives_the_first_batch_again(app: TestApp) {
        let ends = app.create_ends().await;
        let mut input = batch(&ends, json!([extract("a")]));
        input["idempotencyKey"] = json!("k");
        input["since"] = json!("2010-01-01");
        let made = make(app, input.clone()).await;
        app.advance(60);
        assert_eq!(make(app, input.clone()).await, made);
        for same in [json!(1_262_304_000), json!("1262304000"), json!("2010-01-01T01:00:00+01:00")] {
            input["since"] = same;
            assert_eq!(make(app, input.clone()).await, made, "another way of writing the same");
        }
        input["jobs"][0]["maxAttempts"] = json!(3);
        assert_eq!(make(app, input.clone()).await, made, "the default, written out");
        assert_eq!(total(app, "batches").await, 1);
    }

    async fn a_key_is_refused_for_another_input(app: TestApp) {
        let ends = app.create_ends().await;
        let mut input = batch(&ends, json!([extract("a")]));
        input["idempotencyKey"] = json!("k");
        let made = make(app, input.clone()).await;
        for (field, other) in [
            ("priority", json!(1)),
            ("since", json!("2010-01-02")),
            ("failurePolicy", json!("CANCEL_BATCH")),
            ("sourceConnectionId", json!(ends.1)),
            ("jobs", json!([extract("b")])),
        ] {
            let mut input = input.clone();
            input[field] = other;
            let refused = app.mutate("createBatch", "", input).await;
            assert_eq!(problems(&refused["userErrors"]), ["IDEMPOTENCY_CONFLICT idempotencyKey"], "{field}");
            let message = text(&refused["userErrors"][0]["message"]);
            assert!(message.contains(&text(&made["id"])), "the batch that has it is named: {message}");
        }
        assert_eq!(total(app, "batches").await, 1);
    }

    async fn a_key_counts_in_its_tenant_only(app: TestApp) {
        let ends = app.create_ends().await;
        let tenant = app.create_tenant("acme").await;
        let theirs = app.create_connection_of(&tenant, "theirs").await;
        let mut ours = batch(&ends, json!([extract("a")]));
        ours["idempotencyKey"] = json!("k");
        let mut other = batch(&(theirs.clone(), theirs), json!([extract("b")]));
        other["idempotencyKey"] = json!("k");
        other["tenantId"] = json!(tenant);
        let input = json!({ "batches": [ours, other] });
        let made = app.done("createBatches", "batches { id }", input.clone()).await;
        assert_ne!(made["batches"][0], made["batches"][1]);
        assert_eq!(app.done("createBatches", "batches { id }", input).await, made);
        assert_eq!(total(app, "batches").await, 2);
    }

    async fn a_key_stands_once_in_a_request_beside_batches_that_are_there(app: TestApp) {
        let ends = app.create_ends().await;
        let keyed = |key: &str| {
            let mut input = batch(&ends, json!([extract("a")]));
            input["idempotencyKey"] = json!(key);
            input
        };
        let twice = json!({ "batches": [keyed("k"), keyed("l"), keyed("k")] });
        assert_eq!(app.refused("createBatches", twice).await, ["IDEMPOTENCY_CONFLICT batches.2.idempotencyKey"]);
        assert_eq!(total(app, "batches").await, 0);

        let first = make(app, keyed("k")).await;
        let input = json!({ "batches": [keyed("l"), keyed("k"), batch(&ends, json!([extract("a")]))] });
        let made = app.done("createBatches", "batches { id jobs { id } }", input).await;
        assert_eq!(made["batches"][1], json!({ "id": first["id"], "jobs": first["jobs"] }));
        assert_eq!(total(app, "batches").await, 3);
    }

    async fn requests_at_the_same_time_with_one_key_make_one_batch(app: TestApp) {
        let ends = app.create_ends().await;
        let mut input = batch(&ends, json!([extract("a"), extract("b")]));
        input["idempotencyKey"] = json!("k");
        let made = join_all((0..8).map(|_| make(app, input.clone()))).await;
        let ids: HashSet<String> = made.iter().map(|batch| text(&batch["id"])).collect();
        assert_eq!(ids.len(), 1, "{made:?}");
        assert_eq!((total(app, "batches").await, total(app, "jobs").await), (json!(1), json!(2)));
    }

    async fn a_key_is_free_again_once_its_batch_is_deleted(app: TestApp) {
        let ends = app.create_ends().await;
        let mut input = batch(&ends, json!([extract("a")]));
        input["idempotencyKey"] = json!("k");
        let first = make(app, input.clone()).await;
        app.done("deleteBatch", "", json!({ "id": first["id"] })).await;
        input["priority"] = json!(7);
        assert_ne!(make(app, input).await["id"], first["id"]);
    }

    async fn a_replaced_batch_has_its_new_definition_and_nothing_of_the_old(app: TestApp) {
        let [source, destination, own] = three_connections(app).await;
        let old = make(app, definition(&source, &destination, &own)).await;
        app.advance(60);
        let input = json!({
            "id": old["id"],
            "version": 1,
            "sourceConnectionId": own,
            "destinationConnectionId": destination,
            "jobs": [
                { "type": "EXTRACT", "object": "orders" },
                { "type": "LOAD", "object": "orders", "requiredObjects": { "extract": ["orders"] } },
            ],
        });
        let mutation = format!(
            "mutation ($input: UpdateBatchInput!) {{ updateBatch(input: $input) {{
                batch {{ id {WHOLE} }} userErrors {{ code message }} }} }} {PLANNED}"
        );
        let mut answer = app.data(&mutation, json!({ "input": input })).await["updateBatch"].take();
        assert_eq!(answer["userErrors"], json!([]));
        assert_eq!(answer["batch"].as_object_mut().unwrap().remove("id"), Some(old["id"].clone()));
        let shown = whole(app, &text(&old["id"])).await;
        assert_eq!(answer["batch"], shown);
        assert_eq!(shown["version"], 2);
        assert_eq!(shown["createdAt"], "2026-11-23T12:00:00Z");
        assert_eq!(shown["updatedAt"], "2026-11-23T12:01:00Z");
        let left_out = json!([shown["since"], shown["priority"], shown["failurePolicy"]]);
        assert_eq!(left_out, json!([null, 0, "CONTINUE"]), "what is left out is gone");
        assert_eq!(shown["sourceConnection"]["name"], "own");
        assert_eq!(total(app, "jobs").await, 2);
        let statuses: Vec<&Value> = shown["jobs"].as_array().unwrap().iter().map(|job| &job["status"]).collect();
        assert_eq!(statuses, ["READY", "BLOCKED"]);
        for job in old["jobs"].as_array().unwrap() {
            let gone = app.data("query ($id: ID!) { job(id: $id) { id } }", json!({ "id": job["id"] })).await;
            assert_eq!(gone["job"], Value::Null, "jobs are made anew");
        }
    }

    async fn a_stale_version_is_refused_together_with_all_other_problems(app: TestApp) {
        let ends = app.create_ends().await;
        let made = make(app, batch(&ends, json!([extract("a")]))).await;
        let mut input = batch(&ends, json!([extract("b")]));
        input["id"] = made["id"].clone();
        input["version"] = json!(1);
        app.done("updateBatch", "", input.clone()).await;
        let before = whole(app, &text(&made["id"])).await;

        assert_eq!(app.refused("updateBatch", input.clone()).await, ["STALE_VERSION version"]);
        input["priority"] = json!(5000);
        input["jobs"] = json!([{ "type": "EXTRACT", "object": "", "connectionId": made["id"] }]);
        let expected = [
            "STALE_VERSION version",
            "OUT_OF_RANGE priority",
            "BLANK jobs.0.object",
            "WRONG_ID_KIND jobs.0.connectionId",
        ];
        assert_eq!(app.refused("updateBatch", input).await, expected);
        let stale = json!({ "id": made["id"], "version": 1 });
        assert_eq!(app.refused("deleteBatch", stale).await, ["STALE_VERSION version"]);
        assert_eq!(whole(app, &text(&made["id"])).await, before, "nothing was changed");
    }

    async fn of_updates_at_the_same_time_one_wins(app: TestApp) {
        let ends = app.create_ends().await;
        let made = make(app, batch(&ends, json!([extract("a")]))).await;
        let update = |priority: i32| {
            let mut input = batch(&ends, json!([extract("b")]));
            input["id"] = made["id"].clone();
            input["version"] = json!(1);
            input["priority"] = json!(priority);
            app.mutate("updateBatch", "batch { priority }", input)
        };
        let answers = join_all((0..8).map(update)).await;
        let (won, lost): (Vec<&Value>, Vec<&Value>) =
            answers.iter().partition(|answer| answer["userErrors"] == json!([]));
        assert_eq!((won.len(), lost.len()), (1, 7));
        for answer in lost {
            assert_eq!(problems(&answer["userErrors"]), ["STALE_VERSION version"]);
        }
        let shown = whole(app, &text(&made["id"])).await;
        assert_eq!((&shown["priority"], &shown["version"]), (&won[0]["batch"]["priority"], &json!(2)));
    }

    async fn a_batch_that_has_started_is_neither_replaced_nor_deleted(app: TestApp) {
        let ends = app.create_ends().await;
        let made = make(app, batch(&ends, json!([extract("a"), extract("b")]))).await;
        start(app, &made).await;
        let mut input = batch(&ends, json!([extract("c")]));
        input["id"] = made["id"].clone();
        input["version"] = json!(2);
        assert_eq!(app.refused("updateBatch", input.clone()).await, ["WRONG_STATE id"]);
        input["version"] = json!(1);
        input["jobs"] = json!([]);
        let expected = ["STALE_VERSION version", "WRONG_STATE id", "BLANK jobs"];
        assert_eq!(app.refused("updateBatch", input).await, expected);
        assert_eq!(app.refused("deleteBatch", json!({ "id": made["id"] })).await, ["WRONG_STATE id"]);
        assert_eq!(total(app, "jobs").await, 2);

        app.db_execute("UPDATE jobs SET status = 'succeeded', attempt = 1, last_attempt = 1, started_at = created_at, finished_at = created_at").await;
        app.db_execute("UPDATE batches SET status = 'succeeded', finished_at = created_at").await;
        let deleted = app.done("deleteBatch", "batch { status jobs { status } }", json!({ "id": made["id"] })).await;
        let expected = json!({ "status": "SUCCEEDED", "jobs": [{ "status": "SUCCEEDED" }, { "status": "SUCCEEDED" }] });
        assert_eq!(deleted["batch"], expected);
    }

    async fn counts_and_dependencies_tell_how_far_a_batch_is(app: TestApp) {
        let ends = app.create_ends().await;
        let jobs = json!([
            extract("a"),
            extract("b"),
            { "type": "LOAD", "object": "a", "requiredObjects": { "extract": ["a", "b"] } },
        ]);
        let made = make(app, batch(&ends, jobs)).await;
        start(app, &made).await;
        app.db_execute("UPDATE jobs SET status = 'succeeded', finished_at = created_at WHERE position = 0").await;
        let expected = json!({
            "total": 3, "blocked": 1, "ready": 1, "running": 0, "succeeded": 1, "failed": 0, "skipped": 0, "canceled": 0,
        });
        let counts = "jobCounts { total blocked ready running succeeded failed skipped canceled }";
        let jobs = "jobs { dependencies { satisfied job { position } } dependents { satisfied job { position } } }";
        for selection in [counts.to_owned(), format!("{counts} {jobs}"), format!("{jobs} {counts}")] {
            let query = format!("query ($id: ID!) {{ batch(id: $id) {{ {selection} }} }}");
            let data = app.data(&query, json!({ "id": made["id"] })).await;
            assert_eq!(data["batch"]["jobCounts"], expected, "{selection}");
        }
        let query = format!("query ($id: ID!) {{ batch(id: $id) {{ {jobs} }} }}");
        let with_batch = app.data(&query, json!({ "id": made["id"] })).await["batch"]["jobs"].take();
        assert_eq!(with_batch[2]["dependencies"], json!([
            { "satisfied": true, "job": { "position": 0 } },
            { "satisfied": false, "job": { "position": 1 } },
        ]));
        let query = jobs.replacen("jobs", "jobs(orderBy: { field: CREATED_AT, direction: ASC }) { nodes", 1);
        let alone = app.data(&format!("{{ {query} }} }}"), json!({})).await["jobs"]["nodes"].take();
        assert_eq!(alone, with_batch, "a job tells the same however it is reached");
    }

    async fn a_deleted_batch_is_gone_with_its_jobs(app: TestApp) {
        let [source, destination, own] = three_connections(app).await;
        let made = make(app, definition(&source, &destination, &own)).await;
        let kept = make(app, definition(&source, &destination, &own)).await;
        let before = whole(app, &text(&made["id"])).await;
        let mutation = format!(
            "mutation ($input: DeleteBatchInput!) {{ deleteBatch(input: $input) {{
                batch {{ {WHOLE} }} userErrors {{ code }} }} }} {PLANNED}"
        );
        let answer = app.data(&mutation, json!({ "input": { "id": made["id"], "version": 1 } })).await;
        assert_eq!(answer["deleteBatch"], json!({ "batch": before, "userErrors": [] }), "it says what it was");

        assert_eq!(whole(app, &text(&made["id"])).await, Value::Null);
        let nodes = app.data("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({
            "ids": [made["jobs"][0]["id"], kept["jobs"][0]["id"]],
        })).await;
        assert_eq!(nodes["nodes"], json!([null, { "id": kept["jobs"][0]["id"] }]));
        assert_eq!((total(app, "batches").await, total(app, "jobs").await), (json!(1), json!(6)));
        assert_eq!(app.refused("deleteBatch", json!({ "id": made["id"] })).await, ["NOT_FOUND id"]);
        let mut update = definition(&source, &destination, &own);
        update["id"] = made["id"].clone();
        update["version"] = json!(1);
        assert_eq!(app.refused("updateBatch", update).await, ["NOT_FOUND id"]);
        assert_eq!(app.refused("deleteBatch", json!({ "id": source })).await, ["WRONG_ID_KIND id"]);
    }

    async fn a_batch_may_have_ten_thousand_jobs_and_no_more(app: TestApp) {
        let ends = app.create_ends().await;
        let objects = 5_000;
        let extracts = (0..objects).map(|object| extract(&format!("o{object}")));
        let loads = (0..objects).map(|object| {
            let required: Vec<String> = (0..4).map(|next| format!("o{}", (object + next) % objects)).collect();
            json!({ "type": "LOAD", "object": format!("o{object}"), "requiredObjects": { "extract": required } })
        });
        let mut jobs: Vec<Value> = extracts.chain(loads).collect();
        let selection = "batch { id jobCounts { total ready blocked } }";
        let made = app.done("createBatch", selection, batch(&ends, json!(jobs))).await;
        assert_eq!(made["batch"]["jobCounts"], json!({ "total": 10_000, "ready": 5_000, "blocked": 5_000 }));
        let query = "query ($id: ID!) { batch(id: $id) { jobs { position object dependencies { job { object } } } } }";
        let data = app.data(query, json!({ "id": made["batch"]["id"] })).await;
        let shown = data["batch"]["jobs"].as_array().unwrap();
        for (position, (shown, asked)) in shown.iter().zip(&jobs).enumerate() {
            assert_eq!((&shown["position"], &shown["object"]), (&json!(position), &asked["object"]));
        }
        let links: usize = shown.iter().map(|job| job["dependencies"].as_array().unwrap().len()).sum();
        assert_eq!((shown.len(), links), (10_000, 20_000));

        jobs.push(extract("one more"));
        let refused = app.mutate("createBatch", "", batch(&ends, json!(jobs))).await;
        assert_eq!(problems(&refused["userErrors"]), ["TOO_MANY jobs"]);
        let message = "these are 10001 jobs; a batch can have at most 10000";
        assert_eq!(refused["userErrors"][0]["message"], message);
        let halves = [batch(&ends, json!(jobs[..5_000])), batch(&ends, json!(jobs[5_000..]))];
        assert_eq!(app.refused("createBatches", json!({ "batches": halves })).await, ["TOO_MANY batches"]);
    }

    async fn requirements_that_name_too_many_jobs_are_refused(app: TestApp) {
        let ends = app.create_ends().await;
        let extracts = (0..400).map(|grain| json!({ "type": "EXTRACT", "object": "a", "grain": grain.to_string() }));
        let loads = (0..251).map(|load| {
            json!({ "type": "LOAD", "object": load.to_string(), "requiredObjects": { "extract": ["a"] } })
        });
        let jobs: Vec<Value> = extracts.chain(loads).collect();
        assert_eq!(app.refused("createBatch", batch(&ends, json!(jobs))).await, ["TOO_MANY jobs"]);
        app.done("createBatch", "", batch(&ends, json!(jobs[..650]))).await;
    }
}
