//! Connections: made, changed, archived, deleted, found, and what stands against it.

use serde_json::{Value, json};

use crate::support::{TestApp, on_both, text};

const CONNECTION: &str =
    "connection { id name provider config maxConcurrentJobs archivedAt createdAt updatedAt tenant { name } }";

async fn read(app: &TestApp, id: &str) -> Value {
    let query =
        format!("query ($id: ID!) {{ {} }}", CONNECTION.replacen("connection", "connection(id: $id)", 1));
    app.data(&query, json!({ "id": id })).await["connection"].take()
}

/// The names of the connections that a filter lets through, and their number.
async fn found(app: &TestApp, filter: Value) -> Vec<String> {
    let query = "query ($filter: ConnectionFilter) { connections(filter: $filter, first: 100) {
        totalCount nodes { name } } }";
    let data = app.data(query, json!({ "filter": filter })).await;
    let nodes = data["connections"]["nodes"].as_array().unwrap();
    assert_eq!(data["connections"]["totalCount"], nodes.len());
    nodes.iter().map(|node| text(&node["name"])).collect()
}

/// What `createBatch` takes for one extract and one load.
fn batch(source: &str, destination: &str) -> Value {
    json!({
        "sourceConnectionId": source,
        "destinationConnectionId": destination,
        "jobs": [{ "type": "EXTRACT", "object": "a" }, { "type": "LOAD", "object": "a" }],
    })
}

on_both! {
    async fn a_connection_is_made_as_it_was_asked_for(app: TestApp) {
        let tenant = app.create_tenant("acme").await;
        let config = json!({ "host": "db", "port": 5432, "nested": { "list": [1, 2.5, true, null, "ü"] } });
        let made = app.done("createConnection", CONNECTION, json!({
            "tenantId": tenant,
            "name": "crm",
            "provider": "salesforce",
            "config": config,
            "maxConcurrentJobs": 3,
        })).await;
        let id = text(&made["connection"]["id"]);
        let expected = json!({
            "id": id,
            "name": "crm",
            "provider": "salesforce",
            "config": config,
            "maxConcurrentJobs": 3,
            "archivedAt": null,
            "createdAt": "2026-11-23T12:00:00Z",
            "updatedAt": "2026-11-23T12:00:00Z",
            "tenant": { "name": "acme" },
        });
        assert_eq!(made["connection"], expected);
        assert_eq!(read(app, &id).await, expected);

        let plain = app.done("createConnection", CONNECTION, json!({ "name": "files", "provider": "csv" })).await;
        assert_eq!(plain["connection"]["config"], json!({}));
        assert_eq!(plain["connection"]["maxConcurrentJobs"], Value::Null);
    }

    async fn an_update_keeps_what_is_left_out_and_null_removes_the_limit(app: TestApp) {
        let made = app.done("createConnection", CONNECTION, json!({
            "name": "crm",
            "provider": "salesforce",
            "config": { "a": 1, "b": 2 },
            "maxConcurrentJobs": 3,
        })).await;
        let id = text(&made["connection"]["id"]);
        app.advance(60);
        let mut expected = made["connection"].clone();

        let same = app.done("updateConnection", CONNECTION, json!({ "id": id, "name": "crm" })).await;
        assert_eq!(same["connection"], expected, "what changes nothing leaves no trace");

        let changed = app.done("updateConnection", CONNECTION, json!({ "id": id, "config": { "b": 3 } })).await;
        expected["config"] = json!({ "b": 3 });
        expected["updatedAt"] = "2026-11-23T12:01:00Z".into();
        assert_eq!(changed["connection"], expected);

        let changed = app.done("updateConnection", CONNECTION, json!({ "id": id, "maxConcurrentJobs": null })).await;
        expected["maxConcurrentJobs"] = Value::Null;
        assert_eq!(changed["connection"], expected);

        let changed = app.done("updateConnection", CONNECTION, json!({ "id": id, "name": "sales" })).await;
        expected["name"] = "sales".into();
        assert_eq!(changed["connection"], expected);
        assert_eq!(read(app, &id).await, expected);
    }

    async fn a_name_is_given_once_in_a_tenant(app: TestApp) {
        let crm = app.create_connection("crm").await;
        let other = app.create_connection("other").await;
        let again = json!({ "name": "crm", "provider": "postgres" });
        assert_eq!(app.refused("createConnection", again).await, ["NAME_TAKEN name"]);
        let rename = json!({ "id": other, "name": "crm" });
        assert_eq!(app.refused("updateConnection", rename).await, ["NAME_TAKEN name"]);
        app.done("archiveConnection", "", json!({ "id": crm })).await;
        let again = json!({ "name": "crm", "provider": "csv" });
        assert_eq!(app.refused("createConnection", again).await, ["NAME_TAKEN name"]);

        let tenant = app.create_tenant("acme").await;
        app.create_connection_of(&tenant, "crm").await;
        assert_eq!(found(app, json!({ "name": "crm" })).await, ["crm", "crm"]);
    }

    async fn everything_wrong_with_a_connection_is_said_at_once(app: TestApp) {
        let connection = app.create_connection("there").await;
        let wrong = json!({
            "tenantId": connection,
            "name": "",
            "provider": "x".repeat(101),
            "config": [],
            "maxConcurrentJobs": -1,
        });
        let problems = [
            "WRONG_ID_KIND tenantId",
            "BLANK name",
            "TOO_LONG provider",
            "INVALID_VALUE config",
            "OUT_OF_RANGE maxConcurrentJobs",
        ];
        assert_eq!(app.refused("createConnection", wrong).await, problems);
        let wrong = json!({ "id": connection, "name": "a\nb", "config": "x", "maxConcurrentJobs": 0 });
        let problems = ["INVALID_CHARACTER name", "INVALID_VALUE config", "OUT_OF_RANGE maxConcurrentJobs"];
        assert_eq!(app.refused("updateConnection", wrong).await, problems);
        assert_eq!(found(app, json!({})).await, ["there"]);
    }

    async fn a_config_is_a_json_object_of_64_kib_without_nul(app: TestApp) {
        let with = |config: Value| json!({ "name": "crm", "provider": "csv", "config": config });
        // `{"a":"…"}` has eight bytes around the text.
        let longest = 64 * 1024 - 8;
        let refused = [
            (json!([1]), "INVALID_VALUE config"),
            (json!("text"), "INVALID_VALUE config"),
            (json!(1), "INVALID_VALUE config"),
            (json!({ "a": "nul \0" }), "INVALID_CHARACTER config"),
            (json!({ "nul \0": "a" }), "INVALID_CHARACTER config"),
            (json!({ "deep": [{ "a": ["nul \0"] }] }), "INVALID_CHARACTER config"),
            (json!({ "a": "x".repeat(longest + 1) }), "TOO_LONG config"),
        ];
        for (config, problem) in refused {
            assert_eq!(app.refused("createConnection", with(config)).await, [problem]);
        }
        let made = app.done("createConnection", CONNECTION, with(json!({ "a": "x".repeat(longest) }))).await;
        assert_eq!(read(app, &text(&made["connection"]["id"])).await, made["connection"]);
    }

    async fn a_config_may_be_written_into_the_document(app: TestApp) {
        let mutation = r#"mutation { createConnection(input: { name: "crm", provider: "csv",
            config: { host: "db", port: 5432, on: true, none: null, list: [1, -2.5], nested: { big: 1e300 } }
        }) { connection { config } userErrors { code } } }"#;
        let data = app.data(mutation, json!({})).await;
        let expected = json!({
            "host": "db", "port": 5432, "on": true, "none": null, "list": [1, -2.5], "nested": { "big": 1e300 },
        });
        assert_eq!(data["createConnection"]["connection"]["config"], expected);
    }

    async fn an_archived_connection_takes_no_new_batches(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        let made = app.create_batch(batch(&source, &destination)).await;
        app.advance(60);
        let archived = app.done("archiveConnection", CONNECTION, json!({ "id": source })).await;
        assert_eq!(archived["connection"]["archivedAt"], "2026-11-23T12:01:00Z");
        app.advance(60);
        let again = app.done("archiveConnection", CONNECTION, json!({ "id": source })).await;
        assert_eq!(again["connection"], archived["connection"], "it stays as it is");
        assert_eq!(read(app, &source).await, archived["connection"]);

        let new = batch(&source, &destination);
        assert_eq!(app.refused("createBatch", new).await, ["WRONG_STATE sourceConnectionId"]);
        let new = batch(&destination, &source);
        assert_eq!(app.refused("createBatch", new).await, ["WRONG_STATE destinationConnectionId"]);
        let mut new = batch(&destination, &destination);
        new["jobs"][1]["connectionId"] = json!(source);
        assert_eq!(app.refused("createBatch", new).await, ["WRONG_STATE jobs.1.connectionId"]);

        let query = "query ($id: ID!) { batch(id: $id) { status sourceConnection { name } } }";
        let old = app.data(query, json!({ "id": made["batch"]["id"] })).await;
        let expected = json!({ "status": "PENDING", "sourceConnection": { "name": "source" } });
        assert_eq!(old["batch"], expected, "what it has goes on");
    }

    async fn a_connection_that_a_batch_uses_cannot_be_deleted(app: TestApp) {
        let (source, destination) = app.create_ends().await;
        let own = app.create_connection("own").await;
        let mut new = batch(&source, &destination);
        new["jobs"][0]["connectionId"] = json!(own);
        let made = app.create_batch(new).await;
        for connection in [&source, &destination, &own] {
            assert_eq!(app.refused("deleteConnection", json!({ "id": connection })).await, ["IN_USE id"]);
        }
        app.done("deleteBatch", "", json!({ "id": made["batch"]["id"] })).await;
        let deleted = app.done("deleteConnection", CONNECTION, json!({ "id": own })).await;
        assert_eq!(deleted["connection"]["name"], "own");
        assert_eq!(read(app, &own).await, Value::Null);
        assert_eq!(found(app, json!({})).await, ["source", "destination"]);
    }

    async fn what_names_no_connection_or_no_tenant_is_refused(app: TestApp) {
        let tenant = app.create_tenant("gone").await;
        let gone = app.create_connection("gone").await;
        app.done("deleteConnection", "", json!({ "id": gone })).await;
        for name in ["updateConnection", "archiveConnection", "deleteConnection"] {
            assert_eq!(app.refused(name, json!({ "id": gone })).await, ["NOT_FOUND id"]);
            assert_eq!(app.refused(name, json!({ "id": tenant })).await, ["WRONG_ID_KIND id"]);
            assert_eq!(app.refused(name, json!({ "id": "crm" })).await, ["INVALID_ID id"]);
        }
        app.done("deleteTenant", "", json!({ "id": tenant })).await;
        let homeless = json!({ "tenantId": tenant, "name": "crm", "provider": "csv" });
        assert_eq!(app.refused("createConnection", homeless).await, ["NOT_FOUND tenantId"]);
    }

    async fn connections_are_found_by_tenant_provider_name_and_whether_they_are_archived(app: TestApp) {
        let tenant = app.create_tenant("acme").await;
        let of_default = |name: &str, provider: &str| json!({ "name": name, "provider": provider });
        app.done("createConnection", "", of_default("crm", "salesforce")).await;
        let shop = app.done("createConnection", "connection { id }", of_default("shop", "postgres")).await;
        let mut input = of_default("crm", "postgres");
        input["tenantId"] = json!(tenant);
        app.done("createConnection", "", input).await;
        app.done("archiveConnection", "", json!({ "id": shop["connection"]["id"] })).await;

        assert_eq!(found(app, json!({})).await, ["crm", "shop", "crm"]);
        assert_eq!(found(app, Value::Null).await, ["crm", "shop", "crm"]);
        assert_eq!(found(app, json!({ "tenantId": tenant })).await, ["crm"]);
        assert_eq!(found(app, json!({ "provider": "postgres" })).await, ["shop", "crm"]);
        assert_eq!(found(app, json!({ "name": "crm" })).await, ["crm", "crm"]);
        assert_eq!(found(app, json!({ "archived": true })).await, ["shop"]);
        assert_eq!(found(app, json!({ "archived": false })).await, ["crm", "crm"]);
        assert_eq!(found(app, json!({ "provider": "postgres", "archived": false })).await, ["crm"]);
        assert_eq!(found(app, json!({ "name": "CRM" })).await, [""; 0]);
        assert_eq!(found(app, json!({ "tenantId": tenant, "provider": "salesforce" })).await, [""; 0]);
    }
}
