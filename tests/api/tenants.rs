//! Tenants: made, changed, deleted, and what stands against it.

use serde_json::{Value, json};

use crate::support::{TestApp, on_both, text};

const TENANT: &str = "tenant { id name maxConcurrentJobs createdAt updatedAt }";

/// The names of all tenants.
async fn names(app: &TestApp) -> Vec<String> {
    let data = app.data("{ tenants(first: 100) { nodes { name } } }", json!({})).await;
    data["tenants"]["nodes"].as_array().unwrap().iter().map(|tenant| text(&tenant["name"])).collect()
}

async fn default_tenant(app: &TestApp) -> String {
    text(&app.data("{ tenants { nodes { id } } }", json!({})).await["tenants"]["nodes"][0]["id"])
}

async fn read(app: &TestApp, id: &str) -> Value {
    let query = format!("query ($id: ID!) {{ {} }}", TENANT.replacen("tenant", "tenant(id: $id)", 1));
    app.data(&query, json!({ "id": id })).await["tenant"].take()
}

on_both! {
    async fn the_default_tenant_is_there_from_the_start_and_cannot_be_deleted(app: TestApp) {
        assert_eq!(names(app).await, ["default"]);
        let id = default_tenant(app).await;
        assert_eq!(app.refused("deleteTenant", json!({ "id": id })).await, ["WRONG_STATE id"]);
        assert_eq!(names(app).await, ["default"]);
    }

    async fn who_names_no_tenant_is_served_by_the_default_one(app: TestApp) {
        app.create_connection("somewhere").await;
        let data = app.data("{ connections { nodes { tenant { name } } } }", json!({})).await;
        assert_eq!(data["connections"]["nodes"], json!([{ "tenant": { "name": "default" } }]));
    }

    async fn a_tenant_is_made_as_it_was_asked_for(app: TestApp) {
        let made = app.done("createTenant", TENANT, json!({ "name": "acme", "maxConcurrentJobs": 7 })).await;
        let id = text(&made["tenant"]["id"]);
        let expected = json!({
            "id": id,
            "name": "acme",
            "maxConcurrentJobs": 7,
            "createdAt": "2026-11-23T12:00:00Z",
            "updatedAt": "2026-11-23T12:00:00Z",
        });
        assert_eq!(made["tenant"], expected);
        assert_eq!(read(app, &id).await, expected);
        assert_eq!(names(app).await, ["default", "acme"]);
    }

    async fn an_update_keeps_what_is_left_out_and_null_removes_the_limit(app: TestApp) {
        let made = app.done("createTenant", TENANT, json!({ "name": "acme", "maxConcurrentJobs": 7 })).await;
        let id = text(&made["tenant"]["id"]);
        app.advance(60);
        let renamed = app.done("updateTenant", TENANT, json!({ "id": id, "name": "ACME" })).await;
        assert_eq!(renamed["tenant"], json!({
            "id": id,
            "name": "ACME",
            "maxConcurrentJobs": 7,
            "createdAt": "2026-11-23T12:00:00Z",
            "updatedAt": "2026-11-23T12:01:00Z",
        }));
        let unlimited = app.done("updateTenant", TENANT, json!({ "id": id, "maxConcurrentJobs": null })).await;
        assert_eq!(unlimited["tenant"]["name"], "ACME");
        assert_eq!(unlimited["tenant"]["maxConcurrentJobs"], Value::Null);
        assert_eq!(read(app, &id).await, unlimited["tenant"]);
    }

    async fn a_name_is_given_once(app: TestApp) {
        let acme = app.create_tenant("acme").await;
        let other = app.create_tenant("other").await;
        assert_eq!(app.refused("createTenant", json!({ "name": "acme" })).await, ["NAME_TAKEN name"]);
        let rename = json!({ "id": other, "name": "acme" });
        assert_eq!(app.refused("updateTenant", rename).await, ["NAME_TAKEN name"]);
        app.done("updateTenant", "", json!({ "id": acme, "name": "acme" })).await;
        assert_eq!(names(app).await, ["default", "acme", "other"]);
    }

    async fn everything_wrong_with_a_tenant_is_said_at_once(app: TestApp) {
        let wrong = json!({ "name": " ", "maxConcurrentJobs": 0 });
        let problems = ["BLANK name", "OUT_OF_RANGE maxConcurrentJobs"];
        assert_eq!(app.refused("createTenant", wrong).await, problems);
        let id = app.create_tenant("acme").await;
        let wrong = json!({ "id": id, "name": "", "maxConcurrentJobs": 1_000_001 });
        assert_eq!(app.refused("updateTenant", wrong).await, problems);
        assert_eq!(read(app, &id).await["name"], "acme");
        let long = json!({ "name": "ä".repeat(256) });
        assert_eq!(app.refused("createTenant", long).await, ["TOO_LONG name"]);
        app.done("createTenant", "", json!({ "name": "ä".repeat(255), "maxConcurrentJobs": 1_000_000 })).await;
    }

    async fn a_tenant_that_has_a_connection_cannot_be_deleted(app: TestApp) {
        let id = app.create_tenant("acme").await;
        let connection = app.create_connection_of(&id, "source").await;
        assert_eq!(app.refused("deleteTenant", json!({ "id": id })).await, ["IN_USE id"]);
        app.done("deleteConnection", "", json!({ "id": connection })).await;
        let deleted = app.done("deleteTenant", TENANT, json!({ "id": id })).await;
        assert_eq!(deleted["tenant"]["name"], "acme");
        assert_eq!(names(app).await, ["default"]);
        assert_eq!(read(app, &id).await, Value::Null);
    }

    async fn what_names_no_tenant_is_refused(app: TestApp) {
        let connection = app.create_connection("somewhere").await;
        let gone = app.create_tenant("gone").await;
        app.done("deleteTenant", "", json!({ "id": gone })).await;
        for name in ["updateTenant", "deleteTenant"] {
            assert_eq!(app.refused(name, json!({ "id": gone })).await, ["NOT_FOUND id"]);
            assert_eq!(app.refused(name, json!({ "id": connection })).await, ["WRONG_ID_KIND id"]);
            assert_eq!(app.refused(name, json!({ "id": "acme" })).await, ["INVALID_ID id"]);
        }
    }
}
