//! What is at hand is written by a plan of its own; a key that stands twice sends the same selection the
//! ordinary way. The two must never disagree, whatever is selected and wherever they meet.

use std::collections::HashMap;

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, generous, on_both};

/// Stands in every object's selection: once for the plan, twice for the ordinary way.
const MARK: &str = "mark: __typename";

/// By type, the fields that have neither arguments nor a selection of their own: as the schema has them,
/// so that a new one is tried without a word here.
struct Leaves(HashMap<String, Vec<String>>);

impl Leaves {
    async fn of(app: &TestApp) -> Self {
        let query = "{ __schema { types { name fields { name args { name }
            type { kind ofType { kind ofType { kind ofType { kind } } } } } } } }";
        let schema = app.data(query, json!({})).await;
        let types = schema["__schema"]["types"].as_array().unwrap().iter();
        Self(types.map(|of| (text(&of["name"]), leaves_of(of))).collect())
    }

    /// Some field of this type.
    fn any(&self, of: &str) -> BoxedStrategy<String> {
        prop::sample::select(self.0[of].clone()).boxed()
    }
}

fn text(name: &Value) -> String {
    name.as_str().unwrap().to_owned()
}

fn leaves_of(of: &Value) -> Vec<String> {
    let kind = |field: &Value| {
        let mut of = &field["type"];
        while of["ofType"].is_object() {
            of = &of["ofType"];
        }
        text(&of["kind"])
    };
    let fields = of["fields"].as_array().into_iter().flatten();
    let plain =
        fields.filter(|field| field["args"] == json!([]) && ["SCALAR", "ENUM"].contains(&&*kind(field)));
    plain.map(|field| text(&field["name"])).chain(["__typename".to_owned()]).collect()
}

/// Some of these fields, one or more, each under a key of its own, now and then with a directive.
fn some(field: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let directive = prop_oneof![
        12 => Just(""),
        1 => Just(" @include(if: $yes)"),
        1 => Just(" @skip(if: $yes)"),
        1 => Just(" @include(if: false)"),
    ];
    prop::collection::vec((directive, field), 1..6)
        .prop_map(|fields| {
            let keyed =
                fields.into_iter().enumerate().map(|(n, (directive, field))| match field.split_once(' ') {
                    Some((name, selection)) => format!("a{n}: {name}{directive} {selection}"),
                    None => format!("a{n}: {field}{directive}"),
                });
            keyed.collect::<Vec<_>>().join(" ")
        })
        .boxed()
}

/// `name { selection }`, now and then through a fragment.
fn nested(name: &'static str, on: &'static str, selection: BoxedStrategy<String>) -> BoxedStrategy<String> {
    (0..6, selection)
        .prop_map(move |(way, selection)| match way {
            0 => format!("{name} {{ {MARK} ... on {on} {{ {selection} }} }}"),
            1 => format!("{name} {{ {MARK} ... {{ {selection} }} }}"),
            2 => format!("{name} {{ {MARK} <{on}|{selection}> }}"),
            _ => format!("{name} {{ {MARK} {selection} }}"),
        })
        .boxed()
}

/// Makes a fragment with a name of each `<Type|selection>`.
fn named_fragments(mut query: String) -> String {
    let mut fragments = String::new();
    for number in 0.. {
        let Some(end) = query.find('>') else { break };
        let start = query[..end].rfind('<').unwrap();
        let (on, selection) = query[start + 1..end].split_once('|').unwrap();
        fragments += &format!(" fragment F{number} on {on} {{ {selection} }}");
        query.replace_range(start..=end, &format!("...F{number}"));
    }
    query + &fragments
}

fn connection(leaves: &Leaves) -> BoxedStrategy<String> {
    let tenant = nested("tenant", "Tenant", some(leaves.any("Tenant")));
    some(prop_oneof![9 => leaves.any("Connection"), 1 => tenant].boxed())
}

fn job(leaves: &Leaves, depth: u32) -> BoxedStrategy<String> {
    let required = nested("requiredObjects", "RequiredObjects", some(leaves.any("RequiredObjects")));
    let connection = nested("connection", "Connection", connection(leaves));
    let shallow = prop_oneof![8 => leaves.any("Job"), 1 => required, 2 => connection].boxed();
    if depth == 0 {
        return some(shallow);
    }
    let link = || {
        let job = nested("job", "Job", job(leaves, depth - 1));
        some(prop_oneof![leaves.any("JobDependency"), job].boxed())
    };
    some(
        prop_oneof![
            8 => shallow,
            2 => nested("dependencies", "JobDependency", link()),
            2 => nested("dependents", "JobDependency", link()),
            1 => nested("batch", "Batch", some(leaves.any("Batch"))),
        ]
        .boxed(),
    )
}

fn batch(leaves: &Leaves) -> BoxedStrategy<String> {
    some(
        prop_oneof![
            8 => leaves.any("Batch"),
            4 => nested("sourceConnection", "Connection", connection(leaves)),
            2 => nested("destinationConnection", "Connection", connection(leaves)),
            2 => nested("jobCounts", "JobCounts", some(leaves.any("JobCounts"))),
            1 => nested("tenant", "Tenant", some(leaves.any("Tenant"))),
            8 => nested("jobs", "Job", job(leaves, 2)),
        ]
        .boxed(),
    )
}

/// A list of batches, with each of which `selection` goes along.
fn list(leaves: &Leaves) -> BoxedStrategy<String> {
    let page = nested("pageInfo", "PageInfo", some(leaves.any("PageInfo")));
    let cursor = prop_oneof![Just("cursor"), Just("")];
    let edge = (cursor, nested("node", "Batch", batch(leaves)))
        .prop_map(|(cursor, node)| format!("{cursor} {node}"));
    let batches = prop_oneof![
        3 => nested("nodes", "Batch", batch(leaves)),
        2 => nested("edges", "BatchEdge", edge.boxed()),
    ];
    (batches, prop_oneof![Just(String::new()), page, Just("totalCount".to_owned())])
        .prop_map(|(batches, more)| format!("batches {{ {MARK} {batches} {more} }}"))
        .boxed()
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

/// The body of the answer, byte for byte: also the order of the keys is compared.
async fn answer(app: &TestApp, selection: &str) -> String {
    let operation =
        format!("query ($yes: Boolean!) {{ tenants @skip(if: $yes) {{ totalCount }} {selection} }}");
    let body = json!({ "query": named_fragments(operation), "variables": { "yes": true } });
    let answer = app.send_json(Method::POST, "/graphql", &[], &body).await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.starts_with("{\"data\":"), "{body}: {text}");
    text
}

/// The same selection with every `nth` mark twice.
fn with_marks_twice(selection: &str, nth: usize) -> String {
    let mut parts = selection.split(MARK);
    let mut text = parts.next().unwrap().to_owned();
    for (number, part) in parts.enumerate() {
        text += MARK;
        if number % nth == nth - 1 {
            text += " ";
            text += MARK;
        }
        text += part;
    }
    text
}

on_both! {
    async fn both_ways_give_the_same(app: TestApp) with generous {
        create_batches(app).await;
        let leaves = Leaves::of(app).await;
        let strategy = (list(&leaves), list(&leaves));
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        for _ in 0..150 {
            let (one, other) = strategy.new_tree(&mut runner).unwrap().current();
            let ordinary = answer(app, &with_marks_twice(&one, 1)).await;
            assert_eq!(answer(app, &one).await, ordinary, "{one}");
            for nth in [2, 3] {
                let mixed = with_marks_twice(&one, nth);
                assert_eq!(answer(app, &mixed).await, ordinary, "{mixed}");
            }
            // What stands under the same key is merged, and has keys of its own.
            let other = (0..6).fold(other, |text, n| text.replace(&format!("a{n}: "), &format!("b{n}: ")));
            let merged = format!("{one} {other}");
            let ordinary = answer(app, &with_marks_twice(&merged, 1)).await;
            assert_eq!(answer(app, &merged).await, ordinary, "{merged}");
            let merged = format!("{one} ... on Query {{ {other} }}");
            assert_eq!(answer(app, &merged).await, ordinary, "{merged}");
        }
    }

    async fn keys_that_stand_twice_are_merged(app: TestApp) {
        create_batches(app).await;
        let merged = app.data("{ batches { nodes { id } nodes { priority } ...F } } fragment F on BatchConnection { nodes { version } }", json!({})).await;
        let whole = app.data("{ batches { nodes { id priority version } } }", json!({})).await;
        assert_eq!(merged, whole);
        let merged = app.data("{ batches { edges { node { jobs { id } } } } batches { edges { node { jobs { object } } } } }", json!({})).await;
        let whole = app.data("{ batches { edges { node { jobs { id object } } } } }", json!({})).await;
        assert_eq!(merged, whole);
    }

    async fn texts_are_escaped(app: TestApp) {
        let name = "quote \" backslash \\ é 漢 🦀 \u{2028} </script>";
        let id = app.create_connection(name).await;
        let answer = app.data("query ($id: ID!) { connection(id: $id) { name } }", json!({ "id": id })).await;
        assert_eq!(answer["connection"]["name"], name);
    }
}
