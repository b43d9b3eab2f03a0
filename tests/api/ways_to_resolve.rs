//! What is at hand is resolved by a walk of its own; a key that stands twice sends the same selection the
//! ordinary way. The two must never disagree.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::json;

use crate::support::{TestApp, on_both};

/// Stands in every object's selection: once for the walk, twice for the ordinary way.
const MARK: &str = "mark: __typename";

/// Fields of a type that have no selection of their own.
fn leaves(fields: &'static [&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(fields).prop_map(str::to_owned).boxed()
}

/// Some of these fields, one or more, each under an alias or not.
fn some(field: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let aliased = (any::<bool>(), field);
    prop::collection::vec(aliased, 1..6)
        .prop_map(|fields| {
            let fields = fields.into_iter().enumerate();
            let texts = fields.map(
                |(n, (alias, field))| if alias { format!("a{n}: {field}") } else { format!("b{n}: {field}") },
            );
            texts.collect::<Vec<_>>().join(" ")
        })
        .boxed()
}

/// `name { selection }`, now and then through a fragment.
fn nested(name: &'static str, on: &'static str, selection: BoxedStrategy<String>) -> BoxedStrategy<String> {
    (0..4, selection)
        .prop_map(move |(way, selection)| match way {
            0 => format!("{name} {{ {MARK} ... on {on} {{ {selection} }} }}"),
            1 => format!("{name} {{ {MARK} ... {{ {selection} }} }}"),
            _ => format!("{name} {{ {MARK} {selection} }}"),
        })
        .boxed()
}

fn connection() -> BoxedStrategy<String> {
    let fields = &[
        "id",
        "name",
        "provider",
        "config",
        "maxConcurrentJobs",
        "archivedAt",
        "createdAt",
        "updatedAt",
        "__typename",
    ];
    some(prop_oneof![9 => leaves(fields), 1 => nested("tenant", "Tenant", leaves(&["name", "id"]))].boxed())
}

fn job(depth: u32) -> BoxedStrategy<String> {
    let fields = &[
        "id",
        "position",
        "type",
        "object",
        "grain",
        "allowDelete",
        "since",
        "updatedSince",
        "effectiveSince",
        "effectiveUpdatedSince",
        "status",
        "wave",
        "attempt",
        "maxAttempts",
        "createdAt",
        "startedAt",
        "finishedAt",
        "__typename",
    ];
    let required =
        nested("requiredObjects", "RequiredObjects", some(leaves(&["extract", "load", "loadResult"])));
    let shallow = prop_oneof![8 => leaves(fields), 1 => required, 2 => nested("connection", "Connection", connection())].boxed();
    if depth == 0 {
        return some(shallow);
    }
    let link = move || {
        some(prop_oneof![leaves(&["kind", "satisfied"]), nested("job", "Job", job(depth - 1))].boxed())
    };
    some(
        prop_oneof![
            4 => shallow,
            1 => nested("dependencies", "JobDependency", link()),
            1 => nested("dependents", "JobDependency", link()),
        ]
        .boxed(),
    )
}

fn batch() -> BoxedStrategy<String> {
    let fields = &[
        "id",
        "since",
        "updatedSince",
        "status",
        "priority",
        "failurePolicy",
        "createdAt",
        "startedAt",
        "finishedAt",
        "updatedAt",
        "version",
        "__typename",
    ];
    some(
        prop_oneof![
            4 => leaves(fields),
            2 => nested("sourceConnection", "Connection", connection()),
            1 => nested("destinationConnection", "Connection", connection()),
            1 => nested("jobCounts", "JobCounts", leaves(&["total", "ready"])),
            4 => nested("jobs", "Job", job(2)),
        ]
        .boxed(),
    )
}

async fn create_batches(app: &TestApp) {
    let (source, destination) = app.create_ends().await;
    let own = app.create_connection("own").await;
    let input = |priority: i32| {
        json!({
            "sourceConnectionId": source, "destinationConnectionId": destination, "priority": priority,
            "since": "2010-01-01", "failurePolicy": "CANCEL_BATCH",
            "jobs": [
                { "type": "EXTRACT", "object": "a", "grain": "daily", "since": 1_262_304_001 },
                { "type": "EXTRACT", "object": "b", "connectionId": own, "maxAttempts": 7 },
                { "type": "LOAD", "object": "a", "allowDelete": true, "requiredObjects": { "extract": ["a", "b"] } },
                { "type": "LOAD", "object": "c", "requiredObjects": { "load": ["a"], "loadResult": ["a"] } },
            ],
        })
    };
    for priority in 0..3 {
        assert_eq!(app.create_batch(input(priority)).await["userErrors"], json!([]));
    }
}

on_both! {
    async fn both_ways_give_the_same(app: TestApp) {
        create_batches(app).await;
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        for _ in 0..150 {
            let selection = batch().new_tree(&mut runner).unwrap().current();
            let lists = ["nodes {", "edges { cursor node {"];
            for list in lists {
                let close = "}".repeat(list.matches('{').count());
                let walk = format!("{{ batches {{ {list} {MARK} {selection} {close} }} }}");
                let walked = app.data(&walk, json!({})).await;
                let ordinary = app.data(&walk.replace(MARK, &format!("{MARK} {MARK}")), json!({})).await;
                assert_eq!(walked.to_string(), ordinary.to_string(), "{selection}");
            }
        }
    }
}
