//! Who reads a batch while it is replaced sees one definition or the other, never parts of both.

use std::cell::Cell;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{TestApp, on_both, text};

/// How often the batch is replaced.
const REPLACEMENTS: usize = 60;

/// Definitions that share positions and objects but neither their number nor their edges; the
/// priority tells which is which.
fn definitions(source: &str, destination: &str) -> Vec<Value> {
    let load = |object: &str, required: Value| json!({ "type": "LOAD", "object": object, "requiredObjects": required });
    let extract = |object: &str| json!({ "type": "EXTRACT", "object": object });
    let jobs = [
        json!([
            extract("a"),
            extract("b"),
            load("a", json!({ "extract": ["a"] })),
            load("b", json!({ "extract": ["b"] }))
        ]),
        json!([extract("a"), extract("b"), extract("c")]),
        json!([
            load("a", json!({ "extract": ["a", "b"] })),
            extract("b"),
            extract("a"),
            load("b", json!({ "load": ["a"] })),
            load("c", json!({ "loadResult": ["a", "b"] })),
            extract("c")
        ]),
        json!([extract("a")]),
    ];
    let definition = |(number, jobs): (usize, Value)| {
        json!({
            "sourceConnectionId": source,
            "destinationConnectionId": destination,
            "priority": number,
            "since": 1_000_000 * (number + 1),
            "jobs": jobs,
        })
    };
    jobs.into_iter().enumerate().map(definition).collect()
}

/// What a reader asks for, which says of a batch what its priority promises.
struct Reading {
    query: &'static str,
    batch: fn(&Value) -> Value,
}

const READINGS: [Reading; 5] = [
    Reading {
        query: "query ($id: ID!) { batch(id: $id) { priority since
            jobs { position type object effectiveSince requiredObjects { extract load loadResult }
                dependencies { kind job { position object } } dependents { kind job { position } } } } }",
        batch: |data| data["batch"].clone(),
    },
    Reading {
        query: "{ batches { nodes { priority since
            jobs { position wave status dependencies { job { object } } } jobCounts { total blocked }
            plan { waves { position } criticalPath { position } } } } }",
        batch: |data| data["batches"]["nodes"][0].clone(),
    },
    Reading {
        query: "query ($id: ID!) { node(id: $id) { ... on Batch { priority jobs { object } plan { waves { object } } } } }",
        batch: |data| data["node"].clone(),
    },
    Reading {
        query: "{ batches { nodes { priority jobs { object connection { name } } } } }",
        batch: |data| data["batches"]["nodes"][0].clone(),
    },
    Reading {
        query: "{ batches { edges { node { priority jobs { object batch { priority jobs { position } } } } } } }",
        batch: |data| data["batches"]["edges"][0]["node"].clone(),
    },
];

/// Makes a batch and gives its id and what every definition looks like to each reading and to REST.
async fn expectations(app: &TestApp) -> (String, Vec<Value>, Vec<Vec<Value>>, Vec<Value>) {
    let (source, destination) = app.create_ends().await;
    let definitions = definitions(&source, &destination);
    let made = app.create_batch(definitions[0].clone()).await;
    let id = text(&made["batch"]["id"]);
    let mut read = vec![Vec::new(); READINGS.len()];
    let mut rest = Vec::new();
    for (version, definition) in (1..).zip(&definitions) {
        replace(app, &id, version, definition).await;
        for (reading, read) in READINGS.iter().zip(&mut read) {
            read.push((reading.batch)(&app.data(reading.query, json!({ "id": id })).await));
        }
        rest.push(app.get(&format!("/batch/{id}")).await.json());
    }
    (id, definitions, read, rest)
}

async fn replace(app: &TestApp, id: &str, version: usize, definition: &Value) {
    let mut input = definition.clone();
    input["id"] = json!(id);
    input["version"] = json!(version);
    app.done("updateBatch", "", input).await;
}

on_both! {
    async fn what_a_job_requires_is_also_known_of_jobs_made_before_it_stood_on_their_rows(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        for definition in definitions(&source, &destination) {
            app.create_batch(definition).await;
        }
        let read = async || {
            let query = "{ batches { nodes { jobs { position dependencies { kind job { position } }
                dependents { kind job { position } } } plan { waves { position } criticalPath { position } } } } }";
            app.data(query, json!({})).await
        };
        let before = read().await;
        app.db_execute("ALTER TABLE jobs DROP COLUMN requires").await;
        app.db_execute("DELETE FROM seaql_migrations WHERE version = 'm0010_requires'").await;
        app.migrate().await;
        assert_eq!(read().await, before);
    }

    async fn a_reader_sees_one_definition_and_never_parts_of_two(app: TestApp) {
        let (id, definitions, expected, of_rest) = expectations(app).await;
        let id = &id;
        let done = &Cell::new(false);
        let writer = async {
            for round in 0..REPLACEMENTS {
                let version = definitions.len() + 1 + round;
                replace(app, id, version, &definitions[round % definitions.len()]).await;
            }
            done.set(true);
        };
        let readers = READINGS.iter().zip(&expected).map(async |(reading, expected)| {
            while !done.get() {
                let batch = (reading.batch)(&app.data(reading.query, json!({ "id": id })).await);
                assert!(expected.contains(&batch), "{}\n{batch}", reading.query);
            }
        });
        let rest = async {
            while !done.get() {
                let batch = app.get(&format!("/batch/{id}")).await.json();
                assert!(of_rest.contains(&batch), "{batch}");
                let list = app.get("/batch").await.json();
                assert!(of_rest.contains(&list[0]), "{list}");
            }
        };
        futures_util::future::join3(writer, join_all(readers), rest).await;
    }

    async fn a_list_of_jobs_shows_each_with_its_own_batch_and_its_own_dependencies(app: TestApp) {
        let (id, definitions, _, _) = expectations(app).await;
        let id = &id;
        let done = &Cell::new(false);
        let writer = async {
            for round in 0..REPLACEMENTS {
                let version = definitions.len() + 1 + round;
                replace(app, id, version, &definitions[round % definitions.len()]).await;
            }
            done.set(true);
        };
        let nested = "{ jobs { nodes { position type object effectiveSince requiredObjects { extract load loadResult }
            dependencies { kind job { object } } batch { priority since jobs { position dependencies { kind } } } } } }";
        let flat = "{ jobs { nodes { position type object effectiveSince requiredObjects { extract load loadResult }
            batch { priority since } } } }";
        let readers = [nested, flat].map(async |query| {
            while !done.get() {
                let data = app.data(query, json!({})).await;
                for job in data["jobs"]["nodes"].as_array().unwrap() {
                    let number = job["batch"]["priority"].as_u64().unwrap() as usize;
                    let position = job["position"].as_u64().unwrap() as usize;
                    let asked = &definitions[number]["jobs"][position];
                    assert_eq!((&job["type"], &job["object"]), (&asked["type"], &asked["object"]), "{job}");
                    assert_eq!(job["effectiveSince"], job["batch"]["since"], "{job}");
                    let required: usize = ["extract", "load", "loadResult"]
                        .iter()
                        .map(|kind| job["requiredObjects"][kind].as_array().unwrap().len())
                        .sum();
                    if let Some(dependencies) = job["dependencies"].as_array() {
                        assert_eq!(dependencies.len(), required, "{job}");
                    }
                }
            }
        });
        futures_util::future::join(writer, join_all(readers)).await;
    }
}
