//! What is at hand is written by a plan of its own; a key that stands twice sends the same selection the
//! ordinary way. The two must never disagree, whatever is selected and wherever they meet.

use std::collections::{BTreeSet, HashMap};

use proptest::{
    prelude::*,
    strategy::{Union, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    running::{extract, load},
    support::{Actor, TestApp, generous, on_both, text},
};

/// Stands in every object's selection: once for the plan, twice for the ordinary way.
const MARK: &str = "mark: __typename";

/// How many objects stand in each other at the most.
const DEPTH: u32 = 7;

/// Objects and lists that may be at hand: asked for more often than others, each of which spoils the plan of all that is
/// around it.
const MAY_BE_AT_HAND: &[&str] = &[
    "nodes",
    "edges",
    "node",
    "pageInfo",
    "jobs",
    "jobCounts",
    "sourceConnection",
    "destinationConnection",
    "connection",
    "window",
    "requiredObjects",
    "dependencies",
    "dependents",
    "job",
];

/// Whether fields are asked for in a way that makes them fail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failures {
    None,
    Some,
}

/// The types of the schema, as it has them, so that a new field is tried without a word here.
struct Types {
    types: HashMap<String, Type>,
    known: HashMap<(String, u32), BoxedStrategy<String>>,
}

#[derive(Clone, Default)]
struct Type {
    /// Fields without a selection of their own.
    leaves: Vec<String>,
    /// Calls of other fields, and of which types they are.
    objects: Vec<(String, String)>,
    /// What it can be, if it is an interface or a union.
    possible: Vec<String>,
    /// Whether it implements `Node`.
    is_node: bool,
}

impl Types {
    async fn of(admin: &Actor<'_>, failures: Failures) -> Self {
        const OF: &str = "name kind ofType { name kind ofType { name kind ofType { name kind ofType { name kind ofType { name kind } } } } }";
        let query = format!(
            "{{ __schema {{ types {{ kind name interfaces {{ name }} possibleTypes {{ name }}
                fields {{ name args {{ name defaultValue type {{ kind }} }} type {{ {OF} }} }} }} }} }}"
        );
        let schema = admin.data(&query, json!({})).await;
        let types = schema["__schema"]["types"].as_array().unwrap().iter();
        let types = types.map(|of| (text(&of["name"]), type_of(of, failures))).collect();
        Self { types, known: HashMap::new() }
    }

    /// Something that is selected of this type, with so many objects in each other.
    fn selection(&mut self, name: &str, depth: u32) -> BoxedStrategy<String> {
        if let Some(known) = self.known.get(&(name.to_owned(), depth)) {
            return known.clone();
        }
        let of = self.types[name].clone();
        let made = if of.possible.is_empty() {
            self.of_object(name, &of, depth)
        } else {
            self.of_abstract(&of, depth)
        };
        self.known.insert((name.to_owned(), depth), made.clone());
        made
    }

    fn of_object(&mut self, name: &str, of: &Type, depth: u32) -> BoxedStrategy<String> {
        let mut fields = Vec::new();
        if !of.leaves.is_empty() {
            fields.push((9, prop::sample::select(of.leaves.clone()).boxed()));
        }
        let objects = if depth == 0 { &[][..] } else { &of.objects };
        let nested = objects.iter().map(|(call, of)| {
            let (call, name) = (call.clone(), call.split('(').next().unwrap());
            let weight = if MAY_BE_AT_HAND.contains(&name) { 8 } else { 1 };
            let selection = self.selection(of, depth - 1);
            (weight, selection.prop_map(move |selection| format!("{call} {{ {selection} }}")).boxed())
        });
        let nested: Vec<_> = nested.collect();
        if !nested.is_empty() {
            fields.push((7, Union::new_weighted(nested).boxed()));
        }
        fields.push((1, Just("__typename".to_owned()).boxed()));
        in_fragments(name.to_owned(), some(name.to_owned(), Union::new_weighted(fields).boxed()), of.is_node)
    }

    fn of_abstract(&mut self, of: &Type, depth: u32) -> BoxedStrategy<String> {
        let one = of.possible.iter().map(|possible| {
            let on = possible.clone();
            let selected = self.selection(possible, depth);
            prop_oneof![
                2 => Just(String::new()),
                1 => selected.prop_map(move |selection| format!("... on {on} {{ {selection} }}")),
            ]
        });
        let all = one.collect::<Vec<_>>();
        all.prop_map(|all| format!("{MARK} {}", all.join(" "))).boxed()
    }

    /// Two selections of the same field of the root; more of `often` than of others.
    fn pair(&mut self, ids: &[String], often: &str) -> BoxedStrategy<(String, String)> {
        let mut roots = self.types["Query"].objects.clone();
        let id = |kind: &str| ids.iter().find(|id| id.starts_with(kind)).unwrap();
        for (field, of) in
            [("batch", "Batch"), ("job", "Job"), ("schedule", "Schedule"), ("backfill", "Backfill")]
        {
            roots.push((format!("{field}(id: {:?})", id(field)), of.to_owned()));
        }
        roots.push((format!("node(id: {:?})", id("job")), "Node".to_owned()));
        roots.push((format!("nodes(ids: {ids:?})"), "Node".to_owned()));
        let often = roots.iter().find(|(call, _)| call.starts_with(often)).unwrap().clone();
        roots.extend(vec![often; 4]);
        let pair = |(call, of): &(String, String)| {
            let one = self.selection(of, DEPTH).prop_map({
                let call = call.clone();
                move |selection| format!("{call} {{ {selection} }}")
            });
            (one.clone(), one).boxed()
        };
        Union::new(roots.iter().map(pair).collect::<Vec<_>>()).boxed()
    }
}

fn type_of(of: &Value, failures: Failures) -> Type {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut read = Type {
        possible: list(&of["possibleTypes"]).iter().map(|possible| text(&possible["name"])).collect(),
        is_node: list(&of["interfaces"]).iter().any(|interface| interface["name"] == "Node"),
        ..Type::default()
    };
    for field in list(&of["fields"]) {
        let mut named = &field["type"];
        while named["ofType"].is_object() {
            named = &named["ofType"];
        }
        let (name, args) = (text(&field["name"]), list(&field["args"]));
        if args.iter().any(|arg| arg["type"]["kind"] == "NON_NULL" && arg["defaultValue"].is_null()) {
            continue;
        }
        if ["SCALAR", "ENUM"].contains(&&*text(&named["kind"])) {
            read.leaves.push(name);
            continue;
        }
        let mut call =
            |arguments: &str| read.objects.push((format!("{name}{arguments}"), text(&named["name"])));
        call("");
        if of["name"] == "Batch" && name == "jobs" {
            call("(filter: {type: LOAD})");
            call("(filter: $filter)");
        }
        if failures == Failures::Some
            && of["name"] != "Query"
            && args.iter().any(|arg| arg["name"] == "first")
        {
            call("(first: 101)");
        }
    }
    read
}

/// Some of these fields, one or more, each under a key of its own, now and then with a directive. No two types have the
/// same key, since what is of several types may stand in one place.
fn some(of: String, field: BoxedStrategy<String>) -> BoxedStrategy<String> {
    prop::collection::vec((directive(), field), 1..6)
        .prop_map(move |fields| {
            let keyed =
                fields.into_iter().enumerate().map(|(n, (directive, field))| match field.split_once(" { ") {
                    Some((call, selection)) => format!("§{n}{of}: {call}{directive} {{ {selection}"),
                    None => format!("§{n}{of}: {field}{directive}"),
                });
            keyed.collect::<Vec<_>>().join(" ")
        })
        .boxed()
}

fn directive() -> BoxedStrategy<&'static str> {
    prop_oneof![
        12 => Just(""),
        1 => Just(" @include(if: $yes)"),
        1 => Just(" @skip(if: $yes)"),
        1 => Just(" @include(if: false)"),
    ]
    .boxed()
}

/// The selection with its mark, now and then in a fragment.
fn in_fragments(on: String, selection: BoxedStrategy<String>, is_node: bool) -> BoxedStrategy<String> {
    (0..9, directive(), selection)
        .prop_map(move |(way, directive, selection)| match way {
            0 => format!("{MARK} ... on {on}{directive} {{ {selection} }}"),
            1 => format!("{MARK} ...{directive} {{ {selection} }}"),
            2 => format!("{MARK} <{on}|{selection}|{directive}>"),
            3 if is_node => format!("... on Node {{ {MARK} §node: id }} {selection}"),
            4 if is_node => format!("<Node|{MARK} §node: id|> {selection}"),
            _ => format!("{MARK} {selection}"),
        })
        .boxed()
}

/// Makes a fragment with a name of each `<Type|selection|directive>`.
fn named_fragments(mut query: String) -> String {
    let mut fragments = String::new();
    for number in 0.. {
        let Some(end) = query.find('>') else { break };
        let start = query[..end].rfind('<').unwrap();
        let (on, rest) = query[start + 1..end].split_once('|').unwrap();
        let (selection, directive) = rest.rsplit_once('|').unwrap();
        fragments += &format!(" fragment F{number} on {on} {{ {selection} }}");
        query.replace_range(start..=end, &format!("...F{number}{directive}"));
    }
    query + &fragments
}

async fn create_batches(app: &TestApp, source: &str, destination: &str) {
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

/// Makes something of everything, also of what only comes about by itself. Gives the ids of some of it.
async fn create_everything(app: &TestApp) -> Vec<String> {
    let (source, destination) = app.create_ends().await;
    let template = json!({
        "sourceConnectionId": source, "destinationConnectionId": destination,
        "jobs": [extract("A"), load("a", json!({ "extract": ["A"] }))],
    });
    let input =
        json!({ "name": "incremental", "incremental": { "overlapSeconds": 60 }, "template": template });
    let schedule = app.done("createSchedule", "schedule { id }", input).await;
    let schedule = text(&schedule["schedule"]["id"]);
    for _ in 0..2 {
        app.done("triggerSchedule", "firing { id }", json!({ "id": schedule })).await;
    }
    let claim = async |types: &str, limit: i32| {
        let input = json!({ "worker": "w", "types": [types], "limit": limit, "leaseSeconds": 3600 });
        let claims = app.done("claimJobs", "claims { lease }", input).await["claims"].take();
        claims.as_array().unwrap().iter().map(|claim| text(&claim["lease"])).collect::<Vec<_>>()
    };
    let complete = async |lease: &String| {
        let input = json!({ "lease": lease, "output": { "b": [1, null], "a": 2.5 }, "records": 7 });
        app.done("completeJob", "job { id }", input).await;
    };
    for types in ["EXTRACT", "LOAD"] {
        complete(&claim(types, 1).await[0]).await;
    }
    let backfill = json!({ "scheduleId": schedule, "from": "2026-01-01", "to": "2026-01-04", "step": "P1D" });
    let backfill = app.done("createBackfill", "backfill { id }", backfill).await;
    let backfill = text(&backfill["backfill"]["id"]);
    app.done("pauseBackfill", "backfill { id }", json!({ "id": backfill })).await;
    create_batches(app, &source, &destination).await;
    let leases = claim("EXTRACT", 4).await;
    complete(&leases[0]).await;
    let failed = json!({ "lease": leases[1], "code": "BROKEN", "message": "two\nlines and a \"quote\"" });
    app.done("failJob", "job { id }", failed).await;
    let progress = json!({ "records": 5_000_000_000_i64, "message": "half of it" });
    let heard = json!({ "leases": [{ "lease": leases[2], "progress": progress }] });
    app.done("heartbeat", "leases { stop }", heard).await;

    let query =
        "{ batches { nodes { id jobs { id } } } connections { nodes { id } } tenants { nodes { id } } }";
    let data = app.data(query, json!({})).await;
    let of = |list: &str| {
        data[list]["nodes"].as_array().unwrap().iter().map(|node| text(&node["id"])).collect::<Vec<_>>()
    };
    let jobs = data["batches"]["nodes"][0]["jobs"].as_array().unwrap().iter().map(|job| text(&job["id"]));
    [of("batches"), of("connections"), of("tenants"), jobs.collect(), vec![schedule, backfill]].concat()
}

/// An answer.
#[derive(Debug, PartialEq)]
enum Answered {
    /// The body, byte for byte: also the order of the keys is compared.
    Whole(String),
    /// The data, and what is null since something failed. Where that is the very field that failed, with the error.
    /// Else the error may be any of several under it: the first one ends the others.
    Failed { data: Value, failed: BTreeSet<String> },
}

async fn answer(admin: &Actor<'_>, selection: &str) -> Answered {
    let operation = format!(
        "query ($yes: Boolean!, $filter: BatchJobFilter) {{
            skipped: batches @skip(if: $yes) {{ nodes {{ jobs(filter: $filter) {{ id }} }} }} {selection} }}"
    );
    let variables = json!({ "yes": true, "filter": { "statuses": ["READY", "RUNNING"] } });
    let body = json!({ "query": named_fragments(operation.replace('§', "k")), "variables": variables });
    let answer = admin.send(Method::POST, "/graphql", Some(&body)).await;
    let whole = String::from_utf8(answer.body).unwrap();
    let mut parsed: Value = serde_json::from_str(&whole).unwrap();
    let Some(errors) = parsed["errors"].as_array() else { return Answered::Whole(whole) };
    assert!(parsed.get("data").is_some(), "{body}: {whole}");
    let failed = errors.iter().map(|error| failed(error, &parsed["data"])).collect();
    Answered::Failed { data: parsed["data"].take(), failed }
}

/// What is null because of this error.
fn failed(error: &Value, data: &Value) -> String {
    let path = error["path"].as_array().unwrap();
    let (mut here, mut place) = (data, Vec::new());
    for step in path {
        if here.is_null() {
            return json!(place).to_string();
        }
        here = match step {
            Value::Number(index) => &here[usize::try_from(index.as_u64().unwrap()).unwrap()],
            name => &here[name.as_str().unwrap()],
        };
        place.push(step);
    }
    assert!(here.is_null(), "{error} leaves something in its place: {data}");
    format!("{} {} {}", json!(place), error["message"], error["extensions"])
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

/// Asks for random selections in both ways, and gives how many of the answers had errors.
async fn compare(admin: &Actor<'_>, ids: &[String], failures: Failures, times: usize) -> usize {
    let often = match failures {
        // Where most of what can be at hand is.
        Failures::None => "batches",
        // Each of them may be null.
        Failures::Some => "nodes",
    };
    let strategy = Types::of(admin, failures).await.pair(ids, often);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut failed = 0;
    for _ in 0..times {
        let (one, other) = strategy.new_tree(&mut runner).unwrap().current();
        let ordinary = answer(admin, &with_marks_twice(&one, 1)).await;
        failed += usize::from(matches!(ordinary, Answered::Failed { .. }));
        assert_eq!(answer(admin, &one).await, ordinary, "{one}");
        for nth in [2, 3] {
            let mixed = with_marks_twice(&one, nth);
            assert_eq!(answer(admin, &mixed).await, ordinary, "{mixed}");
        }
        if failures == Failures::Some {
            // async-graphql merges what has failed with what has not.
            continue;
        }
        // What stands under the same key is merged, and has keys of its own.
        let merged = format!("{one} {}", other.replace('§', "other"));
        let ordinary = answer(admin, &with_marks_twice(&merged, 1)).await;
        assert_eq!(answer(admin, &merged).await, ordinary, "{merged}");
        let merged = format!("{one} ... on Query {{ {} }}", other.replace('§', "other"));
        assert_eq!(answer(admin, &merged).await, ordinary, "{merged}");
    }
    failed
}

on_both! {
    async fn both_ways_give_the_same(app: TestApp) with generous {
        let ids = create_everything(app).await;
        let admin = app.create_token("ADMIN", None).await;
        let seen = "{ events(last: 1) { nodes { kind } } }";
        admin.data_once(seen, |data| data["events"]["nodes"][0]["kind"] == "ATTEMPT_FAILED").await;
        assert_eq!(compare(&admin, &ids, Failures::None, 150).await, 0);
    }

    async fn both_ways_fail_alike(app: TestApp) with generous {
        let ids = create_everything(app).await;
        let admin = app.create_token("ADMIN", None).await;
        let seen = "{ events(last: 1) { nodes { kind } } }";
        admin.data_once(seen, |data| data["events"]["nodes"][0]["kind"] == "ATTEMPT_FAILED").await;
        // As if some batches were being replaced: whoever has these jobs can't have their batches any more.
        app.db_execute("UPDATE jobs SET revision = revision + 1 WHERE position = 1").await;
        let failed = compare(&admin, &ids, Failures::Some, 100).await;
        assert!(failed > 20, "{failed}");
    }

    async fn keys_that_stand_twice_are_merged(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        create_batches(app, &source, &destination).await;
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
