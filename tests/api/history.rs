//! The history: queried in pages, and followed live from any point.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};

use crate::{
    running::{batch, claim, extract, load},
    support::{Engine, TestApp, on_both, run, text},
};

const TABLE: &str = "query ($after: String) { events(first: 100, after: $after) {
    edges { cursor node { kind batchId jobId attempt } } pageInfo { hasNextPage endCursor } } }";

/// How many events [`run_one`] brings about.
const EVENTS: usize = 8;

/// The whole history, each event with its cursor, once it has this many events: the last are seen a moment
/// after their change where others write at the same time.
pub async fn whole(app: &TestApp, count: usize) -> Vec<Value> {
    loop {
        let table = table(app).await;
        if table.len() >= count {
            return table;
        }
    }
}

async fn table(app: &TestApp) -> Vec<Value> {
    let (mut edges, mut after) = (Vec::new(), Value::Null);
    loop {
        let mut events = app.data(TABLE, json!({ "after": after })).await["events"].take();
        edges.extend(events["edges"].as_array().unwrap().iter().cloned());
        if events["pageInfo"]["hasNextPage"] == false {
            return edges;
        }
        after = events["pageInfo"]["endCursor"].take();
    }
}

fn follow(after: Option<&str>) -> String {
    let after = after.map(|cursor| format!("(after: \"{cursor}\")")).unwrap_or_default();
    format!("subscription {{ events{after} {{ cursor node {{ kind batchId jobId attempt }} }} }}")
}

/// Runs a batch of two jobs to its end.
async fn run_one(app: &TestApp, number: usize) {
    let ends = [
        app.create_connection(&format!("s{number}")).await,
        app.create_connection(&format!("d{number}")).await,
    ];
    let jobs = json!([extract("A"), load("a", json!({ "extract": ["A"] }))]);
    let input = json!({ "sourceConnectionId": ends[0], "destinationConnectionId": ends[1], "jobs": jobs });
    app.create_batch(input).await;
    for object in ["A", "a"] {
        let lease = claim(app).await[object].clone();
        app.done("completeJob", "job { status }", json!({ "lease": lease })).await;
    }
}

on_both! {
    async fn a_cursor_tells_nothing_of_how_much_others_do(app: TestApp) {
        run_one(app, 0).await;
        let events = whole(app, EVENTS).await;
        let bits = |edge: &Value| {
            let cursor = BASE64_URL_SAFE_NO_PAD.decode(text(&edge["cursor"])).unwrap();
            let key = String::from_utf8(cursor).unwrap().rsplit('/').next().unwrap().to_owned();
            u128::from_str_radix(&key, 16).unwrap()
        };
        // Neighbours in the history have nothing in common, whatever it counts inside.
        let differing = events.windows(2).map(|pair| (bits(&pair[0]) ^ bits(&pair[1])).count_ones());
        assert!({ differing }.all(|bits| bits > 20), "{events:?}");

        let invented = BASE64_URL_SAFE_NO_PAD.encode(format!("events.created.asc//{:032x}", 7));
        let query = "query ($after: String) { events(after: $after) { totalCount } }";
        let refused = app.graphql(query, json!({ "after": invented })).await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "INVALID_VALUE", "{refused}");
        let mut socket = app.open_socket().await;
        socket.subscribe("1", &follow(Some(&invented))).await;
        let heard = socket.hear().await;
        assert!(heard.to_string().contains("INVALID_VALUE"), "{heard}");
    }

    async fn a_follower_that_comes_back_twenty_times_misses_nothing_and_hears_nothing_twice(app: TestApp) {
        run_one(app, 0).await;
        let first = whole(app, EVENTS).await[0].clone();
        let mut heard = vec![first.clone()];
        let mut cursor = text(&first["cursor"]);
        for round in 1..=20 {
            let mut stream = app.stream(&follow(Some(&cursor))).await;
            // What is past, and, while it runs, what comes.
            let (_, ()) = futures_util::future::join(run_one(app, round), async {
                for _ in 0..5 {
                    let edge = stream.next().await["data"]["events"].take();
                    cursor = text(&edge["cursor"]);
                    heard.push(edge);
                }
            }).await;
        }
        let whole = whole(app, 21 * EVENTS).await;
        let mut stream = app.stream(&follow(Some(&cursor))).await;
        while heard.len() < whole.len() {
            heard.push(stream.next().await["data"]["events"].take());
        }
        assert_eq!(heard, whole);
    }

    async fn without_a_cursor_only_what_is_new_is_heard(app: TestApp) {
        run_one(app, 0).await;
        let before = whole(app, EVENTS).await.len();
        let mut stream = app.stream(&follow(None)).await;
        // It is there a little later than its head: something goes on happening until it hears of it.
        let mut number = 1;
        let heard = tokio::select! {
            heard = stream.next() => heard,
            () = async { loop { run_one(app, number).await; number += 1; } } => unreachable!(),
        };
        assert!(whole(app, before + 1).await[before..].contains(&heard["data"]["events"]), "{heard}");
    }

    async fn the_history_outlives_its_batch_and_can_be_filtered(app: TestApp) {
        let id = batch(app, json!({}), json!([extract("A")])).await;
        let lease = claim(app).await["A"].clone();
        let failed = json!({ "lease": lease, "code": "NO_TABLE", "message": "no such table", "retryable": false });
        app.done("failJob", "job { status }", failed).await;
        app.done("deleteBatch", "batch { id }", json!({ "id": id })).await;
        let query = "query ($id: ID!, $kinds: [EventKind!]) { events(filter: { batchId: $id, kinds: $kinds }) {
            totalCount nodes { kind at actor { kind name } batch { id } job { id } attempt error { code message } } } }";
        while app.data(query, json!({ "id": id, "kinds": null })).await["events"]["totalCount"] != 6 {}
        let data = app.data(query, json!({ "id": id, "kinds": ["JOB_FAILED", "BATCH_DELETED"] })).await;
        assert_eq!(data["events"], json!({ "totalCount": 2, "nodes": [
            { "kind": "JOB_FAILED", "at": "2026-11-23T12:00:00Z", "actor": { "kind": "WORKER", "name": "w" }, "batch": null,
              "job": null, "attempt": 1, "error": { "code": "NO_TABLE", "message": "no such table" } },
            { "kind": "BATCH_DELETED", "at": "2026-11-23T12:00:00Z", "actor": { "kind": "CLIENT", "name": null }, "batch": null,
              "job": null, "attempt": null, "error": null },
        ] }));
    }

    async fn the_history_is_walked_backwards_as_it_is_forwards(app: TestApp) {
        for number in 0..3 {
            run_one(app, number).await;
        }
        let whole = whole(app, 3 * EVENTS).await;
        let query = "query ($before: String) { events(last: 5, before: $before) {
            edges { cursor node { kind batchId jobId attempt } } pageInfo { hasPreviousPage startCursor } } }";
        let (mut found, mut before) = (Vec::new(), Value::Null);
        loop {
            let mut events = app.data(query, json!({ "before": before })).await["events"].take();
            let page = events["edges"].as_array().unwrap().clone();
            found.splice(0..0, page);
            if events["pageInfo"]["hasPreviousPage"] == false {
                break;
            }
            before = events["pageInfo"]["startCursor"].take();
        }
        assert_eq!(found, whole);
    }

    async fn a_followed_batch_ends_up_in_its_newest_state(app: TestApp) {
        let id = batch(app, json!({}), json!([extract("A"), load("a", json!({ "extract": ["A"] }))])).await;
        let mut stream = app.stream(&format!("subscription {{ batch(id: \"{id}\") {{ status jobs {{ status }} }} }}")).await;
        for object in ["A", "a"] {
            let lease = claim(app).await[object].clone();
            app.done("completeJob", "job { status }", json!({ "lease": lease })).await;
        }
        let last = json!({ "data": { "batch": { "status": "SUCCEEDED", "jobs": [{ "status": "SUCCEEDED" }, { "status": "SUCCEEDED" }] } } });
        let mut seen = 1;
        while stream.next().await != last {
            seen += 1;
        }
        assert!(seen <= 5, "four changes, each shown at most once, and the first state");
    }
}

/// SQLite looks up one column of two that are compared together, and all events bear the same number there.
#[test]
fn what_follows_a_cursor_is_looked_up_on_sqlite() {
    run(
        Engine::Sqlite,
        |_| {},
        |app| {
            Box::pin(async move {
                run_one(app, 0).await;
                let cursor = whole(app, EVENTS).await[0]["cursor"].take();
                app.statements.take();
                app.data(TABLE, json!({ "after": cursor })).await;
                let statements = app.statements.take();
                let after = statements.iter().find(|sql| sql.contains("FROM \"events\"")).unwrap();
                let db = app.db_connect().await;
                let explain =
                    Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {after}"));
                let plan = db.query_all_raw(explain).await.unwrap();
                let plan: Vec<String> =
                    plan.iter().map(|row| row.try_get::<String>("", "detail").unwrap()).collect();
                db.close().await.unwrap();
                assert_eq!(plan, ["SEARCH events USING INDEX events_order (xact=? AND id>?)"]);
            })
        },
    );
}
