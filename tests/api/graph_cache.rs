//! Batches that were read before are not read again, as long as nothing about them has changed.

use serde_json::{Value, json};
use sluice::config::Config;

use crate::{
    running::{batch, claim, complete, extract, load},
    support::{Method, TestApp, on_both, text},
};

/// Reads through what is kept.
const KEPT: &str = "query { batches { nodes { id status version
    sourceConnection { name archivedAt } destinationConnection { name }
    jobs { id status attempt notBefore startedAt finishedAt connection { name }
        dependencies { satisfied job { id status } } } } } }";
/// Reads the same of jobs that are not reached through a page of batches, which are always read.
const READ: &str = "query { jobs(first: 100) { nodes { id status attempt notBefore startedAt finishedAt
    connection { name } dependencies { satisfied job { id status } } } }
    connections(first: 100) { nodes { name archivedAt } } }";

/// What a page of batches says about jobs, each by its id, and about connections; both as they are kept and as they are.
async fn kept_and_read(app: &TestApp) -> [Value; 2] {
    let kept = app.data(KEPT, json!({})).await;
    let read = app.data(READ, json!({})).await;
    let by_id = |jobs: Vec<Value>| -> Value {
        jobs.into_iter().map(|job| (text(&job["id"]), job)).collect::<serde_json::Map<_, _>>().into()
    };
    let batches = kept["batches"]["nodes"].as_array().unwrap();
    let jobs = batches.iter().flat_map(|batch| batch["jobs"].as_array().unwrap().clone()).collect();
    let source = &batches[0]["sourceConnection"];
    let connections = read["connections"]["nodes"].as_array().unwrap();
    assert!(connections.contains(source), "{source} is none of {connections:?}");
    [by_id(jobs), by_id(read["jobs"]["nodes"].as_array().unwrap().clone())]
}

/// How many statements a query takes.
async fn cost(app: &TestApp, query: &str) -> usize {
    app.statements.during(app.data(query, json!({}))).await
}

/// The value of a metric.
async fn metric(app: &TestApp, name: &str) -> u64 {
    let text = app.get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("sluice_{name} ")));
    line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

/// Enough for some of the batches, in bytes.
const SMALL: usize = 64 * 1024;

fn small(config: &mut Config) {
    config.graph_cache = SMALL;
}

fn off(config: &mut Config) {
    config.graph_cache = 0;
}

/// A batch in which one load waits for an extract, and another one for both loads.
async fn chain(app: &TestApp) -> String {
    batch(app, json!({}), jobs_of_a_chain()).await
}

/// Some of them.
async fn chains(app: &TestApp, count: usize) {
    let (source, destination) = app.create_ends().await;
    let input = json!({ "sourceConnectionId": source, "destinationConnectionId": destination, "jobs": jobs_of_a_chain() });
    app.done("createBatches", "batches { id }", json!({ "batches": vec![input; count] })).await;
}

fn jobs_of_a_chain() -> Value {
    json!([
        extract("a"),
        load("a", json!({ "extract": ["a"] })),
        load("b", json!({ "load": ["a"] })),
        load("c", json!({ "loadResult": ["a"] })),
    ])
}

on_both! {
    async fn a_page_on_which_nothing_has_changed_costs_one_statement(app: TestApp) {
        chains(app, 5).await;
        assert_eq!(cost(app, KEPT).await, 3);
        let hits = metric(app, "graph_cache_lookups_total{result=\"hit\"}").await;
        assert_eq!(cost(app, KEPT).await, 1);
        assert_eq!(metric(app, "graph_cache_lookups_total{result=\"hit\"}").await, hits + 5);
        // Of the five, one is read again.
        app.done("claimJobs", "claims { lease }", json!({ "worker": "w", "limit": 1 })).await;
        let misses = metric(app, "graph_cache_lookups_total{result=\"miss\"}").await;
        assert_eq!([cost(app, KEPT).await, cost(app, KEPT).await], [3, 1]);
        assert_eq!(metric(app, "graph_cache_lookups_total{result=\"miss\"}").await, misses + 1);
        assert!(metric(app, "graph_cache_bytes").await > 5 * 4 * 100);
    }

    async fn a_batch_that_is_asked_for_again_is_kept(app: TestApp) {
        let id = chain(app).await;
        let query = format!("{{ batch(id: {id:?}) {{ sourceConnection {{ name }} jobs {{ object dependencies {{ kind }} }} }} }}");
        // The second time its row is read first.
        let costs = [cost(app, &query).await, cost(app, &query).await, cost(app, &query).await];
        assert_eq!(costs, [3, 3, 1]);
        let rest = async || app.statements.during(app.send(Method::GET, &format!("/batch/{id}"), &[], Vec::new())).await;
        // What its jobs require by name was not among what was asked for; after that, all of it is there.
        assert_eq!([rest().await, rest().await, cost(app, &query).await], [3, 1, 1]);
    }

    async fn a_page_that_lacks_something_is_read_once_with_all_that_was_asked_for(app: TestApp) {
        chain(app).await;
        let jobs = "{ batches { nodes { jobs { object } } } }";
        let connections = "{ batches { nodes { sourceConnection { name } } } }";
        let counts = "{ batches { nodes { jobCounts { ready } } } }";
        assert_eq!([cost(app, jobs).await, cost(app, counts).await], [2, 1], "who has the jobs can count them");
        assert_eq!([cost(app, connections).await, cost(app, connections).await, cost(app, jobs).await], [3, 1, 1]);
    }

    async fn whatever_changes_is_seen_by_the_next_request(app: TestApp) {
        let id = chain(app).await;
        let source = app.data("{ batches { nodes { sourceConnection { id } } } }", json!({})).await;
        let source = source["batches"]["nodes"][0]["sourceConnection"]["id"].clone();
        let mut before = json!(null);
        let mut leases = Vec::new();
        for step in [
            "claim", "fail", "wait", "claim", "complete", "claim", "publish", "rename", "claim", "cancel", "stop", "retry",
            "archive", "claim", "break",
        ] {
            match step {
                "claim" => leases.extend(claim(app).await.into_values()),
                "fail" => {
                    let error = json!({ "lease": leases.pop(), "retryable": true, "code": "x", "message": "x" });
                    app.done("failJob", "job { notBefore }", error).await;
                }
                // Who asks for work ends the backoff, whatever work that is.
                "wait" => {
                    app.advance(3600);
                    let other = json!({ "worker": "w", "providers": ["another"] });
                    app.done("claimJobs", "claims { lease }", other).await;
                }
                "complete" => complete(app, &leases.pop().unwrap()).await,
                "publish" => {
                    app.done("publishLoad", "job { status }", json!({ "lease": leases[0] })).await;
                }
                "rename" => {
                    app.done("updateConnection", "connection { name }", json!({ "id": source, "name": "renamed" })).await;
                }
                "archive" => {
                    app.done("archiveConnection", "connection { name }", json!({ "id": source })).await;
                }
                "cancel" => {
                    app.done("cancelBatch", "batch { id }", json!({ "id": id })).await;
                }
                "stop" => {
                    for lease in leases.drain(..) {
                        app.done("releaseJob", "job { status }", json!({ "lease": lease })).await;
                    }
                }
                "retry" => {
                    app.done("retryBatch", "batch { id }", json!({ "id": id })).await;
                }
                "break" => {
                    let error = json!({ "lease": leases.pop(), "retryable": false, "code": "x", "message": "x" });
                    app.done("failJob", "job { status }", error).await;
                }
                other => panic!("{other}"),
            }
            let page = app.data(KEPT, json!({})).await;
            assert_ne!(page, before, "{step} changes nothing that can be seen");
            let [kept, read] = kept_and_read(app).await;
            assert_eq!(kept, read, "{step}");
            before = page;
        }
    }

    async fn a_definition_that_is_replaced_is_seen_by_the_next_request(app: TestApp) {
        let id = chain(app).await;
        app.data(KEPT, json!({})).await;
        let new = app.create_connection("new").await;
        let input = json!({ "id": id, "version": 1, "sourceConnectionId": new, "destinationConnectionId": new,
            "jobs": [extract("z"), load("z", json!({ "extract": ["z"] }))] });
        app.done("updateBatch", "batch { id }", input).await;
        let [kept, read] = kept_and_read(app).await;
        assert_eq!((kept.as_object().unwrap().len(), &kept), (2, &read));
        app.done("deleteBatch", "batch { id }", json!({ "id": id })).await;
        assert_eq!(app.data(KEPT, json!({})).await["batches"]["nodes"], json!([]));
    }

    async fn a_small_cache_stays_small(app: TestApp) with small {
        chains(app, 100).await;
        for _ in 0..3 {
            app.data(&KEPT.replace("batches {", "batches(first: 100) {"), json!({})).await;
            let bytes = metric(app, "graph_cache_bytes").await;
            assert!(bytes > 0 && bytes <= SMALL as u64, "{bytes}");
        }
    }

    async fn a_cache_that_is_turned_off_keeps_nothing(app: TestApp) with off {
        chain(app).await;
        assert_eq!([cost(app, KEPT).await, cost(app, KEPT).await], [3, 3]);
        assert_eq!(metric(app, "graph_cache_bytes").await, 0);
        assert_eq!(metric(app, "graph_cache_lookups_total{result=\"miss\"}").await, 0);
    }
}
