//! What subscriptions give, whatever carries them.

use serde_json::{Value, json};

use crate::support::{Event, TestApp, on_both, text};

/// A batch of two jobs; gives its id.
pub async fn create(app: &TestApp) -> String {
    let (source, destination) = app.create_ends().await;
    let input = json!({
        "sourceConnectionId": source, "destinationConnectionId": destination,
        "jobs": [
            { "type": "EXTRACT", "object": "Account" },
            { "type": "LOAD", "object": "accounts", "requiredObjects": { "extract": ["Account"] } },
        ],
    });
    text(&app.create_batch(input).await["batch"]["id"])
}

/// Changes a batch: it gets this priority, and is else what it was.
pub async fn reprioritise(app: &TestApp, id: &str, priority: i32) {
    let query = "query ($id: ID!) { batch(id: $id) {
        version sourceConnection { id } destinationConnection { id }
        jobs { type object requiredObjects { extract load loadResult } } } }";
    let batch = app.data(query, json!({ "id": id })).await["batch"].take();
    let input = json!({
        "id": id, "version": batch["version"], "priority": priority, "jobs": batch["jobs"],
        "sourceConnectionId": batch["sourceConnection"]["id"],
        "destinationConnectionId": batch["destinationConnection"]["id"],
    });
    app.done("updateBatch", "batch { version }", input).await;
}

async fn delete(app: &TestApp, id: &str) {
    app.done("deleteBatch", "batch { id }", json!({ "id": id })).await;
}

/// A subscription whose responses are some ten megabytes long: more than what a connection and the
/// kernel keep for a client that does not read.
pub async fn heavy(app: &TestApp) -> String {
    let config = json!({ "filler": "x".repeat(60_000) });
    let input = json!({ "name": "heavy", "provider": "csv", "config": config });
    let heavy = text(&app.done("createConnection", "connection { id }", input).await["connection"]["id"]);
    let input = json!({
        "sourceConnectionId": heavy, "destinationConnectionId": heavy,
        "jobs": [{ "type": "EXTRACT", "object": "Account" }],
    });
    let id = text(&app.create_batch(input).await["batch"]["id"]);
    let connections: Vec<String> =
        (0..200).map(|number| format!("c{number}: sourceConnection {{ config }}")).collect();
    format!("subscription {{ batch(id: \"{id}\") {{ version {} }} }}", connections.join(" "))
}

fn code(response: &Value) -> &str {
    response["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{response}"))
}

on_both! {
    async fn a_batch_is_shown_now_and_after_each_change_until_it_is_deleted(app: TestApp) {
        let id = create(app).await;
        let query = format!("subscription {{ batch(id: \"{id}\") {{
            version priority jobs {{ object dependencies {{ job {{ object }} }} }} tenant {{ name }} }} }}");
        let mut stream = app.stream(&query).await;
        let shown = |version: i32, priority: i32| json!({ "data": { "batch": {
            "version": version, "priority": priority,
            "jobs": [
                { "object": "Account", "dependencies": [] },
                { "object": "accounts", "dependencies": [{ "job": { "object": "Account" } }] },
            ],
            "tenant": { "name": "default" },
        } } });
        assert_eq!(stream.next().await, shown(1, 0));
        reprioritise(app, &id, 7).await;
        assert_eq!(stream.next().await, shown(2, 7));
        reprioritise(app, &id, 8).await;
        assert_eq!(stream.next().await, shown(3, 8));
        delete(app, &id).await;
        assert_eq!(stream.event().await, Some(Event::Complete));
        assert_eq!(stream.event().await, None);
    }

    async fn what_a_loader_reads_is_read_anew_for_each_response(app: TestApp) {
        let tenant = app.create_tenant("before").await;
        let source = app.create_connection_of(&tenant, "source").await;
        let destination = app.create_connection_of(&tenant, "destination").await;
        let input = json!({
            "tenantId": tenant, "sourceConnectionId": source, "destinationConnectionId": destination,
            "jobs": [{ "type": "EXTRACT", "object": "Account" }],
        });
        let id = text(&app.create_batch(input).await["batch"]["id"]);
        let query = format!("subscription {{ batch(id: \"{id}\") {{ tenant {{ name }} }} }}");
        let mut stream = app.stream(&query).await;
        assert_eq!(stream.next().await["data"]["batch"]["tenant"]["name"], "before");
        app.db_execute("UPDATE tenants SET name = 'after' WHERE name = 'before'").await;
        reprioritise(app, &id, 1).await;
        assert_eq!(stream.next().await["data"]["batch"]["tenant"]["name"], "after");
    }

    async fn an_id_that_names_no_batch_is_an_error(app: TestApp) {
        let id = create(app).await;
        delete(app, &id).await;
        let cases = [
            (id.as_str(), "NOT_FOUND"),
            ("batch_01m8575bn9e4aatjdnkyvj3b8p", "NOT_FOUND"),
            ("job_01m8575bn9e4aatjdnkyvj3b8p", "WRONG_ID_KIND"),
            ("nonsense", "INVALID_ID"),
        ];
        for (id, expected) in cases {
            let mut stream = app.stream(&format!("subscription {{ batch(id: \"{id}\") {{ id }} }}")).await;
            let response = stream.next().await;
            assert_eq!(code(&response), expected, "{id}");
            assert_eq!(response["errors"][0]["path"], json!(["batch"]));
            assert_eq!(stream.event().await, Some(Event::Complete));
        }
    }

    async fn a_subscription_has_one_field_and_fragments_are_looked_into(app: TestApp) {
        let id = create(app).await;
        let field = |selection: &str| format!("batch(id: \"{id}\") {{ {selection} }}");
        let taken = [
            format!("subscription {{ ... {{ {} }} }}", field("version")),
            format!("subscription {{ ... on Subscription {{ {} }} }}", field("version")),
            format!("subscription {{ ...F }} fragment F on Subscription {{ {} }}", field("version")),
            format!("subscription {{ ...F ...F }} fragment F on Subscription {{ ...G }}
                     fragment G on Subscription {{ {} }}", field("version")),
            format!("subscription {{ {} ...F }} fragment F on Subscription {{ {} }}", field("version"), field("priority")),
            format!("subscription A {{ ...F }} fragment F on Subscription {{ {} }}", field("version")),
        ];
        for query in taken {
            let response = app.stream(&query).await.next().await;
            assert_eq!(response["data"]["batch"]["version"], 1, "{query}: {response}");
        }
        let field = field("id");
        let refused = [
            format!("subscription {{ {field} other: {field} }}"),
            format!("subscription {{ ...F other: {field} }} fragment F on Subscription {{ {field} }}"),
            "subscription { __typename }".to_owned(),
            "subscription { ...F } fragment F on Subscription { ...F }".to_owned(),
            "subscription { ...F }".to_owned(),
            "subscription { ... on Query { tenants { totalCount } } }".to_owned(),
            format!("subscription {{ ... @include(if: true) {{ {field} }} }}"),
            "subscription { nonsense }".to_owned(),
            "subscription { batch { id } }".to_owned(),
        ];
        for query in refused {
            let mut stream = app.stream(&query).await;
            let response = stream.next().await;
            assert_eq!(code(&response), "GRAPHQL_VALIDATION_FAILED", "{query}");
            assert_eq!(response.get("data"), None, "{query}");
            assert_eq!(stream.event().await, Some(Event::Complete), "{query}");
        }
    }
}
