//! Documents: which run, which are refused, and what a document may ask for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice::{config::Config, domain::documents::Introspection};

use crate::support::{Method, StatusCode, TestApp, on_both, text};

/// The code of the only error of a response.
fn code(response: &Value) -> String {
    match response["errors"].as_array().map(Vec::as_slice) {
        Some([error]) => text(&error["extensions"]["code"]),
        _ => panic!("not one error: {response}"),
    }
}

/// The message of the only error of a response.
fn message(response: &Value) -> String {
    code(response);
    text(&response["errors"][0]["message"])
}

/// Where the only error of a response is.
fn place(response: &Value) -> (u64, u64) {
    code(response);
    let [place] = response["errors"][0]["locations"].as_array().unwrap().as_slice() else {
        panic!("{response}")
    };
    (place["line"].as_u64().unwrap(), place["column"].as_u64().unwrap())
}

/// Operations that graphql-js 17.1 finds valid against this schema.
const VALID: &[&str] = &[
    "{ __typename @include(if: true) }",
    "query ($b: Boolean!) { __typename @skip(if: $b) }",
    "query ($b: Boolean = true) { __typename @skip(if: $b) }",
    "{ a: __typename a: __typename }",
    "query ($id: ID!) { nodes(ids: [$id]) { id } }",
    "query ($ids: [ ID ! ] !) { nodes(ids: $ids) { id } }",
    "query ($s: BatchStatus!) { batches(filter: { statuses: [$s, FAILED] }) { totalCount } }",
    "{ batches(filter: { statuses: FAILED }) { totalCount } }",
    "{ x: batches(filter: { statuses: [FAILED, RUNNING] }) { totalCount } x: batches(filter: { statuses: [FAILED, RUNNING] }) { totalCount } }",
    "{ x: batches(first: 1, filter: null) { totalCount } x: batches(filter: null, first: 1) { nodes { id } } }",
    "{ node(id: 1) { ... on Batch { x: id } ... on Job { x: id } } }",
    "{ node(id: 1) { ... on Batch { x: sourceConnection { id } } ... on Job { x: batch { id } } } }",
    "{ batch(id: 1) { ... on Node { id } } }",
    "{ batch(id: 99999999999999999999) { id } }",
    "{ batches(first: -0) { totalCount } }",
    "{ ...F ...F } fragment F on Query { __typename }",
    "{ ...F } fragment F on # comment\n Query { __typename }",
    "{ ... @include(if: true) { __typename } }",
    "query ($a: Int = 1) { batches(first: $a) { totalCount } }",
    "query ($f: BatchFilter = { statuses: [FAILED] }) { batches(filter: $f) { totalCount } }",
    "\"What it is for\" query A(\"How many\" $a: Int = 1) { batches(first: $a) { totalCount } }",
    "{ __schema { types { fields { type { fields { name } } } } } }",
    "{ batch(id: \"\\uD83D\\uDE00\") { id } }",
    "{ batch(id: \"\\u{1F600}\") { id } }",
    "{ batch(id: \"\"\"a \\\"\"\" b\"\"\") { id } }",
    "\u{feff},,{,__typename,,}",
    "{ query: __typename on: __typename true: __typename null: __typename }",
    "query query { __typename }",
    "{ ...fragment } fragment fragment on Query { __typename }",
    "query ($true: Int) { batches(first: $true) { totalCount } }",
    "query ($d: OrderDirection! = ASC) { batches(orderBy: { field: CREATED_AT, direction: $d }) { totalCount } }",
    "{ planBatch(input: { sourceConnectionId: 1, destinationConnectionId: 2, jobs: { type: LOAD, object: \"a\" } }) { userErrors { code } } }",
    "mutation ($x: Int) { updateConnection(input: { id: 1, config: { a: [1, $x] } }) { userErrors { code } } }",
    "mutation ($x: Int) { updateConnection(input: { id: 1, config: [$x] }) { userErrors { code } } }",
];

/// Operations that graphql-js 17.1 refuses.
const INVALID: &[&str] = &[
    "query ($b: Boolean) { __typename @skip(if: $b) }",
    "query ($b: Boolean = null) { __typename @skip(if: $b) }",
    "{ a: __typename a: node(id: 1) { id } }",
    "query ($id: String) { batch(id: $id) { id } }",
    "query ($id: String!) { batch(id: $id) { id } }",
    "query ($id: ID) { batch(id: $id) { id } }",
    "query ($id: ID = null) { batch(id: $id) { id } }",
    "query ($id: ID) { nodes(ids: [$id]) { id } }",
    "query ($ids: [ID]!) { nodes(ids: $ids) { id } }",
    "query ($id: ID!) { nodes(ids: $id) { id } }",
    "query ($s: BatchStatus) { batches(filter: { statuses: [$s] }) { totalCount } }",
    "query ($s: BatchStatus!) { batches(filter: { statuses: $s }) { totalCount } x: batch(id: $s) { id } }",
    "{ batches(filter: { statuses: [FAILED, null] }) { totalCount } }",
    "{ batches(filter: { statuses: \"FAILED\" }) { totalCount } }",
    "{ batches(filter: { statuses: [], statuses: [] }) { totalCount } }",
    "{ x: batches(filter: { statuses: [FAILED] }) { totalCount } x: batches(filter: { statuses: [FAILED, RUNNING] }) { totalCount } }",
    "{ x: batches(first: 1) { totalCount } x: batches { totalCount } }",
    "{ batches { ...P } batches { ...Q } } fragment P on BatchConnection { nodes { x: id } } fragment Q on BatchConnection { nodes { x: version } }",
    "{ node(id: 1) { ... on Batch { x: id } ... on Job { x: wave } } }",
    "{ node(id: 1) { ... on BlockReason { __typename } } }",
    "{ batch(id: null) { id } }",
    "{ batch(id: 1.5) { id } }",
    "{ batch(id: 1) { id { x } } }",
    "{ batch(id: 1) }",
    "{ batch(id: 1) { } }",
    "{ batch(id: 1 x) { id } }",
    "{ batch(id: 1, id: 1) { id } }",
    "{ batches(first: 2147483648) { totalCount } }",
    "{ batches(first: 1.0) { totalCount } }",
    "{ batches(first: 01) { totalCount } }",
    "{ __typename } fragment F on Query { __typename }",
    "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }",
    "{ ...F } fragment F on Query @skip(if: true) { __typename }",
    "{ ...F } fragment F on Query { __typename } fragment F on Query { __typename }",
    "{ ...F } fragment F on String { id }",
    "{ __typename } query A { __typename }",
    "query A { __typename } query A { __typename }",
    "queryA { __typename }",
    "query () { __typename }",
    "query ($a: Int) { __typename }",
    "query ($a: Int, $a: Int) { batches(first: $a) { totalCount } }",
    "query ($a: Int = 1.5) { batches(first: $a) { totalCount } }",
    "query ($a: Batch) { batches(first: $a) { totalCount } }",
    "query A($a: Int) { ...F } query B { ...F } fragment F on Query { batches(first: $a) { totalCount } }",
    "{ __typename @include(if: true) @include(if: true) }",
    "{ __typename @nothing }",
    "query @include(if: true) { __typename }",
    "{ __typename @specifiedBy(url: \"x\") }",
    "mutation ($n: String) { createTenant(input: { name: $n }) { tenant { id } } }",
    "mutation ($n: String = null) { createTenant(input: { name: $n }) { tenant { id } } }",
    "mutation { createTenant(input: { }) { tenant { id } } }",
    "mutation { updateConnection(input: { id: 1, config: { a: $y } }) { userErrors { code } } }",
    "mutation { updateConnection(input: { id: 1, config: { a: 1, a: 2 } }) { userErrors { code } } }",
    "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
    "{ __schema { types { ...T } } } fragment T on __Type { fields { type { ...U } } } fragment U on __Type { fields { type { inputFields { name } } } }",
    "{ batch(id: \"\\uD83D\") { id } }",
    "{ batch(id: \"\\u{110000}\") { id } }",
    "{ batch(id: \"a\nb\") { id } }",
    "type A { b: Int }",
    "\"d\" { __typename }",
    "",
];

/// Subscriptions, and whether graphql-js 17.1 finds them valid.
const SUBSCRIPTIONS: &[(&str, bool)] = &[
    ("subscription { batch(id: 1) { id } batch(id: 1) { status } }", true),
    (
        "subscription { a: batch(id: 1) { id } ...F } fragment F on Subscription { a: batch(id: 1) { status } }",
        true,
    ),
    ("subscription { ... { batch(id: 1) { __typename id @include(if: true) } } }", true),
    ("subscription { batch(id: 1) { id } b: batch(id: 1) { status } }", false),
    ("subscription { ...F } fragment F on Subscription { batch(id: 1) { status } events { cursor } }", false),
    ("subscription { batch(id: 1) @include(if: true) { id } }", false),
    ("subscription { ... @include(if: true) { batch(id: 1) { id } } }", false),
    ("subscription { __typename }", false),
];

/// What GraphiQL asks before anything else.
const INTROSPECTION: &str = include_str!("introspection.graphql");

/// The page that the benches measure.
const NESTED: &str = "query ($first: Int) { batches(first: $first) { nodes {
    id status since priority createdAt
    sourceConnection { id name provider } destinationConnection { id name provider }
    jobs { id position type object grain status wave attempt maxAttempts
        connection { id name } dependencies { kind satisfied job { id object status } } } } } }";

/// 30 fragments, each of which spreads the next one twice.
fn bomb() -> String {
    let fragment = |n: usize| {
        format!(
            "fragment F{n} on Batch {{ a: tenant {{ batches {{ nodes {{ ...F{0} }} }} }} b: tenant {{ batches {{ nodes {{ ...F{0} }} }} }} }} ",
            n + 1
        )
    };
    let fragments: String = (0..30).map(fragment).collect();
    format!("{{ batch(id: 1) {{ ...F0 }} }} {fragments} fragment F30 on Batch {{ id }}")
}

/// Documents that ask for too much, each with the code of its refusal.
fn excesses() -> Vec<(String, &'static str)> {
    let many = |count: usize, of: &dyn Fn(usize) -> String| (0..count).map(of).collect::<String>();
    let nested = |levels: usize| {
        format!("{{ batch(id: 1) {{ {} id {} }} }}", "jobs { batch { ".repeat(levels), "} } ".repeat(levels))
    };
    let flat_bomb = many(30, &|n| format!("fragment F{n} on Query {{ ...F{0} ...F{0} }} ", n + 1));
    vec![
        (bomb(), "TOO_MANY_ALIASES"),
        (bomb().replace("a: tenant", "tenant").replace("b: tenant", "tenant"), "QUERY_TOO_COMPLEX"),
        (format!("{{ ...F0 }} {flat_bomb} fragment F30 on Query {{ __typename }}"), "TOO_MANY_ROOT_FIELDS"),
        (format!("{{ {} }}", many(10_000, &|n| format!("a{n}:__typename "))), "TOO_MANY_ALIASES"),
        (format!("{{ {} }}", "__typename ".repeat(1_000)), "TOO_MANY_ROOT_FIELDS"),
        (format!("{{ __typename {} }}", "@include(if: true) ".repeat(1_000)), "TOO_MANY_DIRECTIVES"),
        (
            format!(
                "{{ __typename }} {}",
                many(1_000, &|n| format!("fragment F{n} on Query {{ __typename }} "))
            ),
            "TOO_MANY_FRAGMENTS",
        ),
        (nested(32), "QUERY_TOO_DEEP"),
        (nested(10_000), "QUERY_TOO_DEEP"),
        (format!("{{ batch(id: 1) {{ {} }} }}", "id ".repeat(8_000)), "QUERY_TOO_COMPLEX"),
        (format!("{{ {} }}", "__typename ".repeat(100_000)), "DOCUMENT_TOO_LONG"),
        (format!("{{ {} }}", "a ".repeat(100_000)), "DOCUMENT_TOO_LONG"),
        (
            format!("{{ batches(filter: {}{}) {{ totalCount }} }}", "[".repeat(20_000), "]".repeat(20_000)),
            "QUERY_TOO_DEEP",
        ),
        (
            NESTED
                .replace("$first: Int", "$first: Int = 100")
                .replace("job { id", "job { batch { jobs { id } } id"),
            "COST_TOO_HIGH",
        ),
    ]
}

fn without_introspection(config: &mut Config) {
    config.limits.documents.introspection = Introspection::Hidden;
}

/// Shorter than the tokens of a document allow.
fn short_lists(config: &mut Config) {
    config.limits.documents.list_items = 10_000;
    config.limits.documents.variable_bytes = 1 << 20;
}

fn tight(config: &mut Config) {
    config.limits.documents.cost = 30;
}

/// What an operation costs.
async fn cost(app: &TestApp, query: &str, variables: Value) -> Value {
    let body = json!({ "query": query, "variables": variables, "extensions": { "cost": true } });
    let response = app.send_json(Method::POST, "/graphql", &[], &body).await.json();
    assert_eq!(response.get("errors"), None, "{query}");
    response["extensions"]["cost"].clone()
}

on_both! {
    async fn what_is_valid_runs(app: TestApp) {
        let variables = json!({ "b": false, "id": "x", "ids": ["x"], "s": "RUNNING", "x": 1 });
        // The second time, the document is known.
        for query in VALID.iter().chain(VALID) {
            let response = app.graphql(query, variables.clone()).await;
            assert!(response.get("data").is_some(), "{query}: {response}");
            for error in response["errors"].as_array().into_iter().flatten() {
                assert!(error["path"].is_array(), "{query}: {response}");
            }
        }
    }

    async fn what_is_invalid_is_refused(app: TestApp) {
        for query in INVALID.iter().chain(INVALID) {
            let response = app.graphql(query, json!({ "b": true, "id": "x", "n": "x" })).await;
            assert_eq!(response.get("data"), None, "{query}: {response}");
            for error in response["errors"].as_array().unwrap() {
                let code = text(&error["extensions"]["code"]);
                assert!(["GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"].contains(&code.as_str()), "{query}: {response}");
                assert!(error["locations"][0]["line"].as_u64() >= Some(1), "{query}: {response}");
            }
        }
        let data = app.data("{ tenants { totalCount } }", json!({})).await;
        assert_eq!(data["tenants"]["totalCount"], 1, "nothing ran");
    }

    async fn a_subscription_has_one_field_however_it_is_written(app: TestApp) {
        let mut socket = app.open_socket().await;
        for (query, is_valid) in SUBSCRIPTIONS {
            socket.subscribe("1", query).await;
            let errors = socket.hear().await["payload"].take();
            // There is no such batch: the subscription ran.
            let expected = if *is_valid { "INVALID_ID" } else { "GRAPHQL_VALIDATION_FAILED" };
            let errors = if errors.is_array() { errors } else { errors["errors"].clone() };
            assert_eq!(errors[0]["extensions"]["code"], expected, "{query}: {errors}");
            if *is_valid {
                assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "1" }));
            }
        }
    }

    async fn texts_mean_what_they_say(app: TestApp) {
        for (written, meant) in [
            (r#""\uD83D\uDE00 \u{1F600} 😀""#, "😀 😀 😀"),
            (r#""\u0041\/\\\"""#, "A/\\\""),
            ("\"\"\"one \\\"\"\" two\"\"\"", "one \"\"\" two"),
        ] {
            let query = format!("mutation {{ createTenant(input: {{ name: {written} }}) {{ tenant {{ name }} userErrors {{ message }} }} }}");
            let response = app.graphql(&query, json!({})).await;
            let made = &response["data"]["createTenant"];
            assert_eq!(made["tenant"]["name"], meant, "{written}: {response}");
        }
    }

    async fn default_values_count_in_directives(app: TestApp) {
        let query = "query ($yes: Boolean! = true, $no: Boolean = false) {
            a: __typename @skip(if: $yes) b: __typename @include(if: $no) c: __typename @skip(if: $no) d: __typename @include(if: $yes) }";
        assert_eq!(app.data(query, json!({})).await, json!({ "c": "Query", "d": "Query" }));
        assert_eq!(app.data(query, json!({ "yes": false })).await, json!({ "a": "Query", "c": "Query" }));
    }

    async fn the_values_of_variables_are_checked_before_anything_runs(app: TestApp) {
        let batch = "mutation ($input: CreateBatchInput!) { createBatch(input: $input) { batch { id } } t: createTenant(input: { name: \"x\" }) { tenant { id } } }";
        let input = |jobs: Value| json!({ "input": { "sourceConnectionId": 1, "destinationConnectionId": "2", "jobs": jobs } });
        let first = "query ($a: Int) { batches(first: $a) { totalCount } }";
        for (query, variables, complaint) in [
            (batch, json!({}), "variable `$input` of the required type `CreateBatchInput!` is missing"),
            (batch, json!({ "input": null }), "variable `$input` does not fit: `CreateBatchInput!` must not be null"),
            (batch, json!({ "input": 1 }), "variable `$input` does not fit: `CreateBatchInput` is a JSON object"),
            (batch, json!({ "input": { "jobs": [] } }), "variable `$input` does not fit: the required field `sourceConnectionId` is missing"),
            (batch, input(json!([{ "type": "LOAD", "object": "a" }, { "type": "X", "object": "a" }])), "variable `$input` does not fit at `jobs.1.type`: this is no value of `JobType`"),
            (batch, input(json!([{ "type": "LOAD", "object": 1 }])), "variable `$input` does not fit at `jobs.0.object`: this is no value of `String`"),
            (batch, input(json!({ "type": "LOAD", "object": "a", "x": 1 })), "variable `$input` does not fit at `jobs`: `JobInput` has no field `x`"),
            (batch, input(json!([null])), "variable `$input` does not fit at `jobs.0`: `JobInput!` must not be null"),
            (first, json!({ "a": 2_147_483_648_u64 }), "variable `$a` does not fit: this is no value of `Int`"),
            (first, json!({ "a": 1.5 }), "variable `$a` does not fit: this is no value of `Int`"),
            (first, json!({ "a": "1" }), "variable `$a` does not fit: this is no value of `Int`"),
            (first, json!({ "a": [1] }), "variable `$a` does not fit: this is no value of `Int`"),
        ] {
            let response = app.graphql(query, variables).await;
            assert_eq!((response.get("data"), code(&response).as_str()), (None, "GRAPHQL_VALIDATION_FAILED"), "{response}");
            assert_eq!((message(&response).as_str(), place(&response).0), (complaint, 1), "{response}");
        }
        let data = app.data("{ tenants { totalCount } }", json!({})).await;
        assert_eq!(data["tenants"]["totalCount"], 1, "nothing ran");
        app.data(first, json!({ "a": null, "unknown": 1 })).await;
        app.data(first, json!({ "a": 2.0 })).await;
        let one = app.graphql(batch, input(json!({ "type": "LOAD", "object": "a" }))).await;
        assert!(one["data"].is_object(), "a list of one may be written as its item: {one}");
    }

    async fn variables_that_hold_too_much_are_refused_before_anything_runs(app: TestApp) with short_lists {
        let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
        let connect = "mutation ($config: JSON!) { createConnection(input: { name: \"a\", provider: \"csv\", config: $config }) {
            connection { id } userErrors { message } } }";
        let nested = |lists: usize| {
            let list = format!("{}{}", "[".repeat(lists), "]".repeat(lists));
            let value: Value = serde_json::from_str(&list).unwrap();
            json!({ "config": { "a": value } })
        };
        let mut socket = app.open_socket().await;
        for (query, variables, expected, told) in [
            (nodes, json!({ "ids": vec!["x"; 10_001] }), "LIST_TOO_LONG", "has 10001 items; at most 10000 are allowed"),
            (connect, nested(63), "VARIABLES_TOO_DEEP", "nest 65 levels deep; at most 64 are allowed"),
            (connect, json!({ "config": { "a": "x".repeat(1 << 20) } }), "VARIABLES_TOO_LARGE", "at most 1048576 are allowed"),
        ] {
            let response = app.graphql(query, variables.clone()).await;
            assert_eq!((response.get("data"), code(&response).as_str()), (None, expected));
            assert!(message(&response).contains(told), "{response}");
            socket.say(json!({ "id": "1", "type": "subscribe", "payload": { "query": query, "variables": variables } })).await;
            let heard = socket.hear().await;
            assert_eq!((&heard["type"], &heard["payload"]), (&json!("error"), &response["errors"]));
        }
        let literal = format!("{{ nodes(ids: [{}]) {{ id }} }}", "1 ".repeat(10_001));
        assert_eq!(code(&app.graphql(&literal, Value::Null).await), "LIST_TOO_LONG");

        let counted = app.data("{ connections { totalCount } }", Value::Null).await;
        assert_eq!(counted["connections"]["totalCount"], 0, "nothing ran");
        assert_eq!(code(&app.graphql(nodes, json!({ "ids": vec!["x"; 10_000] })).await), "TOO_MANY", "the field's own limit");
        let made = app.data(connect, nested(62)).await;
        assert_eq!(made["createConnection"]["userErrors"], json!([]));
    }

    async fn a_document_that_asks_for_too_much_is_refused_at_once(app: TestApp) {
        let mut socket = app.open_socket().await;
        for (query, expected) in excesses() {
            let shown: String = query.chars().take(60).collect();
            let begun = Instant::now();
            let response = app.graphql(&query, json!({})).await;
            assert_eq!((response.get("data"), code(&response).as_str()), (None, expected), "{shown}: {response}");
            socket.subscribe("1", &query).await;
            let heard = socket.hear().await;
            assert_eq!((&heard["type"], &heard["payload"]), (&json!("error"), &response["errors"]), "{shown}");
            assert!(begun.elapsed() < Duration::from_secs(2), "{shown}: {:?}", begun.elapsed());
        }
        socket.subscribe("1", "{ __typename }").await;
        assert_eq!(socket.hear().await["payload"], json!({ "data": { "__typename": "Query" } }));
    }

    async fn a_refusal_says_what_the_limit_is_and_how_much_there_was(app: TestApp) {
        let said = async |query: &str| message(&app.graphql(query, json!({})).await);
        let aliases = (0..501).map(|n| format!("a{n}: id ")).collect::<String>();
        assert_eq!(
            said(&format!("{{ batch(id: 1) {{ {aliases} }} }}")).await,
            "the operation, with its fragments where they are spread, has 501 aliases; at most 500 are allowed"
        );
        assert_eq!(
            said(&format!("{{ __typename }} #{}", "x".repeat(300_000))).await,
            "the document has 300016 bytes; at most 262144 are allowed"
        );
        assert_eq!(
            said("{ batches(first: 100) { nodes { jobs { dependencies { job { dependencies { job { id } } } } } } } }").await,
            "the operation costs 221102; at most 100000 are allowed. Ask for smaller pages or fewer fields"
        );
    }

    async fn what_graphiql_and_the_benches_ask_passes(app: TestApp) {
        let schema = app.data(INTROSPECTION, json!({})).await;
        assert!(schema["__schema"]["types"].as_array().unwrap().len() > 40);
        assert_eq!(cost(app, NESTED, json!({ "first": 50 })).await, 37_202);
        app.data(NESTED, json!({ "first": 100 })).await;
    }

    async fn the_cost_follows_the_sizes_of_the_pages(app: TestApp) {
        let page = "query ($n: Int, $m: Int) { batches(first: $n, last: $m) { totalCount ...P } } fragment P on BatchConnection { nodes { id } edges { cursor node { id } } }";
        for (query, variables, expected) in [
            ("{ __typename }", json!({}), 1),
            ("{ batches { nodes { id } } }", json!({}), 22),
            ("{ batches(first: 3) { nodes { id version } totalCount } }", json!({}), 9),
            ("{ batches(last: 3, first: null) { nodes { id version } } }", json!({}), 8),
            ("{ node(id: \"batch_01h2xcejqtf2nbrexx3vqjhp41\") { ... on Batch { jobs { id } } id } }", json!({}), 13),
            ("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": ["batch_01h2xcejqtf2nbrexx3vqjhp41"] }), 2),
            ("{ schedules(first: 2) { nodes { nextRuns(first: 5) { at } } } }", json!({}), 2 + 2 * 6),
            (page, json!({ "n": 5 }), 4 + 5 + 15),
            (page, json!({ "m": 2 }), 4 + 2 + 6),
            (page, json!({}), 4 + 20 + 60),
            (page, json!({ "n": 0 }), 4),
        ] {
            assert_eq!(cost(app, query, variables.clone()).await, expected, "{query} {variables}");
        }
        let unasked = app.graphql("{ __typename }", json!({})).await;
        assert_eq!(unasked, json!({ "data": { "__typename": "Query" } }));
    }

    async fn the_cost_is_refused_by_the_values_of_variables(app: TestApp) with tight {
        let query = "query ($n: Int) { batches(first: $n) { nodes { id } } }";
        for _ in 0..2 {
            app.data(query, json!({ "n": 28 })).await;
            let refused = app.graphql(query, json!({ "n": 29 })).await;
            assert_eq!((refused.get("data"), code(&refused).as_str()), (None, "COST_TOO_HIGH"));
        }
        let url = "/graphql?query=%7Bbatches(first:30)%7Bnodes%7Bid%7D%7D%7D";
        let headers = [("accept", "application/graphql-response+json")];
        assert_eq!(app.send(Method::GET, url, &headers, Vec::new()).await.status, StatusCode::BAD_REQUEST);
    }

    async fn a_known_document_runs_the_operation_that_is_named(app: TestApp) {
        let query = "query A { a: __typename } query B($n: Int! = 1) { batches(first: $n) { totalCount } } mutation C { deleteBatch(input: { id: 1 }) { userErrors { code } } }";
        let run = async |name: Option<&str>| {
            let body = json!({ "query": query, "operationName": name });
            app.send_json(Method::POST, "/graphql", &[], &body).await.json()
        };
        for _ in 0..2 {
            assert_eq!(run(Some("A")).await, json!({ "data": { "a": "Query" } }));
            assert_eq!(run(Some("B")).await, json!({ "data": { "batches": { "totalCount": 0 } } }));
            assert_eq!(run(Some("C")).await["data"]["deleteBatch"]["userErrors"][0]["code"], "INVALID_ID");
            for unknown in [None, Some("D")] {
                assert_eq!(code(&run(unknown).await), "GRAPHQL_VALIDATION_FAILED");
            }
        }
    }

    async fn errors_say_where_they_are(app: TestApp) {
        for (query, expected) in [
            ("{\n  __typename\n  nothing }", (3, 3)),
            ("{\r\n  __typename\r  nothing }", (3, 3)),
            ("{ a: node(id: \"é😀\") { id } nothing }", (1, 28)),
            ("query ($a: Int) {\n  __typename }", (1, 8)),
            ("{ a ? }", (1, 5)),
            ("{ a", (1, 4)),
            ("{\n batch(id: 1 x) { id } }", (2, 14)),
        ] {
            assert_eq!(place(&app.graphql(query, json!({})).await), expected, "{query}");
        }
        let ran = app.graphql("{\n  a: nodes(ids: [\"x\"]) { id } }", json!({})).await;
        assert_eq!((&ran["errors"][0]["path"], place(&ran)), (&json!(["a", 0]), (2, 3)));
        app.create_connection("one").await;
        let ran = app.graphql("{ connections { nodes { a: batches(first: 101) { totalCount } } } }", json!({})).await;
        assert_eq!(ran["errors"][0]["path"], json!(["connections", "nodes", 0, "a"]));
    }

    async fn an_error_quotes_no_more_than_a_little(app: TestApp) {
        let long = "x".repeat(100_000);
        for query in [
            format!("{{ {long} ? }}"),
            format!("{{ {long} }}"),
            format!("{{ batch(id: \"{long}) {{ id }} }}"),
            format!("{{ batch({long} id: 1) {{ id }} }}"),
            format!("query ($a: {long}) {{ batches(first: $a) {{ totalCount }} }}"),
            format!("{{ {} }}", "nothing ".repeat(90)),
        ] {
            let response = app.graphql(&query, json!({})).await;
            for error in response["errors"].as_array().unwrap() {
                assert!(text(&error["message"]).chars().count() <= 200, "{error}");
            }
            assert!(response.to_string().len() < 5_000);
        }
        let body = json!({ "query": "{ __typename }", "operationName": long });
        let response = app.send_json(Method::POST, "/graphql", &[], &body).await;
        assert!(response.text().len() < 1_000);
    }

    async fn an_unknown_name_brings_those_that_are_near(app: TestApp) {
        for (query, expected) in [
            ("{ batchs { totalCount } }", "type `Query` does not have a field `batchs`; did you mean `batch` or `batches`?"),
            ("{ batches { totalcount } }", "type `BatchConnection` does not have a field `totalcount`; did you mean `totalCount`?"),
            ("{ batches(frist: 1) { totalCount } }", "the argument `frist` is not supported by `Query.batches`; did you mean `first`?"),
            ("{ nothingOfTheKind }", "type `Query` does not have a field `nothingOfTheKind`"),
        ] {
            assert_eq!(message(&app.graphql(query, json!({})).await), expected);
        }
    }

    async fn introspection_can_be_turned_off(app: TestApp) with without_introspection {
        for query in [
            "{ __schema { queryType { name } } }",
            "{ __type(name: \"Batch\") { name } }",
            "{ ...F } fragment F on Query { __type(name: \"Batch\") { name } }",
        ] {
            let refused = app.graphql(query, json!({})).await;
            assert_eq!((refused.get("data"), code(&refused).as_str()), (None, "GRAPHQL_VALIDATION_FAILED"), "{query}");
            assert!(message(&refused).starts_with("introspection is not allowed"), "{refused}");
        }
        let unknown = app.graphql("{ batchs { totalCount } }", json!({})).await;
        assert_eq!(message(&unknown), "type `Query` does not have a field `batchs`", "no hints");
        let data = app.data("{ __typename batches { __typename } }", json!({})).await;
        assert_eq!(data, json!({ "__typename": "Query", "batches": { "__typename": "BatchConnection" } }));
        assert_eq!(app.get("/schema.graphql").await.status, StatusCode::NOT_FOUND);
    }
}
