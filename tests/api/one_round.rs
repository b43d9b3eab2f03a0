//! A page of nested batches costs a constant number of statements, in a constant number of rounds.

use std::time::Duration;

use futures_util::future::{join, join_all};
use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionTrait};
use serde_json::{Value, json};
use sluice::config::Config;

use crate::support::{Engine, TestApp, on_both, run};

const NESTED: &str = "query ($first: Int) { batches(first: $first) { nodes {
    id sourceConnection { name } destinationConnection { name }
    jobs { object connection { name } dependencies { kind job { object connection { name } } } dependents { job { object } } }
} } }";

/// Makes `count` batches of five jobs each, of which one uses a connection of its own.
async fn create_batches(app: &TestApp, count: usize) {
    let (source, destination) = app.create_ends().await;
    let own = app.create_connection("own").await;
    let batch = json!({
        "sourceConnectionId": source,
        "destinationConnectionId": destination,
        "jobs": [
            { "type": "EXTRACT", "object": "a" },
            { "type": "EXTRACT", "object": "b", "connectionId": own },
            { "type": "LOAD", "object": "a", "requiredObjects": { "extract": ["a", "b"] } },
            { "type": "LOAD", "object": "b", "requiredObjects": { "extract": ["b"], "load": ["a"] } },
            { "type": "LOAD", "object": "c", "requiredObjects": { "loadResult": ["a", "b"] } },
        ],
    });
    let mutation =
        "mutation ($input: CreateBatchesInput!) { createBatches(input: $input) { userErrors { message } } }";
    app.data(mutation, json!({ "input": { "batches": vec![batch; count] } })).await;
}

/// Nothing is kept of what was read before.
fn forgetful(config: &mut Config) {
    config.graph_cache = 0;
}

/// No more connections than one for all who read, and one for all who write.
fn narrow(config: &mut Config) {
    config.database.connections = 1;
    config.graph_cache = 0;
}

/// How many statements an operation costs, once what is prepared is prepared.
async fn cost(app: &TestApp, query: &str, variables: Value) -> usize {
    app.data(query, variables.clone()).await;
    app.statements.take();
    app.data(query, variables).await;
    app.statements.take().len()
}

on_both! {
    async fn a_nested_page_costs_three_statements_whatever_its_size(app: TestApp) with forgetful {
        create_batches(app, 100).await;
        for first in [1, 10, 100] {
            assert_eq!(cost(app, NESTED, json!({ "first": first })).await, 3, "{first} batches");
        }
    }

    async fn a_single_connection_is_enough_for_who_reads_and_who_writes(app: TestApp) with narrow {
        create_batches(app, 6).await;
        for number in 0..3 {
            let name = format!("another {number}");
            let reads = (0..4).map(|_| app.data(NESTED, json!({ "first": 10 })));
            let (_, pages) = join(app.create_connection(&name), join_all(reads)).await;
            assert!(pages.iter().all(|page| page["batches"]["nodes"].as_array().unwrap().len() == 6));
        }
    }

    async fn only_what_is_selected_is_fetched(app: TestApp) with forgetful {
        create_batches(app, 3).await;
        let costs = [
            ("{ batches { nodes { id status } } }", 1),
            ("{ batches { nodes { id } totalCount } }", 2),
            ("{ batches { nodes { sourceConnection { name } } } }", 2),
            ("{ batches { nodes { jobs { object } } } }", 2),
            ("{ batches { nodes { jobCounts { ready } } } }", 2),
            ("{ batches { nodes { jobs { object } jobCounts { ready } } } }", 2),
            ("{ batches { nodes { jobs { dependencies { kind } } } } }", 2),
            ("{ batches { nodes { jobs { requiredObjects { load } } } } }", 2),
            ("{ batches { edges { node { jobs { connection { name } } } } } }", 3),
            ("{ batches { nodes { ...B } } } fragment B on Batch { jobs { ... on Job { dependents { kind } } } }", 2),
            ("{ batches { nodes { tenant { name } } } }", 2),
            ("{ jobs { nodes { object requiredObjects { load } } } }", 1),
        ];
        for (query, expected) in costs {
            assert_eq!(cost(app, query, json!({})).await, expected, "{query}");
        }
    }

    async fn a_job_and_a_page_of_jobs_reach_their_batches_in_five_statements_at_most(app: TestApp) with forgetful {
        create_batches(app, 20).await;
        let batch = "batch { jobs { object connection { name } dependencies { job { object } } } }";
        let jobs = format!("{{ jobs(first: 100) {{ nodes {{ id {batch} }} }} }}");
        assert_eq!(cost(app, &jobs, json!({})).await, 4);

        let id = app.data("{ jobs(first: 1) { nodes { id } } }", json!({})).await["jobs"]["nodes"][0]["id"].clone();
        let job = format!("query ($id: ID!) {{ job(id: $id) {{ id {batch} }} }}");
        assert_eq!(cost(app, &job, json!({ "id": id })).await, 4);

        let alone = "{ jobs(first: 100) { nodes {
            connection { name } effectiveSince dependencies { kind job { object } } dependents { job { object } } } } }";
        assert_eq!(cost(app, alone, json!({})).await, 5);
    }

    async fn what_is_said_of_running_jobs_costs_the_same_for_any_page(app: TestApp) with forgetful {
        create_batches(app, 50).await;
        // On every page some run, one is ready, and some are blocked.
        app.done("claimJobs", "claims { lease }", json!({ "worker": "w", "types": ["EXTRACT"], "limit": 99 })).await;
        let query = "query ($first: Int) { batches(first: $first) { nodes { jobs {
            blockedBy { __typename ... on WaitsForRequirement { job { object } } ... on WaitsForWorker { provider } }
            attempts { number } progress { records } output error { code } } } } }";
        let mut costs = Vec::new();
        for first in [1, 10, 40] {
            costs.push(cost(app, query, json!({ "first": first })).await);
        }
        assert!(costs.iter().all(|cost| *cost == costs[0] && *cost <= 10), "{costs:?}");
    }

    async fn a_batch_by_id_costs_as_much_as_a_page(app: TestApp) with forgetful {
        create_batches(app, 1).await;
        let id = app.data("{ batches { nodes { id } } }", json!({})).await["batches"]["nodes"][0]["id"].clone();
        let query = "query ($id: ID!) { batch(id: $id) { sourceConnection { name } jobs { connection { name } dependencies { kind } } } }";
        assert_eq!(cost(app, query, json!({ "id": id })).await, 3);
    }
}

/// Holds back all answers about jobs and connections, and waits until the server waits for both at once.
async fn waits_for_both_tables_at_once(app: &TestApp, query: &str, variables: Value) {
    let held = app.db_connect().await.begin().await.unwrap();
    held.execute_unprepared("LOCK TABLE jobs, connections").await.unwrap();
    let watcher = app.db_connect().await;
    let watch = async {
        let waiting = "SELECT count(DISTINCT relation) FROM pg_locks WHERE NOT granted
            AND relation IN ('jobs'::regclass, 'connections'::regclass)";
        let waiting = Statement::from_string(DbBackend::Postgres, waiting);
        loop {
            let row = watcher.query_one_raw(waiting.clone()).await.unwrap().unwrap();
            if row.try_get_by_index::<i64>(0).unwrap() == 2 {
                break;
            }
        }
        held.commit().await.unwrap();
    };
    // Were one of them asked for only after another had answered, this would never end.
    let both = futures_util::future::join(app.data(query, variables), watch);
    actix_web::rt::time::timeout(Duration::from_secs(30), both).await.expect(query);
}

/// On SQLite a reader can't be held back; the code is the same.
#[test]
fn jobs_and_connections_are_asked_for_at_the_same_time() {
    run(Engine::Postgres, forgetful, |app| {
        Box::pin(async move {
            create_batches(app, 3).await;
            waits_for_both_tables_at_once(app, NESTED, json!({})).await;

            let id = app.data("{ batches { nodes { id } } }", json!({})).await["batches"]["nodes"][0]["id"]
                .clone();
            let one =
                "query ($id: ID!) { batch(id: $id) { jobs { connection { name } dependencies { kind } } } }";
            waits_for_both_tables_at_once(app, one, json!({ "id": id })).await;
        })
    });
}
