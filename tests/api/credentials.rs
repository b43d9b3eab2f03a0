//! Credentials go in, and come out for a worker that has claimed a job, and nowhere else.

use serde_json::{Value, json};

use crate::{
    access::to_anybody,
    support::{TestApp, on_both, text},
    wall::Schema,
};

const SECRET: &str = "correct horse battery staple";
const MARKS: &str = "connection { id hasCredentials credentialsUpdatedAt credentialsFingerprint updatedAt }";

async fn create(app: &TestApp, credentials: Value) -> Value {
    let input = json!({ "name": "sealed", "provider": "csv", "credentials": credentials });
    app.done("createConnection", MARKS, input).await["connection"].take()
}

async fn update(app: &TestApp, connection: &Value, patch: Value) -> Value {
    let mut input = patch;
    input["id"] = connection["id"].clone();
    app.done("updateConnection", MARKS, input).await["connection"].take()
}

/// Makes a batch with one job on this connection, claims it, and gives what the claim says.
async fn claim(app: &TestApp, connection: &Value) -> Value {
    let id = &connection["id"];
    app.create_batch(json!({
        "sourceConnectionId": id, "destinationConnectionId": id, "jobs": [{ "type": "EXTRACT", "object": "a" }]
    }))
    .await;
    let document = "mutation { claimJobs(input: { worker: \"w\" }) {
        claims { credentials job { connection { hasCredentials } } } } }";
    app.graphql(document, Value::Null).await
}

on_both! {
    async fn a_worker_gets_them_with_its_claim_as_they_were_given(app: TestApp) {
        let given = json!({ "user": "me", "password": SECRET, "nested": [{ "ü": 1.5 }, null, true] });
        let connection = create(app, given.clone()).await;
        let claimed = claim(app, &connection).await["data"]["claimJobs"]["claims"][0].take();
        assert_eq!(claimed, json!({ "credentials": given, "job": { "connection": { "hasCredentials": true } } }));
        let without = app.create_connection("open").await;
        let claimed = claim(app, &json!({ "id": without })).await["data"]["claimJobs"]["claims"][0].take();
        assert_eq!(claimed, json!({ "credentials": null, "job": { "connection": { "hasCredentials": false } } }));
    }

    async fn only_workers_get_them(app: TestApp) {
        let connection = create(app, json!({ "password": SECRET })).await;
        let id = &connection["id"];
        app.create_batch(json!({
            "sourceConnectionId": id, "destinationConnectionId": id, "jobs": [{ "type": "EXTRACT", "object": "a" }]
        })).await;
        let document = "mutation { claimJobs(input: { worker: \"w\" }) { claims { credentials } } }";
        let admin = app.create_token("ADMIN", None).await;
        let refused = admin.graphql(document, Value::Null).await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN");
        let worker = admin.create_token("WORKER", None).await;
        let claimed = worker.data(document, Value::Null).await;
        assert_eq!(claimed["claimJobs"]["claims"][0]["credentials"]["password"], SECRET);
    }

    async fn nothing_that_can_be_selected_shows_them(app: TestApp) with to_anybody {
        let connection = create(app, json!({ "password": SECRET })).await;
        claim(app, &connection).await;
        let schema = Schema::read(app).await;
        let id = connection["id"].to_string();
        for (name, document) in schema.everything(&|_: &str| id.clone()) {
            let answer = app.graphql(&document, Value::Null).await.to_string();
            assert!(!answer.contains(SECRET), "{name} shows them: {answer}");
        }
        let id = text(&connection["id"]);
        let document = "query ($id: ID!) { connection(id: $id) { credentials } }";
        let refused = app.graphql(document, json!({ "id": id })).await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    }

    async fn they_are_kept_sealed(app: TestApp) {
        create(app, json!({ "password": SECRET })).await;
        for table in ["connections", "events", "secret_keys"] {
            let dump = app.db_dump(table).await;
            let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!dump.contains(SECRET) && !dump.contains(&hex), "{table}");
        }
    }

    async fn left_out_they_stay_and_null_removes_them(app: TestApp) {
        let given = json!({ "password": SECRET });
        let made = create(app, given.clone()).await;
        assert_eq!((&made["hasCredentials"], &made["credentialsUpdatedAt"]), (&json!(true), &json!("2026-11-23T12:00:00Z")));
        assert_eq!(text(&made["credentialsFingerprint"]).len(), 32);

        app.advance(60);
        let renamed = update(app, &made, json!({ "name": "renamed" })).await;
        let same = update(app, &made, json!({ "credentials": given })).await;
        for seen in [&renamed, &same] {
            assert_eq!(seen["credentialsFingerprint"], made["credentialsFingerprint"]);
            assert_eq!(seen["credentialsUpdatedAt"], made["credentialsUpdatedAt"]);
        }
        let other = update(app, &made, json!({ "credentials": { "password": "other" } })).await;
        assert_ne!(other["credentialsFingerprint"], made["credentialsFingerprint"]);
        assert_eq!(other["credentialsUpdatedAt"], "2026-11-23T12:01:00Z");
        assert_eq!(claim(app, &made).await["data"]["claimJobs"]["claims"][0]["credentials"], json!({ "password": "other" }));
        let none = update(app, &made, json!({ "credentials": null })).await;
        let expected = json!([false, null, null]);
        assert_eq!(json!([none["hasCredentials"], none["credentialsUpdatedAt"], none["credentialsFingerprint"]]), expected);
        let again = update(app, &made, json!({ "credentials": null })).await;
        assert_eq!(again["updatedAt"], none["updatedAt"]);
    }

    async fn what_are_no_credentials_is_refused_without_repeating_them(app: TestApp) {
        let long = format!("{SECRET}{}", "x".repeat(64 * 1024));
        for (credentials, code) in [
            (json!(SECRET), "INVALID_VALUE credentials"),
            (json!([SECRET]), "INVALID_VALUE credentials"),
            (json!({ "password": long }), "TOO_LONG credentials"),
        ] {
            let input = json!({ "name": " ", "provider": "csv", "credentials": credentials });
            let payload = app.mutate("createConnection", "", input).await;
            assert_eq!(crate::support::problems(&payload["userErrors"]), ["BLANK name", code]);
            assert!(!payload.to_string().contains(SECRET), "{payload}");
        }
        let input = json!({ "name": "x", "provider": "csv", "credentials": { "password": SECRET }, "limit": 1 });
        let document = "mutation ($input: CreateConnectionInput!) { createConnection(input: $input) { connection { id } } }";
        let refused = app.graphql(document, json!({ "input": input })).await;
        assert!(refused["errors"].is_array() && !refused.to_string().contains(SECRET), "{refused}");
    }

    async fn an_envelope_that_was_moved_or_damaged_is_not_opened(app: TestApp) {
        let made = create(app, json!({ "password": SECRET })).await;
        let other = app.create_connection("other").await;
        app.db_execute(
            "UPDATE connections SET (credentials, credentials_key, credentials_fingerprint, credentials_updated_at) =
                (SELECT credentials, credentials_key, credentials_fingerprint, credentials_updated_at
                    FROM connections WHERE name = 'sealed')
            WHERE name = 'other'",
        ).await;
        let answer = claim(app, &json!({ "id": other })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "INTERNAL", "{answer}");
        assert!(!answer.to_string().contains(SECRET));
        assert_eq!(claim(app, &made).await["data"]["claimJobs"]["claims"][0]["credentials"]["password"], SECRET);
    }
}
